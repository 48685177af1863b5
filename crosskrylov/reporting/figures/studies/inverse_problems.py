"""Restorations against the exact posterior, and conjugate gradients inside sampling."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import (
    counted,
    described_sets,
    enumerated,
    grid,
    headline,
    label_ends,
    outside_legend,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, line_styles, readable

#: Methods that evaluate no network, drawn as lines across; see `study_inverse_problems`.
_ACROSS = {"exact_sample": "--", "pseudo_inverse": ":"}
_BARS = {"capsize": 1.5, "elinewidth": 0.8}
#: Relative residual that the headline counts the iterations to.
_SMALL = 1e-2
_SYSTEMS = {"projection": "no noise in the measurement", "weighted": "with noise"}


@register("inverse_problems", question="samples")
def plot_inverse_problems(table: pd.DataFrame) -> plt.Figure:
    """Distance from the exact posterior mean against evaluations, by operator and noise."""
    sets = described_sets(table)
    keys = ["operator", "noise", "method", "function_evaluations"]
    table = _over_runs(table, keys, "posterior_error")
    operators, noises = list(dict.fromkeys(table.operator)), sorted(set(table.noise))
    drawn = [name for name in dict.fromkeys(table.method) if name not in _ACROSS]
    styles = line_styles(drawn)
    with figure_style():
        figure, axes = grid(len(operators), len(noises), height=2.2, sharex=True)
        for of_row, operator in zip(axes, operators):
            for axis, noise in zip(of_row, noises):
                chosen = table[(table.operator == operator) & (table.noise == noise)]
                for method in drawn:
                    line = chosen[chosen.method == method].sort_values("function_evaluations")
                    _line(axis, line, "function_evaluations", "posterior_error", styles[method])
                    axis.get_lines()[-1].set_label(readable(method))
                _lines_across(axis, chosen)
                left = chosen.effective_images.iloc[0]
                title = f"{readable(operator)}\nnoise {noise:g}, {left:.1f} images left"
                axis.set(xscale="log", yscale="log", title=title)
            of_row[0].set_ylabel("RMS from posterior mean")
        for axis in axes[-1]:
            axis.set_xlabel("network evaluations")
        outside_legend(figure, axes, columns=5)
        across = "Dashed: a draw from the exact posterior; dotted: the pseudo-inverse."
        headline(figure, restoration_finding(table), f"{sets}. The exact model. {across}")
    return figure


def _lines_across(axis, chosen: pd.DataFrame) -> None:
    """Draw what needs no evaluations, and look at what lines show, however long their bars are."""
    for method, style in _ACROSS.items():
        for value in chosen.posterior_error[chosen.method == method]:
            axis.axhline(value, color="0.4", ls=style, lw=1, label="_reference")
    low, high = chosen.posterior_error.min(), chosen.posterior_error.max()
    axis.set_ylim(low / 1.5, high * 1.5)


@register("inverse_residuals", question="samples")
def plot_inverse_residuals(table: pd.DataFrame) -> plt.Figure:
    """Residual of conjugate gradients against iterations, a panel per system."""
    sets = described_sets(table)
    sigma = table.sigma.min()
    largest = (table.system == "projection") | (table.noise == table.noise.max())
    table = table[(table.sigma == sigma) & largest]
    table = _over_runs(table, ["operator", "system", "iteration"], "residual")
    systems = [name for name in _SYSTEMS if (table.system == name).any()]
    styles = line_styles(table.operator)
    with figure_style():
        figure, axes = grid(1, len(systems), height=2.8, sharey=True)
        for axis, system in zip(axes[0], systems):
            for operator, line in table[table.system == system].groupby("operator", sort=False):
                line = line.sort_values("iteration")
                _line(axis, line, "iteration", "residual", styles[operator])
                axis.get_lines()[-1].set_label(readable(operator))
            axis.set(yscale="log", xlabel="iteration", title=_SYSTEMS[system])
        axes[0][0].set_ylabel("relative residual")
        words = f"{sets}. From posterior means at noise level {sigma:g}."
        headline(figure, residual_finding(table), words)
        for axis in axes[0]:
            label_ends(axis)
    return figure


def _line(axis, line: pd.DataFrame, x: str, y: str, style: dict) -> None:
    line = line[np.isfinite(line[y]) & (line[y] > 0)]
    reach = np.stack([line[y] - line.low, line.high - line[y]])
    bars = {"fmt": "none", "ecolor": style["color"], **_BARS}
    axis.errorbar(line[x], line[y], np.nan_to_num(reach), **bars)
    axis.plot(line[x], line[y], ms=3, lw=1.2, **style)


def _over_runs(table: pd.DataFrame, keys: list[str], value: str) -> pd.DataFrame:
    """Return the median over image sets and random seeds; of a single run, the table itself."""
    runs = [name for name in ("dataset", "image_size", "seed") if name in table]
    if not runs or len(table[runs].drop_duplicates()) == 1:
        return table
    # an interval over measurements of one run is not one over runs
    table = table.assign(low=np.nan, high=np.nan)
    first = {name: (name, "first") for name in table if name not in keys}
    first |= {value: (value, "median")}
    if "effective_images" in table:
        first |= {"effective_images": ("effective_images", "median")}
    return table.groupby(keys, sort=False).agg(**first).reset_index()


def restoration_finding(table: pd.DataFrame) -> str:
    """Return which method ends nearest to the posterior mean, and how far a posterior draw is."""
    noise = table.noise.max()
    table = table[table.noise == noise]
    tried = table[~table.method.isin(_ACROSS)]
    if tried.method.nunique() < 2:
        return "Restorations against the exact posterior mean"
    most = tried[tried.function_evaluations == tried.function_evaluations.max()]
    errors = most.pivot_table(index="operator", columns="method", values="posterior_error")
    nearest = errors.idxmin(axis=1)
    parts = [
        f"{readable(method)} for {enumerated([readable(o) for o in of.index])}"
        for method, of in nearest.groupby(nearest, sort=False)
    ]
    evaluations = int(most.function_evaluations.iloc[0])
    found = f"At {evaluations} evaluations and noise {noise:g}, nearest to the posterior mean: "
    found += "; ".join(parts)
    drawn = table[table.method == "exact_sample"].set_index("operator").posterior_error
    ratio = (errors.min(axis=1) / drawn).dropna()
    if len(ratio):
        ends = list(dict.fromkeys(f"{value:.2g}" for value in (ratio.min(), ratio.max())))
        found += f"; {' to '.join(ends)} times as far as a posterior draw"
    return found


def residual_finding(table: pd.DataFrame) -> str:
    """Return how many iterations reach a small residual, by system."""
    parts = []
    for system, words in _SYSTEMS.items():
        needed = []
        for _, line in table[table.system == system].groupby("operator"):
            small = line.iteration[line.residual <= _SMALL]
            needed.append(small.min() if len(small) else np.inf)
        if not needed:
            continue
        most = table.iteration.max()
        slow = int(np.isinf(needed).sum())
        quick = [int(n) for n in needed if np.isfinite(n)]
        told = f"{words}: "
        if quick:
            ends = f"{min(quick)} to {max(quick)}" if min(quick) < max(quick) else f"{quick[0]}"
            told += f"{ends} iterations"
        if slow:
            told += f"{', ' if quick else ''}more than {most} for {counted(slow, 'operator')}"
        parts.append(told)
    return f"To a residual of {_SMALL:g}, " + "; ".join(parts)
