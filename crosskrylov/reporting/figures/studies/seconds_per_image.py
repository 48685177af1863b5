"""Seconds per image of the march, end to end, by phase."""

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
from crosskrylov.scores.march import PHASES

_COLUMNS = 3  # panels side by side
#: The axis ends at this multiple of the slowest solver that is not direct, which is cut with these.
_ROOM = 1.6


@register("seconds_per_image")
def plot_seconds_per_image(table: pd.DataFrame) -> plt.Figure:
    """Stack the phases of every solver's seconds, SpSolve's 100 %: a panel per image set.

    Parameters
    ----------
    table : DataFrame
        solvers.tsv; rows of the exact solution, which is not of the implicit scheme, are left out.
    """
    marches = table[(table.study == "trajectory") & (table.family != "exact")]
    sets = marches[["image_size", "dataset"]].drop_duplicates().sort_values("image_size")
    colours = palette_for(PHASES)
    n_rows = -(-len(sets) // _COLUMNS)
    n_columns = min(len(sets), _COLUMNS)
    order = _order(marches)
    with figure_style():
        figure, axes = plt.subplots(
            n_rows,
            n_columns,
            figsize=(
                PAGE_WIDTH if n_columns > 1 else 5.8,
                n_rows * (0.75 + 0.19 * len(order)) + 0.4,
            ),
            sharey=True,
            squeeze=False,
        )
        for axis in axes.ravel()[len(sets) :]:
            axis.set_visible(False)
        for axis, (size, dataset) in zip(axes.flat, sets.itertuples(index=False)):
            rows = marches[marches.dataset == dataset].set_index("solver")
            _panel(axis, rows, order, colours)
            axis.set_title(f"{dataset}, {size}²\n{_unit(rows)}")
        for axis in axes[:, 0]:
            axis.set_yticks(range(len(order)), [readable(name) for name in order])
        for axis in axes.flat[max(0, len(sets) - n_columns) : len(sets)]:
            axis.set_xlabel("time, % of SpSolve's")
        figure.suptitle(_finding(marches), size="medium")
        handles = [plt.Rectangle((0, 0), 1, 1, color=colours[phase]) for phase in PHASES]
        figure.legend(handles, PHASES, loc="outside lower center", ncols=len(PHASES))
    return figure


def _order(marches: pd.DataFrame) -> list[str]:
    """Return the solvers by family, within it the slowest first, to be drawn from below."""
    by_solver = marches.assign(
        family_rank=marches.family.map(FAMILY_ORDER.index),
        relative=marches.seconds_per_image
        / marches.groupby("dataset").seconds_per_image.transform("max"),
    ).groupby("solver")[["family_rank", "relative"]]
    means = by_solver.mean()
    ordered = means.sort_values(["family_rank", "relative"], ascending=[True, False]).index
    return ordered.tolist()[::-1]


def _panel(axis, rows: pd.DataFrame, order: list[str], colours: dict) -> None:
    """Draw one image set; the unit is SpSolve's time, or a second where SpSolve was not timed."""
    unit = rows.seconds_per_image * rows.speedup_vs_spsolve.astype(float) / 100
    unit = unit.where(unit.notna(), np.nan)
    percent = 100 / rows.speedup_vs_spsolve.astype(float)
    if percent.isna().all():
        percent, unit = rows.seconds_per_image, pd.Series(1.0, rows.index)
    iterative = percent[rows.family != "direct"]
    limit = _ROOM * (iterative if iterative.notna().any() else percent).max()
    for height, name in enumerate(order):
        if name not in rows.index or np.isnan(percent[name]):
            continue
        row, left = rows.loc[name], 0.0
        for phase in PHASES:
            share = row[f"{phase}_seconds"] / row.n_images / unit[name]
            if share > 0:
                axis.barh(height, share, left=left, color=colours[phase], height=0.72, lw=0)
                left += share
        low, high = (100 / float(row[f"speedup_vs_spsolve_{end}"]) for end in ("high", "low"))
        start, end = (low, high) if high > low else (percent[name], percent[name])
        if high > low and low < limit:
            axis.plot(
                [low, min(high, limit)],
                [height, height],
                color="0.1",
                lw=1.2,
                solid_capstyle="butt",
            )
        cut = end > 0.72 * limit
        axis.annotate(
            f"{percent[name]:.3g} %{' →' if percent[name] > limit else ''}",
            (min(start, limit) if cut else end, height),
            xytext=(-3 if cut else 3, 0),
            textcoords="offset points",
            ha="right" if cut else "left",
            va="center",
            size=6,
            color="white" if cut else "0.1",
        )
    axis.set_xlim(0, limit)


def _unit(rows: pd.DataFrame) -> str:
    """Return the seconds per image that 100 % stand for, and the steps that they were spent on."""
    seconds = (rows.seconds_per_image * rows.speedup_vs_spsolve.astype(float)).median()
    steps = f"{int(rows.time_steps.iloc[0])} steps"
    return steps if np.isnan(seconds) else f"SpSolve {seconds:.2g} s, {steps}"


def _finding(marches: pd.DataFrame) -> str:
    """Return what the table says of the fastest solver of the implicit scheme."""
    saving = marches.time_reduction_vs_spsolve.astype(float)
    if saving.isna().all():
        return "End-to-end time of every solver"
    best = marches.loc[saving.groupby(marches.dataset).idxmax().dropna()]
    names = " or ".join(readable(name) for name in dict.fromkeys(best.solver))
    low, high = 100 * best.time_reduction_vs_spsolve.agg(["min", "max"]).astype(float)
    amount = f"{low:.0f} %" if f"{low:.0f}" == f"{high:.0f}" else f"{low:.0f} to {high:.0f} %"
    return f"Fastest end to end: {names}, {amount} below SpSolve"
