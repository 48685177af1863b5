"""Seconds per image of the march, end to end, by phase."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import described_sets, enumerated, headline
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


@register(
    "seconds_per_image",
    question="speed",
    table="solvers",
    caption="End-to-end seconds per image, by phase, against those of SpSolve as published "
    "(100 %): medians of interleaved repeats with 95 % intervals. Bars that end in an arrow are "
    "longer than the axis. A bar without interval was timed once.",
)
def plot_seconds_per_image(table: pd.DataFrame) -> plt.Figure:
    """Stack the phases of every solver's seconds, SpSolve's 100 %: a panel per image set.

    Parameters
    ----------
    table : DataFrame
        solvers.tsv; rows of the exact solution, which is not of the implicit scheme, are left out.
    """
    marches = _marches(table)
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
                n_rows * (0.75 + 0.19 * len(order)) + 1.1,
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
            axis.set_ylim(-0.7, len(order) - 0.3)
        for axis in axes.flat[max(0, len(sets) - n_columns) : len(sets)]:
            axis.set_xlabel("time, % of SpSolve's")
        headline(
            figure,
            finding(table),
            f"{described_sets(marches)}. Bars: medians, by phase, on one clock; black lines: 95 % "
            "intervals of the ratio to SpSolve; →: longer than the axis.",
        )
        handles = [plt.Rectangle((0, 0), 1, 1, color=colours[phase]) for phase in PHASES]
        figure.legend(handles, PHASES, loc="outside lower center", ncols=len(PHASES))
    return figure


def finding(table: pd.DataFrame) -> str:
    """Return the fastest solver, and from which others, or SpSolve, intervals do not tell it."""
    timed = _marches(table).dropna(subset=["speedup_vs_spsolve"])
    if timed.empty:
        return "End-to-end time of every solver"
    best = timed.loc[timed.groupby("dataset").speedup_vs_spsolve.idxmax()]
    low, high = 100 * (1 - 1 / best.speedup_vs_spsolve.agg(["min", "max"]))
    names = enumerated(readable(name) for name in dict.fromkeys(best.solver))
    if not high > 0:
        return "Nothing is faster than SpSolve end to end"
    amount = f"{low:.0f} %" if f"{low:.0f}" == f"{high:.0f}" else f"{low:.0f} to {high:.0f} %"
    words = f"Fastest end to end: {names}, {amount} below SpSolve"
    if best.speedup_vs_spsolve_low.isna().any():
        return f"{words}, timed once"
    unclear = best.dataset[best.speedup_vs_spsolve_low <= 1]
    if len(unclear):
        return f"{words}, undecided by its interval on {enumerated(unclear)}"
    least = timed.dataset.map(best.set_index("dataset").speedup_vs_spsolve_low)
    rivals = timed.solver[(timed.speedup_vs_spsolve_high >= least) & ~timed.index.isin(best.index)]
    if rivals.empty:
        return words
    others = enumerated(readable(name) for name in dict.fromkeys(rivals))
    return f"{words}; intervals overlap with {others}"


def _marches(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the implicit scheme; old tables have no intervals and fewer phases."""
    columns = [f"{phase}_seconds" for phase in PHASES]
    columns += [f"speedup_vs_spsolve{end}" for end in ("", "_low", "_high")]
    table = table.reindex(columns=list(dict.fromkeys([*table, *columns])))
    table[columns] = table[columns].astype(float)
    return table[(table.study == "trajectory") & (table.family != "exact")]


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
    unit = rows.seconds_per_image * rows.speedup_vs_spsolve / 100
    percent = 100 / rows.speedup_vs_spsolve
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
        low, high = (100 / row[f"speedup_vs_spsolve_{end}"] for end in ("high", "low"))
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
    seconds = (rows.seconds_per_image * rows.speedup_vs_spsolve).median()
    steps = f"{int(rows.time_steps.iloc[0])} steps"
    return steps if np.isnan(seconds) else f"SpSolve {seconds:.2g} s, {steps}"
