"""The theory against the bank: floors, spectra and iterations."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import (
    counted,
    described_sets,
    enumerated,
    grid,
    headline,
    outside_legend,
    panels,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import BLUE, GREY, RED, figure_style, palette_for

_MARKERS = "osD^v<>PX*"


@register("theory_floor", question="theory")
def plot_theory_floor(table: pd.DataFrame) -> plt.Figure:
    """Measured reduction by one seed against the floor, a panel per subspace dimension."""
    table = _floors(table)
    sets = panels(table, "image_size", "dataset")
    colours = palette_for(dataset for _, dataset in sets)
    dimensions = sorted(table.dimension.unique())
    with figure_style():
        figure, axes = grid(1, max(len(dimensions), 2), height=3.2, sharey=True, sharex=True)
        for axis in axes[0][len(dimensions) :]:
            axis.set_axis_off()
        for axis, dimension in zip(axes[0], dimensions):
            for position, (size, dataset) in enumerate(sets):
                chosen = table[(table.dataset == dataset) & (table.dimension == dimension)]
                reach = [
                    (chosen.measured - chosen.measured_low).clip(lower=0),
                    (chosen.measured_high - chosen.measured).clip(lower=0),
                ]
                axis.errorbar(
                    chosen.predicted,
                    chosen.measured,
                    yerr=reach,
                    fmt=_MARKERS[position % len(_MARKERS)],
                    color=colours[dataset],
                    mfc="none",
                    lw=0.6,
                    label=f"{dataset} ({size}²)",
                )
            shown = table[["predicted", "measured"]]
            line = np.array([max(shown.min().min(), 1e-4), 1.0])
            axis.plot(line, line, "-", color=GREY, lw=0.8, label="floor")
            axis.set(xscale="log", yscale="log", xlabel="floor (A = P)")
            axis.set_title(f"m = {dimension}")
        axes[0][0].set_ylabel("measured: residual / start residual")
        headline(
            figure,
            floor_finding(table),
            f"{described_sets(table)}. A point per time step of the bank: median over targets, "
            "bars: quartiles; m: dimension of the seed's Krylov space.",
        )
        outside_legend(figure, axes[0][0], 4)
    return figure


def floor_finding(table: pd.DataFrame) -> str:
    """Return the share of the residuals that the floor bounds, by dimension."""
    held = {
        m: np.average(group.holds.astype(float), weights=group.n_targets)
        for m, group in _floors(table).groupby("dimension")
    }
    if not held:
        return "No floor was measured"
    shares = enumerated(f"{share:.1%} at m = {m:.0f}" for m, share in held.items())
    if min(held.values()) == 1:
        return f"No residual is below the floor that holds where A = P ({shares} not below)"
    return f"Residuals not below the floor that holds where A = P: {shares}"


def _floors(table: pd.DataFrame) -> pd.DataFrame:
    return table[table.statement == "floor"].dropna(subset=["predicted", "measured"])


@register("theory_spectra", question="theory")
def plot_theory_spectra(table: pd.DataFrame) -> plt.Figure:
    """Energy of the residuals in P's eigenvalues, rows of image sets and columns of steps."""
    sets = panels(table, "image_size", "dataset")
    steps = sorted(table.step.unique())
    # few columns: the first, the last and what lies between evenly
    steps = [steps[k] for k in np.unique(np.linspace(0, len(steps) - 1, 4).round().astype(int))]
    colours = {"start": BLUE, "projected": RED}
    names = {"start": "before: previous step", "projected": "after: one seed's Krylov space"}
    with figure_style():
        figure, axes = grid(len(sets), len(steps), height=1.5, sharey="row", sharex="row")
        for row, (_, dataset) in zip(axes, sets):
            for axis, step in zip(row, steps):
                chosen = table[(table.dataset == dataset) & (table.step == step)]
                sizes = {}
                for stage, group in chosen.groupby("stage", sort=False):
                    mean = group.groupby("eigenvalue").energy.mean()
                    mean = mean.where(mean > 0)
                    axis.plot(mean.index, mean, color=colours[stage], label=names[stage])
                    sizes[stage] = group.residual.mean()
                axis.set(xscale="log", yscale="log", ylim=(1e-6, 1.5))
                text = " → ".join(f"{sizes[stage]:.1e}" for stage in colours if stage in sizes)
                axis.set_title(f"step {step}: {text}", fontsize="small")
            row[0].set_ylabel(f"{dataset}\nshare of energy", fontsize="small")
        for axis in axes[-1][1:-1] if len(steps) > 2 else axes[-1][:1]:
            axis.set_xlabel("eigenvalue of P (1/time)", fontsize="small")
        headline(
            figure,
            spectra_finding(table),
            f"{described_sets(table)}. Energy of the residuals in the eigenvalues of P, each "
            "normalised to one; above the panels: median relative residuals, before → after.",
        )
        outside_legend(figure, axes[0][0], 2)
    return figure


def spectra_finding(table: pd.DataFrame) -> str:
    """Return what share of the energy leaves the eigenvalues that hold most of it, set by set."""
    last = table[table.step == table.step.max()]
    outside = 1 - last.groupby(["dataset", "seed", "stage"]).energy.max().unstack("stage")
    outside = outside.dropna()
    change = outside.projected - outside.start
    more, less = (change > 0).sum(), (change < 0).sum()
    n = counted(len(outside), "set")
    if more and less:
        words = f"wider on {more} and narrower on {less} of {n}"
    elif more or less:
        words = f"{'wider' if more else 'narrower'} on {more or less} of {n}"
    else:
        words = "as wide as before"
    before, after = 100 * outside.start.median(), 100 * outside.projected.median()
    return (
        f"The residuals' spectrum after the projection is {words}: energy outside its fullest "
        f"interval {before:.2g}% before, {after:.2g}% after (median set, step {table.step.max()})"
    )


@register("theory_iterations", question="theory")
def plot_theory_iterations(table: pd.DataFrame) -> plt.Figure:
    """Bound and norm, predicted and measured iterations of GMRES with P, by step and size."""
    table = _over_sizes(table)
    sets = panels(table, "image_size", "dataset")
    colours = palette_for(dataset for _, dataset in sets)
    rows = (("perturbation", "norm of (A − P)P⁻¹"), ("gmres", "iterations of GMRES with P"))  # noqa: RUF001
    with figure_style():
        figure, axes = grid(1, 2, height=2.7)
        for axis, (statement, label) in zip(axes[0], rows):
            for size, dataset in sets:
                chosen = table[(table.statement == statement) & (table.dataset == dataset)]
                mean = chosen.groupby("step")[["predicted", "measured"]].mean()
                look = {"color": colours[dataset], "mfc": "none"}
                axis.plot(mean.index, mean.predicted, "^--", label="_", **look)
                axis.plot(mean.index, mean.measured, "o-", label=f"{size}²", **look)
            axis.set(xscale="log", xlabel="time step", ylabel=label)
            axis.set_ylim(bottom=0)
        headline(
            figure,
            iterations_finding(table),
            f"{described_sets(table)}. Circles: measured, median over targets; dashed triangles: "
            "the bound ε, and the iterations that it predicts (none where ε is 1 or more).",
        )
        outside_legend(figure, axes[0][0])
    return figure


def iterations_finding(table: pd.DataFrame) -> str:
    """Return the iterations by size, and whether they grow with it."""
    table = _over_sizes(table)
    gmres = table[table.statement == "gmres"]
    largest = gmres.groupby("image_size").measured.max()
    counts = enumerated(f"{value:.0f} at {size}²" for size, value in largest.items())
    bounded = gmres.dropna(subset=["predicted"])
    held = ""
    if len(bounded):
        share = np.average(bounded.holds.astype(float), weights=bounded.n_targets)
        held = f"; {'none' if share == 1 else f'{1 - share:.1%}'} exceed the bound's"
    change = largest.diff().dropna()
    if change.empty:
        return f"GMRES with P takes {counts} iterations at most (largest median){held}"
    if (change == 0).all():
        verdict = "do not change with the size"
    elif (change >= 0).all() or (change <= 0).all():
        verdict = f"{'grow' if change.sum() > 0 else 'fall'} from the smallest to the largest size"
    else:
        verdict = "do not follow the size"
    return f"Iterations of GMRES with P {verdict}: {counts} (largest median){held}"


def _over_sizes(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one family of sets over the sizes: the one that has most of them."""
    table = table[table.statement.isin(["perturbation", "gmres"])]
    family = table.dataset.str.replace(r"\d+$", "", regex=True)
    return table[family == table.image_size.groupby(family).nunique().idxmax()]
