"""Projection against number and selection of seeds."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import described_sets, grid, headline, outside_legend
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for, readable

#: Panels' words for the two ways of using seeds.
_USES = {"nearest": "nearest seed's space", "joint": "all seeds' spaces"}


@register("seed_choice", question="likeness")
def plot_seed_choice(table: pd.DataFrame) -> plt.Figure:
    """Residual after projection against the number of seeds, by selection; columns are steps."""
    table = table[table.image_size == table.image_size.max()]
    steps = sorted(table.step.unique())
    colours = palette_for(table.selection)
    with figure_style():
        figure, axes = grid(2, len(steps), height=2.1, sharex=True, sharey="col")
        for row, (basis, words) in enumerate(_USES.items()):
            for axis, step in zip(axes[row], steps):
                chosen = table[(table.step == step) & (table.basis == basis)]
                for selection, group in chosen.groupby("selection", sort=False):
                    by_draw = group.groupby("n_seeds").residual_median
                    mean, low, high = by_draw.mean(), by_draw.min(), by_draw.max()
                    colour, label = colours[selection], readable(selection)
                    axis.plot(mean.index, mean, "o-", color=colour, label=label, lw=1, ms=3)
                    axis.fill_between(mean.index, low, high, color=colour, alpha=0.12, lw=0)
                axis.set(xscale="log", yscale="log")
                counts = sorted(table.n_seeds.unique())
                axis.set_xticks(counts, [str(c) for c in counts])
                axis.minorticks_off()
                axis.set_title(f"time step {step}" if row == 0 else "")
            axes[row][0].set_ylabel(f"relative residual,\n{words}")
        for axis in axes[1]:
            axis.set_xlabel("number of seeds")
        headline(
            figure,
            finding(table),
            f"{described_sets(table)}. Median over targets, mean over seeds; bands: range. greedy "
            "pairwise has seen the residuals of all pairs: a yardstick.",
        )
        outside_legend(figure, axes[0][0], 6)
    return figure


def finding(table: pd.DataFrame) -> str:
    """Return what matters more: how many seeds or which, where all their spaces are used."""
    joint = table[table.basis == "joint"]
    mean = joint.groupby(["step", "selection", "n_seeds"]).residual_median.mean().unstack()
    few, many = mean.columns.min(), mean.columns.max()
    if few == many:
        return f"Residuals after projection on the spaces of {many} seed{'s' * (many > 1)}"
    number = _fold(mean[few] / mean[many])
    of_many = mean[many].groupby("step")
    choice = _fold(of_many.max() / of_many.min())
    more = "The number of seeds matters more than their choice"
    if choice > number:
        more = "The choice of seeds matters more than their number"
    return (
        f"{more}: {many} instead of {few} lower the residual {number:.2g}-fold, the best choice "
        f"of {many} instead of the worst {choice:.2g}-fold"
    )


def _fold(ratios: pd.Series) -> float:
    """Return the geometric mean."""
    return float(np.exp(np.log(ratios.dropna()).mean()))
