"""Projection against the likeness of seed and target."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import grid
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style


@register("likeness")
def plot_likeness(table: pd.DataFrame) -> plt.Figure:
    """Reduction of the residual against two distances of seed and target, with rank correlation.

    Parameters
    ----------
    table : DataFrame
        likeness_pairs.tsv.
    """
    table = table[table.image_size == table.image_size.max()]
    steps = sorted(table.step.unique())
    distances = {
        "log_density_distance": "distance of log-densities",
        "matrix_distance": "distance of matrices",
    }
    with figure_style():
        figure, axes = grid(2, len(steps), sharey="col")
        for row, (distance, label) in enumerate(distances.items()):
            for axis, step in zip(axes[row], steps):
                chosen = table[table.step == step]
                axis.scatter(
                    chosen[distance], chosen.reduction, s=3, alpha=0.3, lw=0, rasterized=True
                )
                correlation = [
                    g[distance].corr(g.reduction, method="spearman")
                    for _, g in chosen.groupby("seed")
                ]
                spread = f" ± {np.std(correlation):.2f}" if len(correlation) > 1 else ""
                axis.set_title(rf"step {step}: $\rho$ = {np.mean(correlation):.2f}{spread}")
                axis.set(xscale="log", yscale="log", xlabel=label)
            axes[row][0].set_ylabel("residual / start residual")
    return figure
