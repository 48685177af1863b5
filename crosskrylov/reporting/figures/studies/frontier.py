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
                axis.set(xscale="log", yscale="log", xlabel="milliseconds per image (windows)")
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
        _bars(axis, group, "products_per_system", color=colours[solver], label=readable(solver))
        for point in group.itertuples():
            m = "c" if point.dimension == "converged" else point.dimension
            axis.annotate(
                f"{point.n_seeds:.0f}×{m}",
                (_MILLI * point.seconds_per_image, point.products_per_system),
                xytext=(3, 2),
                textcoords="offset points",
                size=5,
                color=colours[solver],
            )
    for point in points[points.n_seeds.isna()].itertuples():
        label = readable(point.solver)
        colour = colours[point.solver]
        if pd.isna(point.products_per_system):  # no product with A: a line at its seconds
            axis.axvline(_MILLI * point.seconds_per_image, color=colour, ls="--", lw=1, label=label)
            continue
        one = points[points.solver == point.solver]
        _bars(axis, one, "products_per_system", color=colour, label=label, marker="D", ms=5)


def _bars(axis, group, quantity, **style) -> None:
    seconds = _MILLI * group.seconds_per_image
    reach = [seconds - _MILLI * group.low, _MILLI * group.high - seconds]
    known = group.low.notna().all()
    style = {"marker": "o", "ls": "none", "lw": 0.8, **style}
    axis.errorbar(seconds, group[quantity], xerr=reach if known else None, **style)


def _errors(axis, table, colours) -> None:
    """Draw a line per solver over its tolerances, marked with the tolerance."""
    base = table[table.varied.isin(["grid", "reference"])]
    settings = ["start", "density"]
    for setting in settings:
        table = table[table[setting] == base[setting].iloc[0]]
    varied = table[table.varied == "tolerance"]
    keys = ["solver", "n_seeds", "dimension"]
    values = ["seconds_per_image", "score_error"]
    for (solver, n_seeds, m), group in table.groupby(keys, sort=False, dropna=False):
        if not varied.empty and solver in set(varied.solver):
            mine = varied[(varied.solver == solver)]
            if not pd.isna(n_seeds):
                mine = mine[(mine.n_seeds == n_seeds) & (mine.dimension == m)]
            if mine.empty:
                continue
        mean = group.groupby("tolerance")[values].mean()
        seconds = _MILLI * mean.seconds_per_image
        axis.plot(seconds, mean.score_error, "o-", lw=0.8, ms=3, color=colours[solver])
        name = readable(solver) if pd.isna(n_seeds) else f"{readable(solver)} {n_seeds:.0f}×{m}"
        axis.annotate(
            name,
            (seconds.iloc[-1], mean.score_error.iloc[-1]),
            xytext=(2, 3),
            textcoords="offset points",
            size=5,
            color=colours[solver],
        )


def _finding(table: pd.DataFrame) -> str:
    """Return what the intervals of the ratios to the refinement alone say, over all sets."""
    grid_rows = table[(table.varied == "grid") & table.seconds_vs_unprojected.notna()]
    if grid_rows.empty or grid_rows.seconds_vs_unprojected_low.isna().any():
        return "Projection over its choices"
    n_points = len(grid_rows)
    faster = int((grid_rows.seconds_vs_unprojected_high < 1).sum())
    slower = int((grid_rows.seconds_vs_unprojected_low > 1).sum())
    return (
        f"Of {n_points} measured points {faster} take less time than the same refinement without "
        f"projection, {slower} take more"
    )
