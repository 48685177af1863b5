"""Refinement with and without a projection before it."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import grid, outside_legend
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for


@register("warm_start")
def plot_warm_start(table: pd.DataFrame) -> plt.Figure:
    """Show iterations with and without projection, paired; below the diagonal it helps."""
    bases = list(dict.fromkeys(table.basis))
    colours = palette_for(dict.fromkeys(table.start))
    markers = dict(zip(sorted(table.step.unique()), "o^sDvPX"))
    with figure_style():
        figure, axes = grid(1, len(bases), height=3.0, sharex=True, sharey=True)
        largest = table[["iterations_with", "iterations_without"]].max().max() * 1.08
        for axis, basis in zip(axes[0], bases):
            for (start, step), group in table[table.basis == basis].groupby(["start", "step"]):
                axis.plot(
                    group.iterations_without,
                    group.iterations_with,
                    markers.get(step, "o"),
                    color=colours[start],
                    mfc="none" if step == table.step.min() else colours[start],
                    label=f"{start}, step {step}",
                )
            axis.plot([0, largest], [0, largest], color="0.6", lw=1, zorder=0)
            axis.text(0.97, 0.05, "projection helps", transform=axis.transAxes, ha="right", size=8)
            axis.text(0.03, 0.92, "projection hurts", transform=axis.transAxes, size=8)
            axis.set(
                xlim=(0, largest),
                ylim=(0, largest),
                xlabel="iterations without projection",
                title=f"basis: {basis}",
                aspect="equal",
            )
        axes[0][0].set_ylabel("iterations with projection")
        outside_legend(figure, axes[0][0], 3)
    return figure
