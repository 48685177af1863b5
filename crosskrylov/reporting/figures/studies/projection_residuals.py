"""Residuals along a march: start, projection and refinement."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import (
    described_sets,
    grid,
    headline,
    outside_legend,
    panels,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import BASES, BLUE, figure_style

#: Role and stage with label, colour and line.
_LOOKS = {
    ("target", "start"): ("target: start (previous step)", BASES["start only"], "-"),
    ("target", "projected"): ("target: on its seed's space", BASES["nearest seed"], "-"),
    ("target", "refined"): ("target: refined", BLUE, "-"),
    ("seed", "projected"): ("seed: on its own space", BASES["own"], "--"),
}


@register("projection_residuals", question="projection")
def plot_projection_residuals(table: pd.DataFrame) -> plt.Figure:
    """Residuals of seeds and targets by time step: start, projected, refined.

    Parameters
    ----------
    table : DataFrame
        projection_residuals.tsv; lines are medians over images, bands the range of quartiles, both
        averaged over random seeds.
    """
    sets = panels(table, "image_size", "dataset")
    with figure_style():
        figure, axes = grid(1, len(sets), height=2.6, sharey=True)
        for axis, (size, dataset) in zip(axes[0], sets):
            chosen = table[table.dataset == dataset]
            for (role, stage), (label, colour, line) in _LOOKS.items():
                rows = chosen[(chosen.role == role) & (chosen.stage == stage)]
                mean = rows.groupby("step")[
                    ["residual_median", "residual_q25", "residual_q75"]
                ].mean()
                axis.plot(mean.index, mean.residual_median, line, color=colour, label=label)
                axis.fill_between(
                    mean.index, mean.residual_q25, mean.residual_q75, color=colour, alpha=0.2, lw=0
                )
            axis.set(
                yscale="log",
                xlabel="time step",
                title=f"{dataset} ({size}²), m = {chosen.dimension.iloc[0]}",
            )
        axes[0][0].set_ylabel("true relative residual")
        headline(
            figure,
            finding(table),
            f"{described_sets(table)}. First system of every time step; m is the dimension. Lines: "
            "medians over images; bands: quartiles.",
        )
        outside_legend(figure, axes[0][0], 4)
    return figure


def finding(table: pd.DataFrame) -> str:
    """Return which part of the residuals the projections leave, in the mean over steps."""
    stages = table.groupby(["role", "stage", "dataset", "step"]).residual_median.mean()
    left = {}
    for role in ("target", "seed"):
        try:
            ratio = stages.loc[role, "projected"] / stages.loc[role, "start"]
        except KeyError:
            continue
        left[role] = float(np.exp(np.log(ratio[ratio > 0]).mean()))
    if "target" not in left:
        return "Residuals along a march"
    verb = "leaves" if left["target"] < 1 else "does not lower:"
    own = f", but {_share(left['seed'])} of the seed's own" if "seed" in left else ""
    return (
        f"A seed's space {verb} {_share(left['target'])} of a target's residual{own} "
        "(geometric mean over steps)"
    )


def _share(value: float) -> str:
    return f"{value:.0%}" if value > 0.005 else f"{value:.1g}"
