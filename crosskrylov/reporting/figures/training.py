"""Figures of the training experiments."""

import itertools
import textwrap
from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from crosskrylov.learning.objectives.index import PUBLISHED
from crosskrylov.reporting.figures.style import PAGE_WIDTH, figure_style, palette_for, readable
from crosskrylov.reporting.tables.ablation import (
    ablation_outcomes,
    ablation_sentence,
    compare_variants,
)


def _shown(image: np.ndarray) -> np.ndarray:
    """Return a (C, H, W) image as matplotlib shows it."""
    return image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)


def _show(axis, image: np.ndarray) -> None:
    axis.imshow(_shown(image.clip(0, 1)), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)


def plot_denoising_strip(runs: Sequence[Mapping]) -> plt.Figure:
    """One row per model: noised image, intermediate images, result and the clean image.

    Parameters
    ----------
    runs : sequence of mapping
        ``model``, ``ssim`` of the result, ``clean`` [N, C, H, W] and ``path`` [K, N, C, H, W];
        the first image is shown.
    """
    columns = len(runs[0]["path"]) + 1
    with figure_style():
        figure, axes = plt.subplots(
            len(runs),
            columns,
            figsize=(PAGE_WIDTH, PAGE_WIDTH / columns * len(runs) * 1.15),
            squeeze=False,
        )
        for row, run in zip(axes, runs, strict=True):
            for axis, image in zip(row, [*run["path"][:, 0], run["clean"][0]], strict=True):
                _show(axis, image)
            row[0].set_ylabel(readable(run["model"]), fontsize="small")
            row[-2].set_xlabel(f"SSIM {run['ssim']:.3f}", fontsize="small")
        axes[0][0].set_title("noised", fontsize="small")
        axes[0][-2].set_title("denoised", fontsize="small")
        axes[0][-1].set_title("clean", fontsize="small")
    return figure


def plot_ssim_against_seconds(curves: pd.DataFrame, targets: Sequence[float]) -> plt.Figure:
    """Windowed SSIM of the denoised image against training time, a panel per data set.

    Parameters
    ----------
    curves : DataFrame
        Columns dataset, model, seed, total_seconds (with pre-computation), ssim.
    targets : sequence of float
        Drawn as horizontal lines.
    """
    colours = palette_for(sorted(curves["model"].unique()))
    sets = sorted(curves["dataset"].unique())
    with figure_style():
        figure, axes = plt.subplots(
            1, len(sets), figsize=(max(PAGE_WIDTH * len(sets) / 2, 4.2), 2.8), squeeze=False
        )
        for axis, dataset in zip(axes[0], sets, strict=True):
            chosen = curves[curves["dataset"] == dataset]
            for (model, _seed), run in chosen.groupby(["model", "seed"]):
                axis.plot(
                    run["total_seconds"],
                    run["ssim"],
                    color=colours[model],
                    label=readable(model),
                    lw=1.2,
                )
            for target in targets:
                axis.axhline(target, color="0.7", lw=0.6, ls="--", zorder=0)
            axis.set(
                xscale="log",
                xlabel="training, pre-computation counted [s]",
                ylabel="SSIM of the denoised image",
                title=dataset,
            )
        _legend_below(figure, axes[0])
    return figure


def plot_time_to_ssim(table: pd.DataFrame) -> plt.Figure:
    """Seconds to each target SSIM by model; an arrow marks runs that the budget ended.

    Parameters
    ----------
    table : DataFrame
        The table of training, of which rows of the experiment single_image are shown.
    """
    table = table[table["experiment"] == "single_image"]
    sets = sorted(table["dataset"].unique())
    models = sorted(table["model"].unique())
    colours = palette_for(models)
    with figure_style():
        figure, axes = plt.subplots(
            1, len(sets), figsize=(max(PAGE_WIDTH * len(sets) / 2, 4.2), 2.8), squeeze=False
        )
        for axis, dataset in zip(axes[0], sets, strict=True):
            chosen = table[table["dataset"] == dataset]
            for k, model in enumerate(models):
                for _, row in chosen[chosen["model"] == model].iterrows():
                    place = row["target_ssim"] + (k - len(models) / 2) * 0.003
                    axis.plot(
                        place,
                        row["total_seconds"],
                        "o" if row["reached"] else "^",
                        mfc=colours[model] if row["reached"] else "none",
                        color=colours[model],
                        label=readable(model) if row["reached"] else None,
                    )
            axis.set(
                yscale="log",
                xticks=sorted(chosen["target_ssim"].unique()),
                xlabel="target SSIM (triangle: not reached, at least so long)",
                ylabel="pre-computation + training [s]",
                title=dataset,
            )
        _legend_below(figure, axes[0])
    return figure


def plot_sample_grids(runs: Sequence[Mapping], rows: int = 4, columns: int = 8) -> plt.Figure:
    """Tile samples of every model side by side, training images first.

    Parameters
    ----------
    runs : sequence of mapping
        ``title`` and ``images`` [N, C, H, W].
    rows, columns : int
        Samples per grid; the first ones are taken, unselected.
    """
    wide = min(len(runs), 3)
    tall = -(-len(runs) // wide)
    with figure_style():
        figure, axes = plt.subplots(
            tall,
            wide,
            figsize=(PAGE_WIDTH, PAGE_WIDTH / wide * (rows / columns) * tall + 0.4 * tall),
            squeeze=False,
        )
        for axis in axes.flat:
            axis.set_axis_off()
        for axis, run in zip(axes.flat, runs):
            _show(axis, _tiled(run["images"][: rows * columns], columns))
            axis.set_axis_on()
            axis.set_title(readable(run["title"]), fontsize="small")
    return figure


def _tiled(images: np.ndarray, columns: int) -> np.ndarray:
    """Return images (N, C, H, W) as one (C, rows (H + 1), columns (W + 1)) picture."""
    n, channels, height, width = images.shape
    rows = -(-n // columns)
    canvas = np.ones((channels, rows * (height + 1) - 1, columns * (width + 1) - 1))
    for k, image in enumerate(images):
        top, left = k // columns * (height + 1), k % columns * (width + 1)
        canvas[:, top : top + height, left : left + width] = image
    return canvas


def plot_frechet_against_seconds(curves: pd.DataFrame) -> plt.Figure:
    """Fréchet distance of the samples against training time, a panel per data set.

    Parameters
    ----------
    curves : DataFrame
        Columns dataset, model, seed, train_seconds, and a column ``frechet_<features>`` for every
        kind of features, empty where a data set has others.
    """
    distances = curves.melt(
        id_vars=["dataset", "model", "seed", "train_seconds"],
        value_vars=[name for name in curves.columns if name.startswith("frechet_")],
        var_name="metric",
    ).dropna(subset=["value"])
    return _lines_by_panel(distances, "train_seconds", "model", "training time [s]", "log")


def plot_quality_against_evaluations(quality: pd.DataFrame) -> plt.Figure:
    """Fréchet distance against function evaluations by sampler, a panel per model.

    Parameters
    ----------
    quality : DataFrame
        The table of quality, of which rows of the experiment samplers are shown.
    """
    quality = quality[quality["experiment"] == "samplers"]
    quality = quality[quality["metric"].str.startswith("frechet_")]
    quality = quality.assign(dataset=quality["dataset"] + ", " + quality["model"].map(readable))
    return _lines_by_panel(
        quality, "function_evaluations", "sampler", "network evaluations per sample", "log"
    )


def _lines_by_panel(table, x: str, hue: str, label: str, scale: str) -> plt.Figure:
    names = sorted(table[hue].unique())
    colours = palette_for(names)
    markers = dict(zip(names, itertools.cycle("os^vDXP")))  # so many colours are hard to tell
    sets = sorted(table["dataset"].unique())
    with figure_style():
        figure, axes = plt.subplots(
            1, len(sets), figsize=(max(PAGE_WIDTH * len(sets) / 2, 4.8), 3.2), squeeze=False
        )
        for axis, dataset in zip(axes[0], sets, strict=True):
            chosen = table[table["dataset"] == dataset]
            for name, group in chosen.groupby(hue):
                # seeds end at slightly different seconds: their k-th points belong together
                group = group.assign(rank=group.groupby("seed")[x].rank(method="first"))
                by_rank = group.groupby("rank").agg(
                    x=(x, "mean"),
                    mean=("value", "mean"),
                    low=("value", "min"),
                    high=("value", "max"),
                )
                axis.plot(
                    by_rank["x"],
                    by_rank["mean"],
                    marker=markers[name],
                    color=colours[name],
                    label=readable(name),
                    lw=1,
                )
                axis.fill_between(
                    by_rank["x"], by_rank["low"], by_rank["high"], color=colours[name], alpha=0.15
                )
            axis.set(
                xscale=scale,
                yscale="log",
                xlabel=label,
                ylabel=f"Fréchet distance ({readable(chosen['metric'].iloc[0][8:])})",
                title=dataset,
            )
        _legend_below(figure, axes[0])
    return figure


def plot_ablation(
    results: Sequence[Mapping], target: float, main_variants: Mapping[str, str]
) -> plt.Figure:
    """Every run of every variant, and its mean, a panel per outcome, above it the finding.

    Parameters
    ----------
    results, target, main_variants
        See `crosskrylov.reporting.tables.ablation.ablation_outcomes`.
    """
    outcomes = ablation_outcomes(results, target, main_variants)
    sentence = ablation_sentence(compare_variants(outcomes))
    outcomes = outcomes.dropna(subset=["value"])
    panels = sorted(set(zip(outcomes["dataset"], outcomes["outcome"])))
    with figure_style():
        figure, axes = plt.subplots(
            1,
            max(len(panels), 1),
            figsize=(PAGE_WIDTH, 0.28 * outcomes["variant"].nunique() + 1.7),
            squeeze=False,
            sharey=True,
        )
        figure.suptitle(textwrap.fill(sentence, 100), fontsize="small")
        for axis, (dataset, outcome) in zip(axes[0], panels):
            chosen = outcomes[(outcomes["dataset"] == dataset) & (outcomes["outcome"] == outcome)]
            sns.pointplot(
                chosen,
                x="value",
                y="variant",
                ax=axis,
                errorbar=("pi", 100),
                linestyle="none",
                color="0.2",
                markersize=4,
                err_kws={"linewidth": 1},
            )
            sns.stripplot(chosen, x="value", y="variant", ax=axis, size=3, color="C0", jitter=False)
            reference = chosen[chosen["variant"] == PUBLISHED]["value"]
            if len(reference):
                axis.axvspan(reference.min(), reference.max(), color="C0", alpha=0.15, lw=0)
            axis.set(xlabel=readable(outcome), ylabel="", title=dataset)
    return figure


def _legend_below(figure, axes) -> None:
    entries = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        entries |= dict(zip(labels, handles))
    if entries:
        figure.legend(
            entries.values(), entries.keys(), loc="outside lower center", ncols=4, fontsize="small"
        )


#: Figures that show numbers: each takes a table, joined curves or results, as its rule has them.
FIGURES: dict[str, Callable[..., plt.Figure]] = {
    "time_to_ssim": plot_time_to_ssim,
    "ssim_against_seconds": plot_ssim_against_seconds,
    "frechet_against_seconds": plot_frechet_against_seconds,
    "quality_against_evaluations": plot_quality_against_evaluations,
    "ablation": plot_ablation,
}
