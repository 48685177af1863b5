"""Score differences in the embedded images."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import described_sets, grid, headline, outside_legend
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import BLUE, RED, figure_style, readable


@register("downstream", question="accuracy")
def plot_downstream(table: pd.DataFrame) -> plt.Figure:
    """RMS difference of the embedded images, against SpSolve and against the exact scores."""
    variants = list(dict.fromkeys(table.variant))
    names = list(dict.fromkeys(table.solver))[::-1]
    looks = (
        ("rms_vs_spsolve_max", "difference to SpSolve's image", BLUE, "o"),
        ("rms_vs_exact_max", "difference to the exact scores' image", RED, "D"),
    )
    with figure_style():
        figure, axes = grid(1, len(variants), height=0.22 * len(names) + 1.2, sharey=True)
        for axis, variant in zip(axes[0], variants):
            chosen = table[table.variant == variant]
            for column, label, colour, marker in looks:
                positive = chosen[chosen[column] > 0]
                heights = [names.index(name) for name in positive.solver]
                axis.plot(positive[column], heights, marker, color=colour, ms=3.5)
                axis.plot([], [], marker, color=colour, label=label)
            moved = chosen.displacement_rms_mean.mean()
            axis.axvline(moved, color="0.5", ls=":", label="what the embedding itself changes")
            axis.set(xscale="log", xlabel="RMS, intensity range 1", title=f"variant {variant}")
            axis.grid(axis="y", color="0.93")
        axes[0][0].set_yticks(range(len(names)), [readable(name) for name in names])
        headline(
            figure,
            finding(table),
            f"{described_sets(table)}. Worst image of each; a point per set and seed.",
        )
        outside_legend(figure, axes[0][0], 3)
    return figure


def finding(table: pd.DataFrame) -> str:
    """Return how much the choice of solver changes images, beside the discretisation."""
    solvers = table.rms_vs_spsolve_max.max()
    discretised = table.rms_vs_exact_max.min()
    if not solvers > 0:
        return (
            f"The discretisation changes an embedded image by {discretised:.2g} of its range at "
            "least; no two solvers differ"
        )
    values = f"by up to {solvers:.1g} of its range, the discretisation by {discretised:.2g} or more"
    if solvers < discretised:
        return (
            f"Which solver computed the scores hardly matters: it changes an image {values}"
            if solvers < discretised / 10
            else f"The solver changes an image less than the discretisation does: {values}"
        )
    return f"Which solver computed the scores matters: it changes an image {values}"
