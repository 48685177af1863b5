"""Projection on image sets of different diversity."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import described_sets, grid, headline, outside_legend
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import BASES, figure_style

#: Rank correlations above it are called an order.
_ORDERED = 0.9


@register("diversity", question="likeness")
def plot_diversity(table: pd.DataFrame) -> plt.Figure:
    """Residual after projection on every image set, ordered by the set's mean image distance."""
    steps = sorted(table.step.unique())
    means = table.groupby("dataset").image_distance_mean.mean().sort_values()
    shown = [basis for basis in BASES if basis in set(table.basis)]
    columns = min(2, len(steps))
    rows = -(-len(steps) // columns)
    with figure_style():
        figure, axes = grid(rows, columns, height=0.34 * len(means) + 0.9, sharey=True)
        for axis in axes.flat[len(steps) :]:
            axis.set_axis_off()
        for axis, step in zip(axes.flat, steps):
            for k, basis in enumerate(shown):
                group = table[(table.step == step) & (table.basis == basis)].groupby("dataset")
                columns_ = ["residual_median", "residual_q25", "residual_q75"]
                mean = group[columns_].mean().reindex(means.index)
                median, low, high = (mean[name] for name in columns_)
                axis.errorbar(
                    median,
                    [place + 0.15 * (k - (len(shown) - 1) / 2) for place in range(len(means))],
                    xerr=[(median - low).clip(lower=0), (high - median).clip(lower=0)],
                    fmt="o",
                    color=BASES[basis],
                    label=basis,
                    lw=1,
                )
            axis.set(xscale="log", title=f"time step {step}")
        for axis in axes[-1]:
            axis.set_xlabel("relative residual")
        for row in axes:
            row[0].set_yticks(
                range(len(means)), [f"{name}, d = {d:.2f}" for name, d in means.items()]
            )
            row[0].set_ylim(-0.6, len(means) - 0.4)
        headline(
            figure,
            finding(table),
            f"{described_sets(table)}. d: mean relative distance of two images' log-densities. "
            "start only: no projection; own: the target's own Krylov space. Bars: quartiles.",
        )
        outside_legend(figure, axes[0][0], 5)
    return figure


def finding(table: pd.DataFrame) -> str:
    """Return whether the gain follows the sets' diversity, at the first time step."""
    first = table[table.step == table.step.min()]
    residual = first.groupby(["dataset", "basis"]).residual_median.mean().unstack("basis")
    if not {"start only", "nearest seed"} <= set(residual):
        return "Residuals after projection, by the diversity of the images"
    left = (residual["nearest seed"] / residual["start only"]).dropna()
    best, worst = left.idxmin(), left.idxmax()
    values = f"{left[best]:.0%} of the residual left on {best}"
    if len(left) < 3:
        other = f", {left[worst]:.0%} on {worst}" if len(left) > 1 else ""
        return f"Too few sets to tell what diversity does: {values}{other} at the first step"
    distance = table.groupby("dataset").image_distance_mean.mean()
    rho = left.corr(distance.reindex(left.index), method="spearman")
    ends = f"{values}, {left[worst]:.0%} on {worst}"
    if rho >= _ORDERED:
        return f"The smaller a set's distance d, the more a projection gains: {ends}"
    if rho <= -_ORDERED:
        return f"The larger a set's distance d, the more a projection gains: {ends}"
    return f"The gain does not follow the distance d (rank correlation {rho:.1f}): {ends}"
