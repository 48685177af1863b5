"""Time against the residual to reach."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import (
    described_sets,
    enumerated,
    grid,
    headline,
    label_ends,
    panels,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import (
    FAINT,
    families_of,
    figure_style,
    readable,
    solver_styles,
)
from crosskrylov.solvers.index import BASELINE_METHOD


@register("time_to_residual", question="speed")
def plot_time_to_residual(table: pd.DataFrame) -> plt.Figure:
    """Seconds per system against the residual reached: families below, image sets beside.

    Image sets that were solved to fewer tolerances than others stand in the table only.
    """
    tolerances = table.groupby("dataset").tolerance.nunique()
    table = table[table.dataset.map(tolerances) == tolerances.max()]
    sets = panels(table, "image_size", "dataset")
    families = families_of(table.family)
    table = _with_seconds(table)
    styles = solver_styles(dict(zip(table.solver, table.family)))
    sizes = [table[table.family == family].solver.nunique() for family in families]
    heights = [max(1.15, 0.155 * size + 0.2) for size in sizes]
    with figure_style():
        figure, axes = grid(
            len(families),
            max(len(sets), 2),
            height=sum(heights) / len(families),
            sharex=True,
            sharey="col",
            gridspec_kw={"height_ratios": heights},
        )
        for axis in axes[:, len(sets) :].flat:
            axis.set_axis_off()
        for row, family in enumerate(families):
            for axis, (_, dataset) in zip(axes[row], sets):
                chosen = table[table.dataset == dataset]
                for solver, group in chosen.groupby("solver", sort=False):
                    by_seed = group.groupby(["seed", "tolerance"]).seconds.mean().unstack("seed")
                    mean = by_seed.mean(axis=1)
                    if group.family.iloc[0] != family:
                        axis.plot(mean.index, mean, color=FAINT, lw=0.7, zorder=1, label="_")
                        continue
                    axis.plot(mean.index, mean, label=readable(solver), lw=1.2, **styles[solver])
                    axis.fill_between(
                        mean.index,
                        by_seed.min(axis=1),
                        by_seed.max(axis=1),
                        color=styles[solver]["color"],
                        alpha=0.15,
                        lw=0,
                    )
                axis.set(xscale="log", yscale="log")
            axes[row][0].set_ylabel(readable(family))
        figure.supylabel("seconds per system", fontsize=8)
        axes[0][0].invert_xaxis()
        for axis, (size, dataset) in zip(axes[0], sets):
            axis.set_title(f"{dataset} ({size}²)")
        for axis in axes[-1][: len(sets)]:
            axis.set_xlabel("relative residual to reach")
        headline(
            figure,
            finding(table),
            f"{described_sets(table)}. A row per family, the others in grey; mean over systems and "
            "time steps, shared setup spread over the images. Bands: range over seeds.",
        )
        for axis in axes[:, len(sets) - 1]:
            label_ends(axis)
    return figure


def finding(table: pd.DataFrame) -> str:
    """Return the fastest solver of every image set at one tolerance, against the baseline."""
    tolerances = sorted(table.tolerance.unique())
    tolerance = tolerances[len(tolerances) // 2]
    chosen = _with_seconds(table[table.tolerance == tolerance])
    mean = chosen.groupby(["image_size", "dataset", "solver"]).seconds.mean()
    baselines = set(chosen.solver[chosen.method == BASELINE_METHOD]) if "method" in chosen else ()
    winners: dict[str, list[str]] = {}
    gains = []
    for (_, dataset), seconds in mean.groupby(level=["image_size", "dataset"]):
        seconds = seconds.droplevel(["image_size", "dataset"])
        best = seconds.idxmin()
        winners.setdefault(best, []).append(dataset)
        gains += [seconds[name] / seconds[best] for name in baselines if name in seconds.index]
    if mean.index.get_level_values("solver").nunique() == 1:
        return f"Seconds per system of {readable(next(iter(winners)))}, the only solver here"
    if len(winners) == 1:
        words = f"{readable(next(iter(winners)))} is fastest"
    else:
        words = "Fastest: " + enumerated(
            f"{readable(name)} on {enumerated(sets)}" for name, sets in winners.items()
        )
    against = ""
    if gains and max(gains) > 1:
        low, high = f"{min(gains):.2g}", f"{max(gains):.2g}"
        span = low if low == high else f"{low} to {high}"
        against = f", {span} times as fast as {readable(next(iter(baselines)))}"
    return f"{words[0].upper()}{words[1:]} to a residual of {tolerance:g}{against}"


def _with_seconds(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the seconds per system, rows in the order of families."""
    order = families_of(table.family)
    table = table.sort_values("family", key=lambda f: f.map(order.index), kind="stable")
    return table.assign(seconds=(table.setup_seconds + table.solve_seconds) / table.n_images)
