"""Marches with projected solutions alone."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import grid, outside_legend, panels
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for, readable

_QUANTITIES = {
    "residual": "relative residual (median)",
    "score_error": "score error (relative 2-norm)",
    "embedded_error": "RMS of embedded images",
}


@register("unrefined")
def plot_unrefined(table: pd.DataFrame) -> plt.Figure:
    """Residual, score error and error of the embedded images against time, a row per image set."""
    sets = panels(table, "image_size", "dataset")
    projected = list(dict.fromkeys(table[table.n_seeds.notna()].solver))
    colours = palette_for(projected)
    with figure_style():
        figure, axes = grid(len(sets), len(_QUANTITIES), height=2.6, sharex=True)
        for row, (size, dataset) in zip(axes, sets):
            chosen = table[(table.dataset == dataset) & (table.image_size == size)]
            for axis, (quantity, label) in zip(row, _QUANTITIES.items()):
                for solver, group in chosen.groupby("solver", sort=False):
                    mean = group.groupby("time")[quantity].mean()
                    colour = colours.get(solver, "0.6")
                    if group.states_tolerance.iloc[0]:
                        colour = "black"
                    style = {"color": colour, "lw": 1.2, "marker": ".", "ms": 3}
                    axis.plot(mean.index, mean, label=_label(group.iloc[0]), **style)
                axis.set(yscale="log", ylabel=label)
                axis.set_xlabel("time t")
            row[0].set_title(f"{dataset}: {size}²", loc="left")
            moved = chosen.groupby("time").displacement.mean()
            row[2].plot(moved.index, moved, ":", color="0.3", lw=1, label="displacement itself")
        outside_legend(figure, axes[0][2], 3)
        figure.suptitle(_finding(table), size="medium")
    return figure


def _label(row) -> str:
    if pd.isna(row.n_seeds):
        return readable(row.solver)
    return f"{readable(row.solver)}: {row.n_seeds:.0f} seeds, m = {row.dimension:.0f}"


def _finding(table: pd.DataFrame) -> str:
    """Return how the score errors at the end compare with those of a solved march."""
    last = table[table.step == table.step.max()]
    solved = last[last.states_tolerance.astype(bool)].score_error.mean()
    errors = last[last.n_seeds.notna()].groupby("solver").score_error.mean()
    if pd.isna(solved) or errors.empty:
        return "Marches with projected solutions alone"
    low, high = errors.min() / solved, errors.max() / solved
    return (
        f"At the last step the unrefined scores' error is {low:.3g} to {high:.3g} times that of a "
        "solved march"
    )
