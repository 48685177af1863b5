"""Figures that compare the solvers as a whole."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.style import (
    FAMILY_ORDER,
    PAGE_WIDTH,
    figure_style,
    palette_for,
    readable,
)


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


def plot_projection_residuals(table: pd.DataFrame) -> plt.Figure:
    """Residuals of seeds and targets by time step: start, projected, refined.

    Parameters
    ----------
    table : DataFrame
        projection_residuals.tsv; lines are medians over images, bands the range of quartiles, both
        averaged over random seeds.
    """
    sets = table[["image_size", "dataset"]].drop_duplicates().sort_values("image_size")
    looks = {
        ("target", "start"): ("target: start (previous step)", "0.45", "-"),
        ("target", "projected"): ("target: projected on its seed's space", "C0", "-"),
        ("target", "refined"): ("target: refined", "C2", "-"),
        ("seed", "projected"): ("seed: projected on its own space", "C1", "--"),
    }
    with figure_style():
        figure, axes = plt.subplots(
            1, len(sets), figsize=(max(PAGE_WIDTH * len(sets) / 3, 4.5), 2.9), squeeze=False
        )
        for axis, entry in zip(axes[0], sets.itertuples()):
            chosen = table[table.dataset == entry.dataset]
            for (role, stage), (label, colour, line) in looks.items():
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
                title=f"{entry.dataset}: {entry.image_size}², m = {chosen.dimension.iloc[0]}",
            )
        axes[0][0].set_ylabel("true relative residual")
        figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
