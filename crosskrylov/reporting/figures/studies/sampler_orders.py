"""Samplers on a model without error: orders, and round trips."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import (
    described_sets,
    enumerated,
    grid,
    headline,
    label_ends,
    panels,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for, readable

#: Number of evaluations that the headline speaks of.
_FEW = 10
#: Samplers whose errors differ by less than this factor are named together.
_LEADS = 1.25
#: RMS from which a round trip counts as lost, for images in [-1, 1] and noise of variance one.
_LOST = 0.1
_TRIPS = {"image": "image → noise → image", "noise": "noise → image → noise"}
_BARS = {"capsize": 1.5, "elinewidth": 0.8}


@register("sampler_orders", question="samples")
def plot_sampler_orders(table: pd.DataFrame) -> plt.Figure:
    """Error against evaluations, a panel per family, a line per sampler."""
    sets = described_sets(table)
    table = _over_runs(table, ["family", "sampler", "function_evaluations"])
    families = list(dict.fromkeys(table.family))
    with figure_style():
        columns = 2 if len(families) == 4 else min(3, len(families))
        rows = -(-len(families) // columns)
        figure, axes = grid(rows, columns, height=2.6, sharex=True, sharey=True)
        for axis, family in zip(axes.flat, families):
            chosen = table[table.family == family]
            colours = palette_for(chosen.sampler)
            for sampler, line in chosen.groupby("sampler", sort=False):
                order = line.observed_order.iloc[0]
                words = readable(sampler) + ("" if np.isnan(order) else f", {order + 0:.1f}")
                _line(axis, line, "function_evaluations", colours[sampler], words)
            axis.set(xscale="log", yscale="log", title=family)
        for axis in axes.flat[len(families) :]:
            axis.set_visible(False)
        for axis in axes[-1]:
            axis.set_xlabel("network evaluations")
        for axis in axes[:, 0]:
            axis.set_ylabel("RMS distance from the flow")
        subtitle = f"{sets}. Beside the names: observed order."
        headline(figure, sampler_finding(table), subtitle)
        for axis in axes.flat[: len(families)]:
            label_ends(axis)
    return figure


@register("inversion", question="samples")
def plot_inversion(table: pd.DataFrame) -> plt.Figure:
    """Loss of a round trip against steps, a column per precision, a row per direction."""
    sets = described_sets(table)
    table = _over_runs(table, ["sampler", "precision", "direction", "steps"])
    colours = palette_for(table.sampler)
    columns = [name for (name,) in panels(table, "precision")]
    rows = [direction for direction in _TRIPS if (table.direction == direction).any()]
    with figure_style():
        figure, axes = grid(len(rows), len(columns), height=2.5, sharex=True, sharey=True)
        for of_row, direction in zip(axes, rows):
            for axis, precision in zip(of_row, columns):
                here = (table.direction == direction) & (table.precision == precision)
                for sampler, line in table[here].groupby("sampler", sort=False):
                    _line(axis, line, "steps", colours[sampler], readable(sampler))
                title = f"{_TRIPS[direction]}, {precision}"
                axis.set(xscale="log", yscale="log", title=title)
            of_row[0].set_ylabel("RMS of what is lost")
        for axis in axes[-1]:
            axis.set_xlabel("steps")
        headline(figure, inversion_finding(table), f"{sets}. The exact model.")
        for axis in axes.flat:
            label_ends(axis)
    return figure


def _line(axis, line: pd.DataFrame, x: str, colour: str, label: str) -> None:
    line = line[np.isfinite(line.error) & (line.error > 0)].sort_values(x)
    reach = np.stack([line.error - line.low, line.high - line.error])
    axis.errorbar(line[x], line.error, np.nan_to_num(reach), fmt="none", ecolor=colour, **_BARS)
    axis.plot(line[x], line.error, "o-", color=colour, ms=3.5, lw=1.2, label=label)


def _over_runs(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the median over image sets and random seeds; of a single run, the table itself."""
    runs = [name for name in ("dataset", "image_size", "seed") if name in table]
    if not runs or len(table[runs].drop_duplicates()) == 1:
        return table
    # an interval over starting points is not one over data sets
    table = table.assign(low=np.nan, high=np.nan)
    first = {name: (name, "first") for name in table if name not in keys}
    medians = {name: (name, "median") for name in ("error", "observed_order") if name in table}
    return table.groupby(keys, sort=False).agg(**(first | medians)).reset_index()


def sampler_finding(table: pd.DataFrame) -> str:
    """Return who errs least at few evaluations, and how far the median sampler is from it."""
    errors = {sampler: _at_few(line) for sampler, line in table.groupby("sampler", sort=False)}
    ordered = pd.Series(errors, dtype=float).dropna().sort_values()
    if len(ordered) < 2:
        return f"Too few samplers ran at about {_FEW} evaluations to compare them"
    nearest = [readable(name) for name in ordered.index[ordered <= _LEADS * ordered.iloc[0]]]
    times = _times(ordered.median() / ordered.iloc[0])
    return (
        f"At {_FEW} evaluations {enumerated(nearest)} end{'s' if len(nearest) == 1 else ''} "
        f"nearest to the flow; the median of {len(ordered)} samplers ends {times} as far"
    )


def _at_few(line: pd.DataFrame) -> float:
    """Return the error at `_FEW` evaluations, interpolated in logarithms; NaN outside."""
    line = line.sort_values("function_evaluations")
    made, errors = line.function_evaluations.to_numpy(float), line.error.to_numpy(float)
    between = np.interp(np.log(_FEW), np.log(made), np.log(errors), left=np.nan, right=np.nan)
    return float(np.exp(between))


def _times(ratio: float) -> str:
    return f"{ratio:.2g} times" if ratio < 100 else f"{float(f'{ratio:.1g}'):,.0f} times"


def inversion_finding(table: pd.DataFrame) -> str:
    """Return what is lost in the worse direction: single precision, largest number of steps."""
    steps = table.steps.max()
    last = table[(table.steps == steps) & (table.precision == "float32")]
    if last.sampler.nunique() < 2:
        return "What a round trip loses, by number of steps"
    worst = last.groupby("sampler").error.max().sort_values()
    lost = [readable(name) for name in worst.index[worst > _LOST]]
    words = (
        f"After {steps} steps and back in float32, {readable(worst.index[0])} has lost least "
        f"({worst.iloc[0]:.0e}, in its worse direction)"
    )
    return words + (f"; more than {_LOST:g}: {enumerated(lost)}" if lost else "")
