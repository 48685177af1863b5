"""Conditioning of the systems."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import grid, outside_legend, panels
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for


@register("system_summary")
def plot_system_summary(table: pd.DataFrame) -> plt.Figure:
    """Condition estimates and iterations by time step and image size."""
    sets = panels(table, "image_size", "dataset")
    with figure_style():
        figure, axes = grid(1, 3, height=2.6)
        colours = palette_for(str(size) for size, _ in sets)
        for quantity, axis, label in (
            ("condition_2", axes[0][0], "condition estimate (2-norm)"),
            ("asymmetry", axes[0][1], "asymmetry ‖A - Aᵀ‖ / ‖A‖"),
            ("start_residual_median", axes[0][2], "residual of the previous step"),
        ):
            for size, dataset in sets:
                chosen = table[table.dataset == dataset]
                n_steps = chosen.time_steps.iloc[0] if "time_steps" in chosen else 1
                mean = chosen.groupby("step")[quantity].mean()
                axis.plot(
                    mean.index / n_steps,
                    mean,
                    "o-",
                    color=colours[str(size)],
                    label=f"{dataset} ({size}²)",
                )
            axis.set(xscale="log", yscale="log", ylabel=label)
            axis.set_xlabel("time / T" if "time_steps" in table else "time step")
        outside_legend(figure, axes[0][0], 3)
    return figure
