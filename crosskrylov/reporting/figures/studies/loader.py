"""Images per second of training loaders."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import grid, headline, label_ends
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import BLUE, GREY, OCHRE, RED, figure_style

_LOOKS = {
    "none": ("no scores", GREY, "o"),
    "on_the_fly": ("on the fly", RED, "s"),
    "stored_cached": ("stored, cached", BLUE, "^"),
    "stored_dropped": ("stored, not cached", OCHRE, "v"),
}


@register("loader", question="engine")
def plot_loader(table: pd.DataFrame) -> plt.Figure:
    """Rate against image size, a panel per number of worker processes."""
    workers = sorted(table.workers.unique())
    with figure_style():
        figure, axes = grid(1, max(len(workers), 2), height=2.5, sharey=True)
        for axis in axes[0][len(workers) :]:
            axis.set_axis_off()
        for axis, n in zip(axes[0], workers):
            for kind, (label, colour, marker) in _LOOKS.items():
                rows = table[(table.workers == n) & (table.scores == kind)].sort_values("size")
                reach = np.stack(
                    [rows.images_per_second - rows.low, rows.high - rows.images_per_second]
                )
                x, y = rows["size"], rows.images_per_second
                axis.plot(x, y, marker + "-", color=colour, mfc="none", lw=1.2, label=label)
                axis.errorbar(x, y, np.nan_to_num(reach), fmt="none", ecolor=colour, capsize=2)
            sizes = sorted(table["size"].unique())
            axis.set(xscale="log", yscale="log", xlabel="image side (pixels)")
            axis.set_xticks(sizes, [f"{size}²" for size in sizes])
            axis.minorticks_off()
            axis.set_title(f"{n} worker process{'es' if n > 1 else ''}")
        axes[0][0].set_ylabel("images per second")
        headline(
            figure,
            finding(table),
            "A loader that decodes JPEG files, with exact scores of one drawn time computed on the "
            "fly, or a drawn step of stored scores whose files are in the page cache or not. "
            "Medians with 95 % intervals.",
        )
        label_ends(axes[0][len(workers) - 1])
    return figure


def finding(table: pd.DataFrame) -> str:
    """Return by intervals where stored scores are read faster than exact ones are computed."""
    rows = table.groupby(["workers", "size", "scores"])[["low", "high"]].mean().unstack("scores")
    words = []
    for kind, where in (("stored_cached", "cached"), ("stored_dropped", "not cached")):
        if not {kind, "on_the_fly"} <= set(table.scores):
            continue
        stored, fly = (rows.xs(name, axis=1, level="scores") for name in (kind, "on_the_fly"))
        faster, slower = (stored.low > fly.high).sum(), (stored.high < fly.low).sum()
        words.append(f"{faster} of {len(rows)} cases (slower in {slower}) with files {where}")
    if not words:
        return "Images per second of the loader"
    if rows.isna().any(axis=None):
        return "Images per second with stored scores and with scores on the fly, without intervals"
    return f"Stored scores load faster than those on the fly in {' and in '.join(words)}"
