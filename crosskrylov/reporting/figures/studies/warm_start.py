"""Refinement with and without a projection before it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import (
    described_sets,
    enumerated,
    grid,
    headline,
    outside_legend,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for, readable

_MARKERS = "os^D"


@register("warm_start", question="projection")
def plot_warm_start(table: pd.DataFrame) -> plt.Figure:
    """Draw iterations with over without projection by time step, a panel per basis and refiner."""
    table = table.assign(ratio=_ratio(table))
    bases, refiners = list(dict.fromkeys(table.basis)), list(dict.fromkeys(table.refiner))
    starts = palette_for(dict.fromkeys(table.start))
    steps = sorted(table.step.unique())
    with figure_style():
        figure, axes = grid(len(refiners), max(len(bases), 2), height=2.0, sharex=True, sharey=True)
        for axis in axes[:, len(bases) :].flat:
            axis.set_axis_off()
        for row, refiner in enumerate(refiners):
            for axis, basis in zip(axes[row], bases):
                chosen = table[(table.basis == basis) & (table.refiner == refiner)]
                for k, (start, colour) in enumerate(starts.items()):
                    group = chosen[chosen.start == start]
                    places = group.step.map(steps.index) + 0.2 * (k - (len(starts) - 1) / 2)
                    marker = _MARKERS[k % len(_MARKERS)]
                    axis.plot(places, group.ratio, marker, color=colour, ms=3, alpha=0.35, mew=0)
                    median = group.groupby(places).ratio.median()
                    axis.plot(median, marker + "-", color=colour, lw=1, label=f"start: {start}")
                axis.axhline(1, color="0.5", lw=0.8, zorder=0)
                axis.set(yscale="log", title=f"{basis}, then {readable(refiner)}")
                axis.set_xticks(range(len(steps)), [str(step) for step in steps])
            axes[row][0].set_ylabel("iterations with / without")
        for axis in axes[-1][: len(bases)]:
            axis.set_xlabel("time step")
        headline(
            figure,
            finding(table),
            f"{described_sets(table)}. Points: a set, seed and tolerance; lines: medians. Below 1 "
            "the projection saves iterations of the same refinement from the same start.",
        )
        outside_legend(figure, axes[0][0], 4)
    return figure


def finding(table: pd.DataFrame) -> str:
    """Return what a projection does to the iterations, by the space that it projects on."""
    change = np.exp(np.log(_ratio(table)).groupby(table.basis, sort=False).mean()) - 1
    words = enumerated(f"{value:+.0%} on {basis}" for basis, value in change.items())
    if (change < -0.02).all():
        verdict = "A projection before the refinement saves iterations"
    elif (change > 0.02).all():
        verdict = "A projection before the refinement costs iterations"
    elif (change.abs() <= 0.02).all():
        verdict = "A projection before the refinement changes the iterations little"
    else:
        verdict = "Whether a projection saves iterations depends on the space"
    return f"{verdict}: {words} (geometric mean)"


def _ratio(table: pd.DataFrame) -> pd.Series:
    """Return iterations with over without; half an iteration stands for none."""
    return table.iterations_with.clip(lower=0.5) / table.iterations_without.clip(lower=0.5)
