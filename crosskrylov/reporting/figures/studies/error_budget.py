"""Where the score error comes from."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import (
    described_sets,
    enumerated,
    grid,
    headline,
    outside_legend,
    panels,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for

#: Sources with their axis label; tolerances first.
_SOURCES = {
    "linear": "linear tolerance",
    "picard": "Picard tolerance",
    "time_step": "number of time steps",
    "grid": "grid refinement factor",
}
_TOLERANCES = ("linear", "picard")
#: Errors that differ by less are called the same.
_SAME = 0.05


@register("error_budget", question="accuracy")
def plot_error_budget(table: pd.DataFrame) -> plt.Figure:
    """Score error against the exact solution while one source of error varies at a time."""
    sets = panels(table, "image_size", "dataset")
    colours = palette_for(dataset for _, dataset in sets)
    with figure_style():
        figure, axes = grid(1, len(_SOURCES), height=2.6, sharey=True)
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
            if source in _TOLERANCES:
                axis.invert_xaxis()
            else:
                settings = sorted(table[table.source == source].setting.astype(int).unique())
                axis.set_xticks(settings, [str(s) for s in settings])
                axis.minorticks_off()
        axes[0][0].set_ylabel("score error (relative 2-norm)")
        headline(
            figure,
            finding(table),
            f"{described_sets(table)}. One source varies, the others are held tight; finer to the "
            "right. Mean over images; bands: range over seeds.",
        )
        outside_legend(figure, axes[0][0], 3)
    return figure


def finding(table: pd.DataFrame) -> str:
    """Return what lowers the error, and from where on a tolerance does not."""
    errors = table.groupby(["source", "setting", "dataset"]).score_error_mean.mean().unstack()
    finer = []
    for source, words in (("time_step", "more time steps"), ("grid", "finer grids")):
        if source in errors.index:
            rows = errors.loc[source].sort_index()
            gain = (rows.iloc[0] / rows.iloc[-1]).median()
            if len(rows) > 1:
                finer.append((words, gain))
    tight = {}
    for source in _TOLERANCES:
        if source in errors.index:
            rows = errors.loc[source].sort_index()
            same = ((rows / rows.iloc[0] - 1).abs() < _SAME).all(axis=1)
            tight[source] = same[same].index.max()
    lower = [f"{words} {gain:.1f}-fold" for words, gain in finer if gain > 1 + _SAME]
    first = (
        f"The score error falls with {enumerated(lower)}"
        if lower
        else "Neither time steps nor grids that were tried lower the score error"
    )
    names = {"linear": "linear", "picard": "Picard"}
    below = [f"{names[source]} tolerances below {value:g}" for source, value in tight.items()]
    return f"{first}" + (f", not with {enumerated(below)}" if below else "")
