"""Work and score error against seconds for the projection's choices."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import (
    described_sets,
    grid,
    headline,
    outside_legend,
    panels,
    place_labels,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import GREY, figure_style, palette_for, readable

_MILLI = 1e3
_MARKERS = "Dsv^P*X"  # of what does without seeds


@register("frontier", question="projection")
def plot_frontier(table: pd.DataFrame) -> plt.Figure:
    """Work per system, and score error by tolerance, against seconds; a row per image set."""
    sets = panels(table, "image_size", "dataset")
    projections = list(dict.fromkeys(table[table.n_seeds.notna()].solver))
    references = list(dict.fromkeys(table[table.n_seeds.isna()].solver))
    colours = palette_for(projections) | dict.fromkeys(references, GREY)
    markers = dict.fromkeys(projections, "o") | dict(zip(references, _MARKERS))
    with figure_style():
        figure, axes = grid(len(sets), 2, height=3.4)
        figure.set_figwidth(7.2)
        for (left, right), (size, dataset) in zip(axes, sets):
            chosen = table[(table.dataset == dataset) & (table.image_size == size)]
            _work(left, _mean(chosen[chosen.varied.isin(["grid", "reference"])]), colours, markers)
            left.set_title(f"{dataset}: {size}²", loc="left")
            _errors(right, chosen, colours, markers)
            for axis in (left, right):
                axis.set(xscale="log", xlabel="milliseconds per image (windows)")
            left.set_yscale("log")
            left.set_ylabel("work per system\n(products with A)")
            right.set_ylabel("score error (relative 2-norm)")
        headline(
            figure,
            finding(table),
            f"{described_sets(table)}. Left: each point a number of seeds and a dimension (written "
            "at the right for the fastest and for the least work; c: until converged); bars: 95 % "
            "intervals; grey: without seeds. Right: lines over tolerances.",
        )
        outside_legend(figure, axes[0], 4)
        figure.draw_without_rendering()  # the labels ask for the layout
        for axis, (size, dataset) in zip(axes[:, 0], sets):
            chosen = table[(table.dataset == dataset) & (table.image_size == size)]
            _label(axis, _mean(chosen[chosen.varied == "grid"]), colours)
    return figure


def _label(axis, points, colours) -> None:
    """Write seeds and dimension of the fastest point and the one of least work of each solver."""
    ends = []
    for solver, group in points.groupby("solver", sort=False):
        for k in sorted({group.seconds_per_image.idxmin(), group.products_per_system.idxmin()}):
            point = group.loc[k]
            place = (_MILLI * point.seconds_per_image, point.products_per_system)
            x, y = axis.transData.transform(place)
            ends.append((y, x, _seeds(point.n_seeds, point.dimension), colours[solver]))
    place_labels(axis, ends)


def _mean(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per point, averaged over random seeds."""
    keys = ["solver", "n_seeds", "dimension"]
    values = ["seconds_per_image", "low", "high", "products_per_system"]
    return table.groupby(keys, sort=False, dropna=False)[values].mean().reset_index()


def _work(axis, points, colours, markers) -> None:
    projected = points[points.n_seeds.notna()]
    for solver, group in projected.groupby("solver", sort=False):
        _bars(axis, group, color=colours[solver], label=readable(solver))
    for solver, group in points[points.n_seeds.isna()].groupby("solver", sort=False):
        style = {"color": colours[solver], "label": readable(solver)}
        if group.products_per_system.isna().all():  # no product with A: a line at its seconds
            axis.axvline(_MILLI * group.seconds_per_image.iloc[0], ls="--", lw=1, **style)
        else:
            _bars(axis, group, marker=markers[solver], ms=5, **style)


def _seeds(n_seeds, dimension) -> str:
    m = "c" if dimension == "converged" else f"{float(dimension):.0f}"
    return f"{n_seeds:.0f}, {m}"


def _bars(axis, group, **style) -> None:
    seconds = _MILLI * group.seconds_per_image
    reach = [seconds - _MILLI * group.low, _MILLI * group.high - seconds]
    known = group.low.notna().all()
    style = {"marker": "o", "ls": "none", "elinewidth": 0.5} | style
    axis.errorbar(seconds, group.products_per_system, xerr=reach if known else None, **style)


def _errors(axis, table, colours, markers) -> None:
    """Draw a line per solver over its tolerances, of those that vary it where some do."""
    base = table[table.varied.isin(["grid", "reference"])].iloc[0]
    table = table[(table.start == base.start) & (table.density == base.density)]
    keys = ["solver", "n_seeds", "dimension"]
    lines = [
        (key, group.groupby("tolerance")[["seconds_per_image", "score_error"]].mean())
        for key, group in table.groupby(keys, sort=False, dropna=False)
    ]
    most = max(len(line) for _, line in lines)
    for (solver, *_), line in lines:
        if len(line) < most:
            continue
        seconds = _MILLI * line.seconds_per_image
        style = {"color": colours[solver], "lw": 0.8, "ms": 3}
        style |= {"marker": markers[solver], "label": readable(solver)}
        axis.plot(seconds, line.score_error, **style)
    axis.set_ylim(0, 1.2 * table.score_error.max())


def finding(table: pd.DataFrame) -> str:
    """Return what the intervals of the ratios to the refinement alone say, over all sets."""
    ratios = table[(table.varied == "grid") & table.seconds_vs_unprojected.notna()]
    if ratios.empty or ratios.seconds_vs_unprojected_low.isna().any():
        return "Projection over its choices, timed without intervals"
    n_points = len(ratios)
    faster = int((ratios.seconds_vs_unprojected_high < 1).sum())
    slower = int((ratios.seconds_vs_unprojected_low > 1).sum())
    undecided = n_points - faster - slower
    return (
        f"Of {n_points} choices of seeds and dimension {faster or 'none'} "
        f"{'takes' if faster < 2 else 'take'} less time than the same refinement without "
        f"projection, {slower} more, {undecided} undecided"
    )
