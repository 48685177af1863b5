"""Projection against number and selection of seeds."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import grid, outside_legend
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for, readable


@register("seed_choice")
def plot_seed_choice(table: pd.DataFrame) -> plt.Figure:
    """Residual after projection against the number of seeds, by selection; columns are steps."""
    table = table[table.image_size == table.image_size.max()]
    steps = sorted(table.step.unique())
    colours = palette_for(table.selection)
    with figure_style():
        figure, axes = grid(2, len(steps), sharex=True, sharey="col")
        for row, basis in enumerate(("nearest", "joint")):
            for axis, step in zip(axes[row], steps):
                chosen = table[(table.step == step) & (table.basis == basis)]
                for selection, group in chosen.groupby("selection", sort=False):
                    by_draw = group.groupby("n_seeds").residual_median
                    mean, low, high = by_draw.mean(), by_draw.min(), by_draw.max()
                    colour, label = colours[selection], readable(selection)
                    axis.plot(mean.index, mean, "o-", color=colour, label=label)
                    axis.fill_between(mean.index, low, high, color=colour, alpha=0.15, lw=0)
                axis.set(xscale="log", yscale="log")
                counts = sorted(table.n_seeds.unique())
                axis.set_xticks(counts, [str(c) for c in counts])
                axis.minorticks_off()
                axis.set_title(f"step {step}: {basis} seed{'s' if basis == 'joint' else ''}")
            axes[row][0].set_ylabel("median residual of targets")
        for axis in axes[1]:
            axis.set_xlabel("number of seeds")
        outside_legend(figure, axes[0][0], 3)
    return figure
