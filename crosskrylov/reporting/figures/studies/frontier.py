"""Work and score error against seconds for the projection's choices."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import grid, outside_legend, panels
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for, readable

_MILLI = 1e3


@register("frontier")
def plot_frontier(table: pd.DataFrame) -> plt.Figure:
    """Work per system, and score error while the tolerance varies, against seconds; a row per set.

    The title says how the fastest point of the grid compares with the refinement alone, by the
    interval of their ratio.
    """
    sets = panels(table, "image_size", "dataset")
    projections = list(dict.fromkeys(table[table.n_seeds.notna()].solver))
    references = list(dict.fromkeys(table[table.n_seeds.isna()].solver))
    colours = palette_for([*projections, *references])
    with figure_style():
        figure, axes = grid(len(sets), 2, height=3.4)
        figure.set_figwidth(7.2)
        for (left, right), (size, dataset) in zip(axes, sets):
            chosen = table[(table.dataset == dataset) & (table.image_size == size)]
            _work(left, _mean(chosen[chosen.varied.isin(["grid", "reference"])]), colours)
            left.set_title(f"{dataset}: {size}²", loc="left")
            _errors(right, chosen, colours)
            for axis in (left, right):
                axis.set(xscale="log", xlabel="milliseconds per image (windows)")
            left.set_yscale("log")
            left.set_ylabel("work per system\n(products with A)")
            right.set_ylabel("score error (relative 2-norm)")
        figure.suptitle(_finding(table), size="medium")
        outside_legend(figure, axes[0][0], 4)
    return figure


def _mean(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per point, averaged over random seeds."""
    keys = ["solver", "n_seeds", "dimension"]
    values = ["seconds_per_image", "low", "high", "products_per_system"]
    return table.groupby(keys, sort=False, dropna=False)[values].mean().reset_index()


def _work(axis, points, colours) -> None:
    projected = points[points.n_seeds.notna()]
    for solver, group in projected.groupby("solver", sort=False):
        _bars(axis, group, color=colours[solver], label=readable(solver))
        ends = (group.seconds_per_image.idxmin(), group.seconds_per_image.idxmax())
        for index in {*ends, group.products_per_system.idxmin()}:
            point = group.loc[index]
            place = (_MILLI * point.seconds_per_image, point.products_per_system)
            _annotate(axis, _seeds(point.n_seeds, point.dimension), place, colours[solver])
    for solver, group in points[points.n_seeds.isna()].groupby("solver", sort=False):
        style = {"color": colours[solver], "label": readable(solver)}
        if group.products_per_system.isna().all():  # no product with A: a line at its seconds
            axis.axvline(_MILLI * group.seconds_per_image.iloc[0], ls="--", lw=1, **style)
        else:
            _bars(axis, group, marker="D", ms=5, **style)


def _seeds(n_seeds, dimension) -> str:
    m = "c" if dimension == "converged" else f"{float(dimension):.0f}"
    return f"{n_seeds:.0f}, {m}"


def _annotate(axis, text, place, colour) -> None:
    axis.annotate(text, place, xytext=(3, 2), textcoords="offset points", size=6, color=colour)


def _bars(axis, group, **style) -> None:
    seconds = _MILLI * group.seconds_per_image
    reach = [seconds - _MILLI * group.low, _MILLI * group.high - seconds]
    known = group.low.notna().all()
    style = {"marker": "o", "ls": "none", "elinewidth": 0.5} | style
    axis.errorbar(seconds, group.products_per_system, xerr=reach if known else None, **style)


def _errors(axis, table, colours) -> None:
    """Draw a line per solver over its tolerances, of those that vary it where some do."""
    base = table[table.varied.isin(["grid", "reference"])].iloc[0]
    table = table[(table.start == base.start) & (table.density == base.density)]
    keys = ["solver", "n_seeds", "dimension"]
    lines = [
        (key, group.groupby("tolerance")[["seconds_per_image", "score_error"]].mean())
        for key, group in table.groupby(keys, sort=False, dropna=False)
    ]
    most = max(len(line) for _, line in lines)
    for (solver, n_seeds, dimension), line in lines:
        if len(line) < most:
            continue
        seconds = _MILLI * line.seconds_per_image
        style = {"color": colours[solver], "lw": 0.8, "ms": 3}
        axis.plot(seconds, line.score_error, "o-" if pd.notna(n_seeds) else "D-", **style)
        if pd.notna(n_seeds):
            place = (seconds.iloc[0], line.score_error.iloc[0])
            _annotate(axis, _seeds(n_seeds, dimension), place, colours[solver])
    axis.set_ylim(0, 1.2 * table.score_error.max())


def _finding(table: pd.DataFrame) -> str:
    """Return what the intervals of the ratios to the refinement alone say, over all sets."""
    grid_rows = table[(table.varied == "grid") & table.seconds_vs_unprojected.notna()]
    if grid_rows.empty or grid_rows.seconds_vs_unprojected_low.isna().any():
        return "Projection over its choices"
    n_points = len(grid_rows)
    faster = int((grid_rows.seconds_vs_unprojected_high < 1).sum())
    slower = int((grid_rows.seconds_vs_unprojected_low > 1).sum())
    return (
        f"Of {n_points} points {faster} take less time than the same refinement without "
        f"projection, {slower} more, {n_points - faster - slower} undecided"
    )
