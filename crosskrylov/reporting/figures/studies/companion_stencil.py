"""What the companion code's assembly does to the scores."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import grid, outside_legend
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for, readable


@register("companion_stencil")
def plot_companion_stencil(table: pd.DataFrame) -> plt.Figure:
    """Relative difference of the scores by step, border and interior apart."""
    table = table[(table.variant != "equation_4") & table.finite]
    table = table[table.image_size == table.image_size.max()]
    colours = palette_for(table.variant)
    first = table[(table.region == "all") & (table.step == table.step.min())]
    with figure_style():
        figure, axes = grid(1, 2, height=2.8, sharey=True)
        for axis, region in zip(axes[0], ("border", "interior")):
            for variant, group in table[table.region == region].groupby("variant", sort=False):
                mean = group.groupby("step").difference_mean.mean()
                axis.plot(mean.index, mean, "o-", color=colours[variant], label=readable(variant))
            axis.set(xlabel="time step", yscale="log", title=f"{region} pixels")
        axes[0][0].set_ylabel("difference of the score\n(relative 2-norm)")
        sizes = first.groupby("variant", sort=False).difference_mean.mean()
        figure.suptitle(
            f"At step {table.step.min()} the companion code's assembly moves the scores by "
            f"{sizes.min():.0%} to {sizes.max():.0%}"
        )
        outside_legend(figure, axes[0][0], 2)
    return figure
