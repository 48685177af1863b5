"""Residuals along a march, before and after projection."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import PAGE_WIDTH, figure_style


@register("projection_residuals")
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
