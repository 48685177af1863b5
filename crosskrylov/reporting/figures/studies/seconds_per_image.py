"""Seconds per image of whole marches."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import (
    FAMILY_ORDER,
    PAGE_WIDTH,
    figure_style,
    palette_for,
    readable,
)


@register("seconds_per_image")
def plot_seconds_per_image(table: pd.DataFrame) -> plt.Figure:
    """Seconds per image of whole marches: a bar per solver, a panel per image set.

    Parameters
    ----------
    table : DataFrame
        solvers_by_seed.tsv; random seeds are points, the bar their mean.
    """
    marches = table[table.study == "trajectory"].copy()
    sets = marches[["image_size", "dataset"]].drop_duplicates().sort_values("image_size")
    colours = palette_for(FAMILY_ORDER)
    n_solvers = marches.solver.nunique()
    with figure_style():
        figure, axes = plt.subplots(
            1,
            len(sets),
            figsize=(PAGE_WIDTH, 1.0 + 0.26 * n_solvers),
            sharey=True,
            squeeze=False,
        )
        means = marches.groupby("solver").seconds_per_image.mean()
        order = means.sort_values(ascending=False).index
        for axis, entry in zip(axes[0], sets.itertuples()):
            chosen = marches[marches.dataset == entry.dataset]
            groups = dict(iter(chosen.groupby("solver")))
            for height, solver in enumerate(order):
                if solver not in groups:
                    continue
                group = groups[solver]
                mean = group.seconds_per_image.mean()
                axis.barh(height, mean, color=colours[group.family.iloc[0]], height=0.7, log=True)
                axis.plot(
                    group.seconds_per_image, np.full(len(group), height), "|", color="0.15", ms=7
                )
                axis.annotate(
                    f" {mean:.2g} s", (group.seconds_per_image.max(), height), va="center", size=7
                )
            axis.set_xlim(chosen.seconds_per_image.min() / 3, chosen.seconds_per_image.max() * 6)
            steps = int(chosen.time_steps.iloc[0])
            axis.set_title(f"{entry.dataset}: {entry.image_size}², {steps} steps")
            axis.set_xlabel("seconds per image")
        axes[0][0].set_yticks(range(len(order)), [readable(name) for name in order])
        families = [f for f in FAMILY_ORDER if f in set(marches.family)]
        handles = [plt.Rectangle((0, 0), 1, 1, color=colours[family]) for family in families]
        figure.legend(handles, families, loc="outside lower center", ncols=len(families))
    return figure
