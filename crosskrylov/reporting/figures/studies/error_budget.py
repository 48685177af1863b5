"""Where the score error comes from."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import grid, outside_legend, panels
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for

_SOURCES = {
    "linear": "linear tolerance",
    "picard": "Picard tolerance",
    "time_step": "time steps",
    "grid": "grid refinement",
}


@register("error_budget")
def plot_error_budget(table: pd.DataFrame) -> plt.Figure:
    """Score error against the exact solution while one source of error varies at a time."""
    sets = panels(table, "image_size", "dataset")
    colours = palette_for(dataset for _, dataset in sets)
    with figure_style():
        figure, axes = grid(1, len(_SOURCES), height=2.6, sharey=True)
        figure.set_figwidth(7.2)
        for axis, (source, label) in zip(axes[0], _SOURCES.items()):
            for size, dataset in sets:
                chosen = table[(table.source == source) & (table.dataset == dataset)]
                by_seed = chosen.pivot_table(
                    index="setting", columns="seed", values="score_error_mean"
                )
                mean = by_seed.mean(axis=1)
                axis.plot(
                    mean.index, mean, "o-", color=colours[dataset], label=f"{dataset} ({size}²)"
                )
                axis.fill_between(
                    mean.index,
                    by_seed.min(axis=1),
                    by_seed.max(axis=1),
                    color=colours[dataset],
                    alpha=0.2,
                    lw=0,
                )
            axis.set(xscale="log", yscale="log", xlabel=label)
            if source in ("linear", "picard"):
                axis.invert_xaxis()
            else:
                settings = sorted(table[table.source == source].setting.astype(int).unique())
                axis.set_xticks(settings, [str(s) for s in settings])
                axis.minorticks_off()
        axes[0][0].set_ylabel("score error (relative 2-norm)")
        outside_legend(figure, axes[0][0], 3)
    return figure
