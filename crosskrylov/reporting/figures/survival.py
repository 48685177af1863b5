"""Times to a target as survival curves, in which runs that were stopped before stay."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from crosskrylov.learning.objectives.index import (
    PUBLISHED,
    baseline_models,
    registered_models,
)
from crosskrylov.metrics.names import SSIM_METRICS
from crosskrylov.reporting.figures.layout import described_sets, grid, headline
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, model_styles, readable
from crosskrylov.reporting.figures.training import single_image_runs

#: The similarity index of the authors' single-image script, of one window.
METRIC = SSIM_METRICS[0]


@register(
    "survival",
    question="training",
    table="training",
    caption="Share of the runs that have not reached the target after so many seconds, in the "
    "published one-window SSIM: Kaplan and Meier's estimate over images and random seeds, in which "
    "a run that was stopped before counts until then (ticks). Pre-computation counted, steps times "
    "the calibrated seconds per step.",
)
def plot_survival(table: pd.DataFrame) -> plt.Figure:
    """Share of runs that are still below a target against seconds, a panel per set and target.

    Parameters
    ----------
    table : DataFrame
        The table of training, of which runs on single images to one-window targets are shown.
    """
    runs = single_image_runs(table, METRIC)
    sets, targets = sorted(runs["dataset"].unique()), sorted(runs["target_ssim"].unique())
    with figure_style():
        figure, axes = grid(max(len(sets), 1), max(len(targets), 2), height=2.0, sharey=True)
        for axis in axes.flat:
            axis.set_axis_off()
        for row, dataset in zip(axes, sets):
            for axis, target in zip(row, targets):
                chosen = runs[(runs["dataset"] == dataset) & (runs["target_ssim"] == target)]
                if chosen.empty:
                    continue
                axis.set_axis_on()
                for model, style in model_styles(chosen["model"]).items():
                    _draw(axis, chosen[chosen["model"] == model], readable(model), style)
                axis.set(xscale="log", ylim=(-0.04, 1.04), title=f"{dataset}\nSSIM {target:g}")
                axis.set_xlabel("seconds")
            row[0].set_ylabel("share not there yet")
        drawn = [axis for axis in axes.flat if axis.lines]
        if drawn:
            max(drawn, key=lambda axis: len(axis.lines)).legend(fontsize="x-small")
        headline(
            figure,
            survival_finding(runs),
            f"{described_sets(runs)}. One-window SSIM; pre-computation and training; ticks: runs "
            "that were stopped before.",
        )
    return figure


def _draw(axis, runs: pd.DataFrame, label: str, style: dict) -> None:
    seconds, reached = runs["total_seconds"].to_numpy(float), runs["reached"].to_numpy(bool)
    curve = survival(seconds, reached)
    look = {"color": style["color"], "ls": style["linestyle"]}
    times = np.append(seconds.min() / 2, curve.quantiles)
    shares = np.append(1.0, curve.probabilities)
    axis.plot(times, shares, drawstyle="steps-post", label=label, **look)
    stopped = np.sort(seconds[~reached])
    axis.plot(stopped, curve.evaluate(stopped), "|", ms=8, color=style["color"], label="_")


def survival(seconds: np.ndarray, reached: np.ndarray):
    """Return the share of runs that need longer, as `scipy.stats.ecdf` estimates it.

    Parameters
    ----------
    seconds : ndarray
        To the target, or until the run was stopped.
    reached : ndarray of bool
        Which of the two.
    """
    return stats.ecdf(stats.CensoredData.right_censored(seconds, ~reached)).sf


def half_reached(seconds: np.ndarray, reached: np.ndarray) -> float:
    """Return the seconds after which half of the runs are there; infinite if that was not seen."""
    curve = survival(seconds, reached)
    there = curve.quantiles[curve.probabilities <= 0.5]
    return float(there[0]) if len(there) else np.inf


def survival_finding(runs: pd.DataFrame) -> str:
    """Return when half of the runs reach the highest target of the first set, by model."""
    if runs.empty:
        return "No image was trained on alone"
    chosen = runs[runs["dataset"] == runs["dataset"].min()]
    chosen = chosen[chosen["target_ssim"] == chosen["target_ssim"].max()]
    half = {
        model: half_reached(group["total_seconds"].to_numpy(float), group["reached"].to_numpy(bool))
        for model, group in chosen.groupby("model")
    }
    published = [name for name, m in registered_models().items() if m.ablation == PUBLISHED]
    said = [name for name in (*published, *baseline_models()) if name in half] or list(half)
    words = [
        f"{readable(name)} after {half[name]:.3g} s"
        if np.isfinite(half[name])
        else f"{readable(name)} not before they were stopped"
        for name in said
    ]
    target = f"SSIM {chosen['target_ssim'].iloc[0]:g}"
    return f"Half of the runs on {chosen['dataset'].iloc[0]} reach {target}: {', '.join(words)}"
