"""Projection against the likeness of seed and target."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import (
    described_sets,
    grid,
    headline,
    outside_legend,
    panels,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import BLUE, RED, figure_style

_DISTANCES = {
    "log_density_distance": ("distance of the log-densities", BLUE),
    "matrix_distance": ("distance of the matrices", RED),
}


@register("likeness", question="likeness")
def plot_likeness(table: pd.DataFrame) -> plt.Figure:
    """Rank correlation of distance and remaining residual, and that residual, by time step.

    Parameters
    ----------
    table : DataFrame
        likeness.tsv; a column of panels per image set, points are random seeds.
    """
    sets = panels(table, "image_size", "dataset")
    steps = sorted(table.step.unique())
    with figure_style():
        figure, axes = grid(2, len(sets), height=2.0, sharex=True, sharey="row")
        for column, (size, dataset) in enumerate(sets):
            upper, lower = axes[0][column], axes[1][column]
            chosen = table[table.dataset == dataset]
            for distance, (label, colour) in _DISTANCES.items():
                rows = chosen[chosen.distance == distance]
                mean = rows.groupby("step").spearman.mean()
                upper.plot(mean.index, mean, "-", color=colour, label=label)
                upper.plot(rows.step, rows.spearman, "o", color=colour, ms=3)
            mean = chosen.groupby("step").reduction_median.mean()
            lower.plot(mean.index, mean, "-", color="0.3")
            lower.plot(chosen.step, chosen.reduction_median, "o", color="0.3", ms=3)
            upper.axhline(0, color="0.7", lw=0.8, zorder=0)
            lower.axhline(1, color="0.7", lw=0.8, ls="--", zorder=0)
            upper.set(title=f"{dataset} ({size}²)", ylim=(min(-0.1, table.spearman.min()), 1))
            lower.set(xscale="log", yscale="log", xlabel="time step")
            lower.set_xticks(steps, [str(step) for step in steps])
            lower.minorticks_off()
        axes[0][0].set_ylabel("rank correlation ρ\nof distance and residual left")  # noqa: RUF001
        axes[1][0].set_ylabel("residual left\n(1: no gain)")
        headline(
            figure,
            finding(table),
            f"{described_sets(table)}; every ordered pair of images, target projected on the "
            "seed's space. Residual left: residual after over before the projection, median.",
        )
        outside_legend(figure, axes[0][0], 2)
    return figure


def finding(table: pd.DataFrame) -> str:
    """Return how far likeness tells the gain, at the first and the last time step."""
    rho = table[table.distance == "log_density_distance"].groupby("step").spearman.mean()
    if rho.empty:
        return "How much of a target's residual its seed's space leaves"
    words = [
        f"{_strength(value)} at step {step} (ρ = {value:.2f})"  # noqa: RUF001
        for step, value in rho.iloc[[0, -1][: len(rho)]].items()
    ]
    return f"How alike seed and target are tells what a projection gains {', '.join(words)}"


def _strength(rho: float) -> str:
    if abs(rho) < 0.1:
        return "not at all"
    return "clearly" if rho >= 0.5 else "weakly" if rho > 0 else "the wrong way round"
