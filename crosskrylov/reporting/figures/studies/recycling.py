"""What recycled Krylov spaces save and cost."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import grid
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for, readable

_AGAINST = {"gmres": "against GMRES, same start", "warm_bicgstab": "against warm Bi-CGSTAB"}
_PRECONDITIONERS = {"none": "without P", "transform": "with P"}
_ROW = 0.24  # inches


@register("recycling")
def plot_recycling(table: pd.DataFrame) -> plt.Figure:
    """Ratios in products (squares) and seconds (circles) of every recycling solver."""
    table = table[table.recycle.notna()]
    table = table.assign(preconditioner=table.preconditioner.fillna("none"))
    keys = ["solver", "recycle", "preconditioner", "start"]
    colours = palette_for(["products", "seconds"])
    values = [c for c in table if "_vs_" in c]
    mean = table.groupby(keys, sort=False)[values].mean().reset_index()
    labels = [
        f"{readable(r.solver)}, {_PRECONDITIONERS[r.preconditioner]}, start {r.start}"
        for r in mean.itertuples()
    ]
    heights = np.arange(len(mean))[::-1]
    with figure_style():
        figure, axes = grid(1, 2, height=0.9 + _ROW * len(mean), sharex=True, sharey=True)
        figure.set_figwidth(7.2)
        for axis, (other, title) in zip(axes[0], _AGAINST.items()):
            axis.axvline(1.0, color="0.6", lw=1, zorder=0)
            axis.plot(
                mean[f"products_vs_{other}"],
                heights,
                "s",
                color=colours["products"],
                label="products with A",
            )
            middle = mean[f"seconds_vs_{other}"]
            low, high = (mean[f"seconds_vs_{other}_{end}"] for end in ("low", "high"))
            reach = [middle - low, high - middle] if low.notna().all() else None
            axis.errorbar(
                middle, heights, xerr=reach, fmt="o", color=colours["seconds"], label="seconds"
            )
            axis.set(xscale="log", title=title, xlabel="ratio (above 1: recycling needs less)")
        axes[0][0].set_yticks(heights, labels, size=7)
        handles, names = axes[0][0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2)
        sets = ", ".join(f"{d} ({n}²)" for n, d in sorted({*zip(table.image_size, table.dataset)}))
        figure.suptitle(f"{_finding(mean)}\n{sets}", size="medium")
    return figure


def _finding(mean: pd.DataFrame) -> str:
    """Return how many of the solvers need less than warm-started Bi-CGSTAB."""
    recycled = mean[mean.recycle != "none"]
    fewer = int((recycled.products_vs_warm_bicgstab > 1).sum())
    faster = int((recycled.seconds_vs_warm_bicgstab_low > 1).sum())
    return (
        f"Of {len(recycled)} ways to recycle {fewer} take fewer products than warm-started "
        f"Bi-CGSTAB, {faster} less time"
    )
