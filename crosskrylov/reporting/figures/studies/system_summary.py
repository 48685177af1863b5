"""Conditioning of the systems."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import (
    described_sets,
    enumerated,
    grid,
    headline,
    outside_legend,
    panels,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for


@register("system_summary", question="accuracy")
def plot_system_summary(table: pd.DataFrame) -> plt.Figure:
    """Condition estimates and iterations by time step and image size."""
    sets = panels(table, "image_size", "dataset")
    with figure_style():
        figure, axes = grid(1, 3, height=2.5)
        colours = palette_for(dataset for _, dataset in sets)
        for quantity, axis, label in (
            ("condition_2", axes[0][0], "condition estimate (2-norm)"),
            ("asymmetry", axes[0][1], "asymmetry ‖A - Aᵀ‖ / ‖A‖"),
            ("start_residual_median", axes[0][2], "relative residual of the previous step"),
        ):
            for size, dataset in sets:
                chosen = table[table.dataset == dataset]
                n_steps = chosen.time_steps.iloc[0] if "time_steps" in chosen else 1
                mean = chosen.groupby("step")[quantity].mean()
                axis.plot(
                    mean.index / n_steps,
                    mean,
                    "o-",
                    color=colours[dataset],
                    label=f"{dataset} ({size}²)",
                )
            axis.set(xscale="log", yscale="log", ylabel=label)
            axis.set_xlabel("time / T" if "time_steps" in table else "time step")
        headline(
            figure,
            finding(table),
            f"{described_sets(table)}. Means over seeds of the systems of a few time steps.",
        )
        outside_legend(figure, axes[0][0], 4)
    return figure


def finding(table: pd.DataFrame) -> str:
    """Return how the condition estimate depends on size and on time."""
    mean = table.groupby(["image_size", "step"]).condition_2.mean().dropna().unstack("step")
    if mean.empty:
        return "The systems by time step: conditioning was not estimated"
    change = (mean.max(axis=1) / mean.min(axis=1)).max()
    time = f"hardly changes with time ({change - 1:.1%})"
    if change > 1.2:
        time = f"changes {change:.1f}-fold with time"
    by_size = mean.mean(axis=1)
    values = enumerated(f"{value:.0f} ({size}²)" for size, value in by_size.items())
    if len(by_size) == 1:
        return f"The systems' condition estimate, {values}, {time}"
    power = np.polyfit(np.log(by_size.index), np.log(by_size), 1)[0]
    return f"The condition estimate grows as size to the {power:.1f}, {values}, and {time}"
