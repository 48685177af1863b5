"""Score differences in the embedded images."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import grid, outside_legend
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, readable


@register("downstream")
def plot_downstream(table: pd.DataFrame) -> plt.Figure:
    """RMS difference of the embedded images, against SpSolve and against the exact scores."""
    variants = list(dict.fromkeys(table.variant))
    names = list(dict.fromkeys(table.solver))[::-1]
    with figure_style():
        figure, axes = grid(1, len(variants), height=0.22 * len(names) + 1.2, sharey=True)
        for axis, variant in zip(axes[0], variants):
            chosen = table[table.variant == variant]
            looks = (
                ("rms_vs_exact_max", "exact scores", "C1"),
                ("rms_vs_spsolve_max", "SpSolve", "C0"),
            )
            for column, label, colour in looks:
                positive = chosen[chosen[column] > 0]
                heights = [names.index(name) for name in positive.solver]
                axis.plot(positive[column], heights, "o", color=colour, ms=4)
                axis.plot([], [], "o", color=colour, label=f"difference to {label}")
            moved = chosen.displacement_rms_mean.mean()
            axis.axvline(moved, color="0.5", ls=":", label="displacement by the embedding")
            axis.set(xscale="log", xlabel="RMS, intensity range 1", title=f"variant {variant}")
        axes[0][0].set_yticks(range(len(names)), [readable(name) for name in names])
        outside_legend(figure, axes[0][0], 3)
    return figure
