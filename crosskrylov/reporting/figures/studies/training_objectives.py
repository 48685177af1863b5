"""Objectives trained alike: Fréchet distance on the way, score error, samplers."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import (
    described_sets,
    grid,
    headline,
    label_ends,
    outside_legend,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for, readable

_MARKS = "osD^v"
#: The control among the networks of the diagnostics.
_EXACT = "exact"


@register("objective_curves", question="samples")
def plot_objective_curves(table: pd.DataFrame) -> plt.Figure:
    """Fréchet distance against optimiser steps, a panel per reference, a line per objective."""
    labels = {"xlabel": "optimiser steps", "ylabel": "Fréchet distance"}
    return _panels(table, "steps", "frechet", curves_finding(table), labels)


@register("objective_scores", question="samples")
def plot_objective_scores(table: pd.DataFrame) -> plt.Figure:
    """RMS error of the predicted noise against noise level, drawn like the curves."""
    labels = {"xlabel": "noise level, for images in [-1, 1]", "ylabel": "RMS error of the noise"}
    return _panels(table, "sigma", "error", scores_finding(table), labels)


def _panels(
    table: pd.DataFrame, x: str, y: str, finding: str, labels: Mapping[str, str]
) -> plt.Figure:
    """Return a panel per training that others are compared with, itself among its lines."""
    references = list(dict.fromkeys(table.against))
    columns = min(2, len(references))
    rows = -(-len(references) // columns)
    with figure_style():
        figure, axes = grid(rows, columns, height=2.9, sharey=True)
        for axis, against in zip(axes.flat, references):
            _lines(axis, table[(table.against == against) | (table.model == against)], x, y)
            axis.set(xscale="log", yscale="log", title=f"against {readable(against)}")
            axis.set_xlabel(labels["xlabel"])
        for axis in axes.flat[len(references) :]:
            axis.set_visible(False)
        for axis in axes[:, 0]:
            axis.set_ylabel(labels["ylabel"])
        headline(figure, finding, f"{described_sets(table)}.")
        for axis in axes.flat[: len(references)]:
            label_ends(axis)
    return figure


@register("objective_samplers", question="samples")
def plot_objective_samplers(table: pd.DataFrame) -> plt.Figure:
    """Fréchet distance by objective, a mark per sampler at the most evaluations."""
    most = _at_most_evaluations(table)
    models = list(dict.fromkeys(most.model))
    samplers = list(dict.fromkeys(most.sampler))
    colours = palette_for(samplers)
    with figure_style():
        figure, axes = grid(1, 1, height=max(1.6, 0.26 * len(models)))
        axis = axes[0, 0]
        for k, sampler in enumerate(samplers):
            of_sampler = most[most.sampler == sampler].groupby("model", sort=False).error
            middle = of_sampler.median()
            reach = np.stack([middle - of_sampler.min(), of_sampler.max() - middle])
            places = [models.index(name) + 0.18 * (k - (len(samplers) - 1) / 2) for name in
                      middle.index]  # fmt: skip
            axis.errorbar(
                middle,
                places,
                xerr=reach,
                fmt=_MARKS[k % len(_MARKS)],
                color=colours[sampler],
                label=readable(sampler),
                ms=4,
                capsize=1.5,
                elinewidth=0.8,
            )
        axis.set_yticks(range(len(models)), [readable(name) for name in models])
        axis.invert_yaxis()
        axis.set(xscale="log", xlabel="Fréchet distance")
        outside_legend(figure, axis)
        made = most.function_evaluations.max()
        headline(
            figure,
            samplers_finding(table),
            f"{described_sets(table)}. {made} network evaluations a sample.",
        )
    return figure


@register("objective_residuals", question="samples")
def plot_objective_residuals(table: pd.DataFrame) -> plt.Figure:
    """Fokker-Planck residual against score error: by noise level, and in the mean over levels."""
    networks = table[table.model != _EXACT]
    of_level = networks.groupby(["sigma", "model"], sort=False)[["error", "residual"]].median()
    means = _means_over_levels(networks).groupby("model", sort=False).median()
    levels = sorted(networks.sigma.unique())
    shades = plt.get_cmap("viridis")(np.linspace(0.05, 0.92, len(levels)))
    colours = list(palette_for(map(str, range(7))).values())
    with figure_style():
        figure, axes = grid(1, 2, height=3.0)
        left, right = axes[0]
        for sigma, shade in zip(levels, shades, strict=True):
            marks = of_level.loc[sigma]
            left.plot(marks.error, marks.residual, "o", color=shade, ms=3.5, label=f"{sigma:g}")
        left.legend(title="noise level", fontsize="x-small", title_fontsize="x-small")
        for k, (model, row) in enumerate(means.iterrows()):
            right.plot(row.error, row.residual, _MARKS[k // 7 % len(_MARKS)], color=colours[k % 7],
                       ms=5, label=readable(model))  # fmt: skip
        left.set_title("a mark per network and noise level")
        right.set_title("means over the noise levels")
        for axis in (left, right):
            axis.set(xscale="log", yscale="log", xlabel="RMS error of the noise")
        left.set_ylabel("Fokker-Planck residual, σ³|R|/√D")
        outside_legend(figure, right, columns=4)
        control = table[table.model == _EXACT].residual
        zero = f" The exact model has {control.max():.1g} at most." if len(control) else ""
        headline(figure, residuals_finding(table), f"{described_sets(table)}.{zero}")
    return figure


def _means_over_levels(table: pd.DataFrame) -> pd.DataFrame:
    """Return error and residual by run and model, means over the noise levels."""
    runs = [name for name in ("dataset", "image_size", "seed") if name in table]
    return table.groupby([*runs, "model"], sort=False)[["error", "residual"]].mean()


def residuals_finding(table: pd.DataFrame) -> str:
    """Return how residual and score error are ordered over the networks, and who leaves most."""
    means = _means_over_levels(table[table.model != _EXACT])
    runs = [name for name in means.index.names if name != "model"]
    middle = means.residual.groupby("model", sort=False).median().sort_values()
    most = f"{readable(middle.index[-1])} leaves the largest Fokker-Planck residual"
    ranks = [run.error.corr(run.residual, method="spearman") for _, run in means.groupby(runs)]
    ranks = [rank for rank in ranks if np.isfinite(rank)]
    if len(middle) < 3 or not ranks:
        return most
    return (
        f"{most}; over {len(middle)} networks residual and score error have a rank correlation of "
        f"{np.median(ranks):.2f}"
    )


def _lines(axis, table: pd.DataFrame, x: str, y: str) -> None:
    colours = palette_for(table.model)
    for model, line in table.groupby("model", sort=False):
        of_place = line.groupby(x)[y]
        middle = of_place.median()
        axis.plot(middle.index, middle, "o-", color=colours[model], ms=3, lw=1.2,
                  label=readable(model))  # fmt: skip
        axis.fill_between(
            middle.index, of_place.min(), of_place.max(), color=colours[model], alpha=0.15, lw=0
        )


def _at_most_evaluations(table: pd.DataFrame) -> pd.DataFrame:
    """Return the Fréchet distances at the largest number of evaluations."""
    frechet = table[table.quantity == "frechet"]
    return frechet[frechet.function_evaluations == frechet.function_evaluations.max()]


def curves_finding(table: pd.DataFrame) -> str:
    """Return who ends nearest to the images, and how far its reference ends from them."""
    last = table[table.steps == table.groupby("model").steps.transform("max")]
    ends = last.groupby("model", sort=False).frechet.median().sort_values()
    first = ends.index[0]
    against = table.against[table.model == first].iloc[0]
    if against == first or against not in ends:
        return f"{readable(first)} ends nearest to the images, at {ends.iloc[0]:.3g}"
    return (
        f"{readable(first)} ends nearest to the images, at {ends.iloc[0]:.3g}; "
        f"{readable(against)} at {ends[against]:.3g}"
    )


def scores_finding(table: pd.DataFrame) -> str:
    """Return who errs most and least against the exact noise, in the mean of squares by level.

    Objectives with a noise of their own are compared with no other.
    """
    table = table[~table.own_noise.astype(bool)]
    squares = table.assign(square=table.error**2).groupby("model", sort=False).square.mean()
    errors = np.sqrt(squares).sort_values()
    if len(errors) < 2:
        return f"{readable(errors.index[0])} errs by {errors.iloc[0]:.2g} against the exact noise"
    return (
        f"Against the exact noise {readable(errors.index[-1])} errs most, "
        f"{errors.iloc[-1] / errors.iloc[0]:.3g} times as much as {readable(errors.index[0])}"
    )


def samplers_finding(table: pd.DataFrame) -> str:
    """Return for which objective the choice of sampler matters most, and for which least."""
    most = _at_most_evaluations(table)
    middle = most.groupby(["model", "sampler"], sort=False).error.median().unstack()
    factors = (middle.max(axis=1) / middle.min(axis=1))[middle.count(axis=1) > 1].sort_values()
    if len(factors) < 2:
        return "Fréchet distance by objective and sampler"
    worst, least = factors.index[-1], factors.index[0]
    far, near = middle.loc[worst].idxmax(), middle.loc[worst].idxmin()
    return (
        f"The sampler matters most for {readable(worst)}, where {readable(far)} ends "
        f"{factors.iloc[-1]:.2g} times as far as {readable(near)}, and least for "
        f"{readable(least)} ({factors.iloc[0]:.2g})"
    )
