"""Samplers on a trained network: Fréchet distance against evaluations."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import (
    described_sets,
    enumerated,
    grid,
    headline,
    label_ends,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import GREY, figure_style, palette_for, readable

#: Number of evaluations that the headline speaks of.
_FEW = 10
#: Samplers whose distances differ by less than this factor are named together.
_LEADS = 1.1
#: What the table calls the model without error, and the family of the floor.
_EXACT, _FLOOR = "exact", "floor"


@register("network_samplers", question="samples")
def plot_network_samplers(table: pd.DataFrame) -> plt.Figure:
    """Distance of the first network's samples, a panel per family, a line per sampler."""
    first = _first(table)
    floor = table.frechet[table.family == _FLOOR].median()
    drawn = table[table.family != _FLOOR].dropna(subset="frechet")
    families = list(dict.fromkeys(drawn.family))
    columns = min(2, len(families))
    rows = -(-len(families) // columns)
    with figure_style():
        figure, axes = grid(rows, columns, height=2.3, sharex=True, sharey=True)
        for axis, family in zip(axes.flat, families):
            of_family = drawn[drawn.family == family]
            colours = palette_for(of_family.sampler)
            for sampler, lines in of_family.groupby("sampler", sort=False):
                _line(axis, lines[lines.model == first], colours[sampler], readable(sampler))
                exact = lines[lines.model == _EXACT].groupby("function_evaluations").frechet
                if first != _EXACT:
                    axis.plot(exact.median(), "--", color=colours[sampler], lw=0.6, label="_")
            axis.axhline(floor, color=GREY, ls=":", lw=1)
            axis.set(xscale="log", yscale="log", title=family)
        for axis in axes.flat[len(families) :]:
            axis.set_visible(False)
        for axis in axes.flat[: len(families)][-columns:]:
            axis.set_xlabel("network evaluations")
            axis.tick_params(labelbottom=True)
        for axis in axes[:, 0]:
            axis.set_ylabel("Fréchet distance")
        words = f"{described_sets(table)}. Network: {readable(first)}; dashed: the exact model; "
        headline(figure, samplers_finding(table), words + "dotted: one half of the images.")
        for axis in axes.flat[: len(families)]:
            label_ends(axis)
    return figure


def _line(axis, table: pd.DataFrame, colour: str, label: str) -> None:
    made = table.groupby("function_evaluations").frechet
    middle = made.median()
    axis.plot(middle.index, middle, "o-", color=colour, ms=3, lw=1.2, label=label)
    axis.fill_between(middle.index, made.min(), made.max(), color=colour, alpha=0.15, lw=0)


def _first(table: pd.DataFrame) -> str:
    """Return the first network of the table; the exact model where there is none."""
    models = dict.fromkeys(table.model[table.family != _FLOOR])
    return next((name for name in models if name != _EXACT), _EXACT)


def samplers_finding(table: pd.DataFrame) -> str:
    """Return which samplers of the first network end nearest, by the floor and the median one."""
    first = _first(table)
    floor = table.frechet[table.family == _FLOOR].median()
    of_first = table[(table.model == first) & (table.family != _FLOOR)]
    found = {name: _at_few(line) for name, line in of_first.groupby("sampler", sort=False)}
    ordered = pd.Series(found, dtype=float).dropna().sort_values()
    if len(ordered) < 2:
        return f"Too few samplers ran at about {_FEW} evaluations to compare them"
    nearest = [readable(name) for name in ordered.index[ordered <= _LEADS * ordered.iloc[0]]]
    return (
        f"At {_FEW} evaluations of {readable(first)}, samples of {enumerated(nearest)} are nearest "
        f"to the images, {ordered.iloc[0] / floor:.2g} times the floor; those of the median of "
        f"{len(ordered)} samplers {ordered.median() / floor:.2g} times"
    )


def _at_few(line: pd.DataFrame) -> float:
    """Return the median at `_FEW` evaluations, interpolated in logarithms; NaN outside."""
    middle = line.dropna(subset="frechet").groupby("function_evaluations").frechet.median()
    if middle.empty:
        return float("nan")
    made, values = np.log(middle.index.to_numpy(float)), np.log(middle.to_numpy(float))
    return float(np.exp(np.interp(np.log(_FEW), made, values, left=np.nan, right=np.nan)))
