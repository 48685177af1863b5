"""Projection on image sets of different diversity."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import grid, outside_legend
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import BASES, figure_style


@register("diversity")
def plot_diversity(table: pd.DataFrame) -> plt.Figure:
    """Residual after projection on every image set, ordered by the set's mean image distance."""
    steps = sorted(table.step.unique())
    means = table.groupby("dataset").image_distance_mean.mean().sort_values()
    colours = BASES
    with figure_style():
        figure, axes = grid(1, len(steps), height=0.45 * len(means) + 1.2, sharey=True)
        places = {dataset: k for k, dataset in enumerate(means.index)}
        for axis, step in zip(axes[0], steps):
            for basis in BASES:
                group = table[(table.step == step) & (table.basis == basis)]
                if group.empty:
                    continue
                mean = group.groupby("dataset")[
                    ["residual_median", "residual_q25", "residual_q75"]
                ].mean()
                axis.errorbar(
                    mean.residual_median,
                    [places[dataset] for dataset in mean.index],
                    xerr=[
                        mean.residual_median - mean.residual_q25,
                        mean.residual_q75 - mean.residual_median,
                    ],
                    fmt="o",
                    color=colours[basis],
                    label=basis,
                )
            axis.set(xscale="log", xlabel="relative residual", title=f"step {step}")
        axes[0][0].set_yticks(
            range(len(means)), [f"{name}\n(d = {d:.2f})" for name, d in means.items()]
        )
        axes[0][0].set_ylim(-0.6, len(means) - 0.4)
        outside_legend(figure, axes[0][0], 4)
    return figure
