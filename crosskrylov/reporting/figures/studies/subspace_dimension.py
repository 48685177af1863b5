"""Projection alone against the subspace dimension."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import grid, outside_legend
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import BASES, figure_style, readable


@register("subspace_dimension")
def plot_subspace_dimension(table: pd.DataFrame) -> plt.Figure:
    """Residual and score error after projection against m; columns are time steps."""
    table = table[table.image_size == table.image_size.max()]
    steps = sorted(table.step.unique())
    colours = BASES
    with figure_style():
        figure, axes = grid(2, len(steps), sharex=True, sharey="row")
        for row, quantity in enumerate(("residual", "score_error")):
            for axis, step in zip(axes[row], steps):
                for (basis, projection), group in table[table.step == step].groupby(
                    ["basis", "projection"], sort=False
                ):
                    mean = group.groupby("dimension")[
                        [f"{quantity}_{q}" for q in ("median", "q25", "q75")]
                    ].mean()
                    line = "-" if projection == "galerkin" else ":"
                    median, low, high = (mean[c] for c in mean)
                    label = f"{basis}, {readable(projection)}"
                    axis.plot(
                        mean.index, median, line, marker=".", color=colours[basis], label=label
                    )
                    if projection == "galerkin":
                        axis.fill_between(
                            mean.index, low, high, color=colours[basis], alpha=0.15, lw=0
                        )
                axis.set_yscale("log")
                axis.set_xscale("symlog", base=2, linthresh=2, linscale=0.5)
                axis.set_xlim(-0.2, table.dimension.max() * 1.1)
                ticks = sorted(table.dimension.unique())
                axis.set_xticks(ticks, [str(m) for m in ticks])
        for axis, step in zip(axes[0], steps):
            axis.set_title(f"step {step}, {table.image_size.iloc[0]}²")
        for axis in axes[1]:
            axis.set_xlabel("subspace dimension m")
        axes[0][0].set_ylabel("relative residual")
        axes[1][0].set_ylabel("score error")
        outside_legend(figure, axes[0][0], 2)
    return figure
