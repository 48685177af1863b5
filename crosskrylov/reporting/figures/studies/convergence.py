"""Orders of convergence to a closed form."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import enumerated, grid, headline
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import BLUE, RED, figure_style, readable

#: Axis label, expected order, and what is varied (see the study), of each panel.
_PANELS = (
    ("time step Δt", 1, {"time_step": "backward Euler, Picard"}),
    (
        "grid spacing h",
        2,
        {"spacing": "backward Euler, Picard (Δt ∝ h²)", "spacing_exact": "exact in time"},
    ),
)
#: An observed order this far from the expected one agrees with it.
_AGREES = 0.25


@register("convergence", question="accuracy")
def plot_convergence(table: pd.DataFrame) -> plt.Figure:
    """Score error against step size, with the slopes of first and second order."""
    markers = {"zero_padding": "o", "reflecting": "x"}
    with figure_style():
        figure, axes = grid(1, 2, height=3.4)
        for axis, (label, order, kinds) in zip(axes[0], _PANELS):
            for colour, (kind, name) in zip((BLUE, RED), kinds.items()):
                for boundary, group in table[table.varied == kind].groupby("boundary"):
                    line = group.sort_values("step_size")
                    axis.plot(
                        line.step_size,
                        line.score_error,
                        markers.get(boundary, "o") + "-",
                        color=colour,
                        mfc="none",
                        ms=8 if boundary == "zero_padding" else 5,
                        label=f"{name}, {readable(boundary)}",
                    )
            chosen = table[table.varied.isin(kinds)]
            x = np.array([chosen.step_size.min(), chosen.step_size.max()])
            y = chosen.score_error.max() * 1.5 * (x / x[1]) ** order
            axis.plot(x, y, "--", color="0.5", label=f"order {order}")
            axis.set(xscale="log", yscale="log", xlabel=label)
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), fontsize="small")
        axes[0][0].set_ylabel("score error (relative 2-norm)")
        headline(
            figure,
            finding(table),
            "A Gaussian whose score is known in closed form, under both boundary conditions.",
        )
    return figure


def finding(table: pd.DataFrame) -> str:
    """Return the observed order in time and space, from the finest steps."""
    orders = []
    for label, expected, kinds in _PANELS:
        finest = table[table.varied == next(iter(kinds))].sort_values("step_size")
        finest = finest.dropna(subset=["order"]).groupby("boundary").order.first()
        if len(finest):
            orders.append((label.rpartition(" ")[0], finest.median(), expected))
    if not orders:
        return "A single step size: the order of convergence cannot be told"
    words = enumerated(f"{order:.2f} in the {label}" for label, order, _ in orders)
    slow = [label for label, order, expected in orders if order < expected - _AGREES]
    expected = " and ".join(str(expected) for *_, expected in orders)
    verdict = f"less than expected in the {enumerated(slow)}" if slow else "as expected"
    return f"The score converges with order {words}: {verdict} ({expected})"
