"""What recycled Krylov spaces save and cost."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import (
    described_sets,
    grid,
    headline,
    outside_legend,
    panels,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import BLUE, RED, figure_style, readable

_AGAINST = {"gmres": "against GMRES, same start", "warm_bicgstab": "against warm Bi-CGSTAB"}
_PRECONDITIONERS = {"none": "without P", "transform": "with P"}
_KEYS = ["solver", "preconditioner", "start"]
_ROW = 0.19  # inches


@register("recycling", question="sharing")
def plot_recycling(table: pd.DataFrame) -> plt.Figure:
    """Ratios in products (squares) and seconds (circles) of every solver, a row per image set."""
    mean = _mean(table)
    sets = panels(mean, "image_size", "dataset")
    ways = mean[_KEYS].drop_duplicates()
    heights = pd.Series(np.arange(len(ways))[::-1], pd.MultiIndex.from_frame(ways))
    labels = [
        f"{readable(solver)}, {_PRECONDITIONERS.get(p, readable(p))}, start {start}"
        for solver, p, start in heights.index
    ]
    with figure_style():
        figure, axes = grid(
            len(sets), len(_AGAINST), height=0.5 + _ROW * len(ways), sharex=True, sharey=True
        )
        for row, (size, dataset) in zip(axes, sets):
            chosen = mean[(mean.dataset == dataset) & (mean.image_size == size)]
            for axis, (other, title) in zip(row, _AGAINST.items()):
                _ratios(axis, chosen, other, heights.loc[list(zip(*(chosen[k] for k in _KEYS)))])
                axis.set(xscale="log", title=f"{dataset}: {title}")
        axes[0][0].set_yticks(heights, labels)
        axes[0][0].set_ylim(-0.7, len(ways) - 0.3)
        for axis in axes[:, 0]:
            axis.tick_params(axis="y", labelsize=6.5)
        for axis in axes[-1]:
            axis.set_xlabel("ratio (above 1: the solver needs less)")
        headline(
            figure,
            finding(table),
            f"{described_sets(table)}. Products and seconds of another solver over its own, on the "
            "same sequences of systems; bars: 95 % intervals over repeats.",
        )
        outside_legend(figure, axes[0][0], 2)
    return figure


def _ratios(axis, chosen: pd.DataFrame, other: str, heights: pd.Series) -> None:
    axis.axvline(1.0, color="0.6", lw=1, zorder=0)
    products = chosen[f"products_vs_{other}"]
    axis.plot(products, heights, "s", color=BLUE, mfc="none", label="products with A")
    middle = chosen[f"seconds_vs_{other}"]
    low, high = (chosen[f"seconds_vs_{other}_{end}"] for end in ("low", "high"))
    reach = [middle - low, high - middle] if low.notna().all() else None
    axis.errorbar(
        middle, heights, xerr=reach, fmt="o", ms=3, elinewidth=0.8, color=RED, label="seconds"
    )


def _mean(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per image set and way to solve, averaged over random seeds."""
    table = table[table.recycle.notna()]
    table = table.assign(preconditioner=table.preconditioner.fillna("none"))
    keys = ["image_size", "dataset", "recycle", *_KEYS]
    values = [c for c in table if "_vs_" in c]
    return table.groupby(keys, sort=False)[values].mean().reset_index()


def finding(table: pd.DataFrame) -> str:
    """Return how many of the ways to recycle need less than warm-started Bi-CGSTAB."""
    mean = _mean(table)
    recycled = mean[mean.recycle != "none"]
    if recycled.empty:
        return "Nothing was recycled"
    n = len(recycled)
    fewer = int((recycled.products_vs_warm_bicgstab > 1).sum())
    words = f"Of {n} ways to recycle {fewer or 'none'} {'takes' if fewer < 2 else 'take'} fewer "
    words += "products than warm-started Bi-CGSTAB"
    if recycled.seconds_vs_warm_bicgstab_low.isna().any():
        return f"{words}; times have no intervals"
    faster = int((recycled.seconds_vs_warm_bicgstab_low > 1).sum())
    slower = int((recycled.seconds_vs_warm_bicgstab_high < 1).sum())
    undecided = n - faster - slower
    return f"{words}; in time {faster or 'none'} take less, {slower} more, {undecided} undecided"
