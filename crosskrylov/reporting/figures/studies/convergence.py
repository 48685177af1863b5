"""Orders of convergence to a closed form."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import grid
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, readable


@register("convergence")
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
