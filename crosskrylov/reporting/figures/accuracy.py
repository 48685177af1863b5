"""Figures about errors against exact solutions: error budget and convergence."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.studies import grid, outside_legend, panels
from crosskrylov.reporting.figures.style import figure_style, palette_for, readable

_SOURCES = {
    "linear": "linear tolerance",
    "picard": "Picard tolerance",
    "time_step": "time steps",
    "grid": "grid refinement",
}


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


def plot_convergence(table: pd.DataFrame) -> plt.Figure:
    """Score error against step size, with the slopes of first and second order."""
    looks = (
        ("time_step", "time step Δt", 1, ("time_step",)),
        ("spacing", "grid spacing h", 2, ("spacing", "spacing_exact")),
    )
    names = {
        "time_step": "backward Euler, Picard",
        "spacing": "backward Euler, Picard (Δt ∝ h²)",
        "spacing_exact": "exact in time",
    }
    markers = {"zero_padding": "o", "reflecting": "x"}
    with figure_style():
        figure, axes = grid(1, 2, height=3.4)
        for axis, (_, label, order, kinds) in zip(axes[0], looks):
            for colour, kind in zip(("C0", "C1"), kinds):
                for boundary, group in table[table.varied == kind].groupby("boundary"):
                    line = group.sort_values("step_size")
                    axis.plot(
                        line.step_size,
                        line.score_error,
                        markers.get(boundary, "o") + "-",
                        color=colour,
                        mfc="none",
                        label=f"{names[kind]}, {readable(boundary)}",
                    )
            chosen = table[table.varied.isin(kinds)]
            x = np.array([chosen.step_size.min(), chosen.step_size.max()])
            y = chosen.score_error.max() * 1.5 * (x / x[1]) ** order
            axis.plot(x, y, "--", color="0.5", label=f"order {order}")
            axis.set(xscale="log", yscale="log", xlabel=label)
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), fontsize="small")
        axes[0][0].set_ylabel("score error (relative 2-norm)")
    return figure
