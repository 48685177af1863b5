"""A map of where sharing between similar matrices pays, and the advice that it supports."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm

from crosskrylov.reporting.figures.layout import headline, outside_legend
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import PAGE_WIDTH, figure_style, palette_for, readable

_PLACE = ["family", "size", "parameter"]
#: What the methods share, for colours and the sentence of advice.
KINDS = {
    "lu_of_one": "a factorisation",
    "lu_of_mean": "a factorisation",
    "recycled_gcrot": "recycled directions",
    "sorted_recycled_gcrot": "recycled directions",
    "galerkin_of_one": "one Krylov space",
    "galerkin_of_several": "several Krylov spaces",
    "galerkin": "solutions",
    "pod": "solutions",
}
#: Where a mark's label stands, in points: families that may lie close do not share a side.
_LABELS = {"equation": (0, -9), "helmholtz": (-11, 0), "darcy": (11, 0)}
_MARKERS = {"equation": "o", "darcy": "s", "convection_diffusion": "D", "helmholtz": "^"}


def best_shared(table: pd.DataFrame) -> pd.DataFrame:
    """Return the row of the fastest sharing method of each family, size and parameter.

    Columns ``delta``, the matrices' distance from their mean (Eq. 22d), and ``kind`` are added;
    places where no sharing method, or no baseline, solved every system are left out.
    """
    shared = table[table.shares.astype(bool) & table.gain_vs_baseline.notna()]
    best = shared.loc[shared.groupby(_PLACE).gain_vs_baseline.idxmax()]
    return best.assign(delta=1 / best.similarity - 1, kind=[KINDS[s] for s in best.solver])


def advice(table: pd.DataFrame) -> str:
    """Return sentences on where sharing pays that the table supports, whatever it holds."""
    best = best_shared(table)
    if best.empty:
        return "No method that shares solved every system of a family."
    pays, loses = best[best.gain_low > 1], best[best.gain_high < 1]
    text = f"Sharing pays in {len(pays)} of {len(best)} cases"
    if len(pays):
        kind = pays.kind.value_counts()
        text += f" (median gain {pays.gain_vs_baseline.median():.2g}; best by {kind.index[0]} in "
        text += f"{kind.iloc[0]})"
        text += _region(best, pays)
    if len(loses):
        text += f"; it loses in {len(loses)}"
        far = loses.delta[loses.delta > best.drop(loses.index).delta.max()].min()
        text += f", in all with δ ≥ {_outward(far, np.floor)}" if np.isfinite(far) else ""
    undecided = len(best) - len(pays) - len(loses)
    return f"{text}; {undecided} undecided" if undecided else text


def _outward(value: float, towards) -> str:
    """Return a bound with three digits, rounded so that it still holds the case that it is of."""
    unit = 10.0 ** (np.floor(np.log10(value)) - 2)
    return f"{towards(round(value / unit, 6)) * unit:.3g}" if value < 1000 else f"{value:,.0f}"


def _region(best, pays) -> str:
    """Return the bounds on distance and condition within which most cases lie, all of them paying.

    Cases that lose or are undecided are outside.
    """
    largest, found = 0, ""
    for delta in sorted(pays.delta, reverse=True):
        for condition in sorted(pays.condition):
            inside = best.index[(best.delta <= delta) & (best.condition >= condition)]
            if len(inside) > largest and inside.isin(pays.index).all():
                largest = len(inside)
                found = f", in all {largest} with δ ≤ {_outward(delta, np.ceil)} and condition ≥ "
                found += _outward(condition, np.floor)
    return found


@register("where_it_pays", question="sharing")
def plot_where_it_pays(table: pd.DataFrame) -> plt.Figure:
    """Gain by distance from the mean and condition; gain by kind of sharing."""
    best = best_shared(table)
    colours = palette_for(dict.fromkeys(KINDS.values()))
    shared = table[table.shares.astype(bool) & table.gain_vs_baseline.notna()]
    shared = shared.assign(delta=1 / shared.similarity - 1)
    reach = max([2.0, *best.gain_vs_baseline, *(1 / best.gain_vs_baseline)])
    norm = LogNorm(1 / reach, reach)
    with figure_style():
        figure, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 4.2))
        _map(figure, axes[0], best, norm, colours)
        _by_kind(axes[1], shared, colours)
        first = table.iloc[0]
        headline(
            figure,
            advice(table),
            f"{int(first.n_systems)} systems a family, relative residual "
            f"{float(first.tolerance):.0e}. δ: mean of ‖(A − M)M⁻¹‖₂, M the mean matrix. "  # noqa: RUF001
            "Left: gain of the fastest way to share, in the colour of what it shares, hollow where "
            "its 95 % interval holds 1. Right: bars are 95 % intervals.",
        )
        outside_legend(figure, axes, 5)
    return figure


def _map(figure, axis, best, norm, colours):
    for family, group in best.groupby("family", sort=False):
        for _, row in group.iterrows():
            sure = not row.gain_low <= 1 <= row.gain_high
            colour = plt.get_cmap("PuOr")(norm(row.gain_vs_baseline))
            axis.plot(
                row.delta, row.condition, _MARKERS.get(family, "P"),
                mfc=colour if sure else "none", mec="0.2", mew=0.6, ms=7,
            )  # fmt: skip
            axis.annotate(
                f"{row.gain_vs_baseline:.2g}", (row.delta, row.condition), fontsize=6.5,
                xytext=_LABELS.get(family, (0, 9)), textcoords="offset points",
                ha="center", va="center", color=colours[row.kind],
            )  # fmt: skip
        axis.plot([], [], _MARKERS.get(family, "P"), color="0.5", label=readable(family))
    axis.set(
        xscale="log", yscale="log", xlabel="distance from the mean matrix δ",
        ylabel="condition number (2-norm)", title="best shared method: gain",
    )  # fmt: skip
    axis.margins(0.12)
    ticks = [k * 10.0**n for n in range(-3, 4) for k in (1, 2, 5)]
    bar = figure.colorbar(
        plt.cm.ScalarMappable(norm, "PuOr"),
        ax=axis,
        ticks=[tick for tick in ticks if norm.vmin <= tick <= norm.vmax],
        format="%g",
    )
    bar.minorticks_off()


def _by_kind(axis, shared, colours):
    for kind in colours:
        group = shared[shared.solver.map(KINDS) == kind]
        if group.empty:
            continue
        group = group.loc[group.groupby(_PLACE).gain_vs_baseline.idxmax()]
        for family, part in group.groupby("family"):
            y = part.gain_vs_baseline
            axis.errorbar(
                part.delta, y, [y - part.gain_low, part.gain_high - y], color=colours[kind],
                fmt=_MARKERS.get(family, "P"), ms=4, lw=0.6, capsize=1.5,
            )  # fmt: skip
        axis.plot([], [], "-", color=colours[kind], lw=3, label=kind)
    axis.axhline(1, color="0.5", lw=0.8)
    axis.set(
        xscale="log", yscale="log", xlabel="distance from the mean matrix δ",
        ylabel="gain over the best without sharing", title="by what is shared",
    )  # fmt: skip
