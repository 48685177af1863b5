"""Images per second of training loaders."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import grid, outside_legend
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style

_LOOKS = {
    "none": ("no scores", "0.6", "o"),
    "on_the_fly": ("exact scores on the fly", "C0", "s"),
    "stored_cached": ("stored scores, files cached", "C2", "^"),
    "stored_dropped": ("stored scores, files not cached", "C3", "v"),
}


@register("loader")
def plot_loader(table: pd.DataFrame) -> plt.Figure:
    """Rate against image size, a panel per number of worker processes."""
    workers = sorted(table.workers.unique())
    with figure_style():
        figure, axes = grid(1, len(workers), height=2.9, sharey=True)
        for axis, n in zip(axes[0], workers):
            for kind, (label, colour, marker) in _LOOKS.items():
                rows = table[(table.workers == n) & (table.scores == kind)].sort_values("size")
                reach = np.stack(
                    [rows.images_per_second - rows.low, rows.high - rows.images_per_second]
                )
                axis.errorbar(
                    rows["size"],
                    rows.images_per_second,
                    np.nan_to_num(reach),
                    fmt=marker + "-",
                    color=colour,
                    ms=4,
                    capsize=2,
                    label=label,
                )
            sizes = sorted(table["size"].unique())
            axis.set(xscale="log", yscale="log", xlabel="image size in pixels")
            axis.set_xticks(sizes, [str(s) for s in sizes], minor=False)
            axis.set_xticks([], minor=True)
            axis.set_title(f"{n} worker process{'es' if n > 1 else ''}")
        axes[0][0].set_ylabel("images per second")
        outside_legend(figure, axes[0][0], 2)
    return figure
