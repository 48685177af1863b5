"""Marches with projected solutions alone."""

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
from crosskrylov.reporting.figures.style import GREY, figure_style, palette_for, readable

_QUANTITIES = {
    "residual": "relative residual (median)",
    "score_error": "score error (relative 2-norm)",
    "embedded_error": "RMS of embedded images",
}


@register("unrefined", question="projection")
def plot_unrefined(table: pd.DataFrame) -> plt.Figure:
    """Residual, score error and error of the embedded images against time, a row per image set."""
    sets = panels(table, "image_size", "dataset")
    colours = palette_for(table[table.n_seeds.notna()].solver)
    with figure_style():
        figure, axes = grid(len(sets), len(_QUANTITIES), height=2.6, sharex=True)
        for row, (size, dataset) in zip(axes, sets):
            chosen = table[(table.dataset == dataset) & (table.image_size == size)]
            for axis, (quantity, label) in zip(row, _QUANTITIES.items()):
                for solver, group in chosen.groupby("solver", sort=False):
                    mean = group.groupby("time")[quantity].mean()
                    colour = colours.get(solver, GREY)
                    if group.states_tolerance.iloc[0]:
                        colour = "black"
                    style = {"color": colour, "lw": 1.2, "marker": ".", "ms": 3}
                    axis.plot(mean.index, mean, label=_label(group.iloc[0]), **style)
                axis.set(yscale="log", ylabel=label)
            row[0].set_title(f"{dataset}: {size}²", loc="left")
            moved = chosen.groupby("time").displacement.mean()
            row[2].plot(moved.index, moved, ":", color="0.3", lw=1, label="displacement itself")
        for axis in axes[-1]:
            axis.set_xlabel("time t")
        headline(
            figure,
            finding(table),
            f"{described_sets(table)}. Means over images. Black: every system solved; grey: nothing"
            " solved; colours: projected solutions, m: dimension of a seed's space.",
        )
        outside_legend(figure, axes[0][2], 3)
    return figure


def _label(row) -> str:
    if pd.isna(row.n_seeds):
        return readable(row.solver)
    return f"{readable(row.solver)}: {row.n_seeds:.0f} seeds, m = {row.dimension:.0f}"


def finding(table: pd.DataFrame) -> str:
    """Return how the score errors at the end compare with those of a solved march."""
    last = table[table.step == table.step.max()]
    keys = ["image_size", "dataset"]
    solved = last[last.states_tolerance.astype(bool)].groupby(keys).score_error.mean()
    errors = last[last.n_seeds.notna()].groupby([*keys, "solver"]).score_error.mean()
    ratios = (errors / solved).dropna()  # joined by the set
    if ratios.empty:
        return "Marches with projected solutions alone"
    (*_, least), (*_, most) = ratios.idxmin(), ratios.idxmax()
    low, high = ratios.min(), ratios.max()
    if low > 0.95 and high < 1.05:
        return "At the last step the unrefined scores' error is within 5 % of a solved march's"
    words = f"{_times(low)} ({readable(least)})"
    words += f" to {_times(high)} ({readable(most)})" if len(ratios) > 1 else ""
    return f"At the last step the unrefined scores' error is {words} times that of a solved march"


def _times(value: float) -> str:
    """Return a ratio with two digits, and in full from 100 on."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"
