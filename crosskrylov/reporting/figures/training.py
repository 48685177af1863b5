"""Figures of the training experiments."""

import textwrap
from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.learning.objectives.index import PUBLISHED, baseline_model
from crosskrylov.learning.sampling.registry import declared_samplers
from crosskrylov.metrics.names import SSIM_METRICS
from crosskrylov.reporting.figures.layout import (
    counted,
    described_sets,
    grid,
    headline,
    label_ends,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import (
    BLUE,
    GREY,
    PAGE_WIDTH,
    RED,
    figure_style,
    model_order,
    model_styles,
    palette_for,
    readable,
)
from crosskrylov.reporting.tables.ablation import ablation_sentence
from crosskrylov.reporting.tables.training import images_together


def _shown(image: np.ndarray) -> np.ndarray:
    """Return a (C, H, W) image as matplotlib shows it."""
    return image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)


def _show(axis, image: np.ndarray) -> None:
    axis.imshow(_shown(image.clip(0, 1)), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)


@register(
    "denoising_strip",
    question="training",
    caption="The noised image, the way there and the result of every model, at the end of its "
    "training. *DDPM from noise* starts from pure noise, not from the noised image.",
)
def plot_denoising_strip(runs: Sequence[Mapping]) -> plt.Figure:
    """One row per model: noised image, intermediate images, result and the clean image.

    Parameters
    ----------
    runs : sequence of mapping
        ``model``, ``ssim`` of the result, ``clean`` [N, C, H, W] and ``path`` [K, N, C, H, W];
        the first image is shown.
    """
    order = model_order(run["model"] for run in runs)
    runs = sorted(runs, key=lambda run: order.index(run["model"]))
    columns = len(runs[0]["path"]) + 1
    with figure_style():
        figure, axes = plt.subplots(
            len(runs),
            columns,
            figsize=(PAGE_WIDTH, PAGE_WIDTH / columns * len(runs) * 1.15 + 0.5),
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
        headline(
            figure,
            strip_finding(runs),
            "A row per model at the end of its training, from left to right the way from noise.",
        )
    return figure


def strip_finding(runs: Sequence[Mapping]) -> str:
    """Return the models whose image ends nearest to the clean one and farthest from it."""
    ranked = sorted(runs, key=lambda run: run["ssim"], reverse=True)
    best, worst = ranked[0], ranked[-1]
    first = f"{readable(best['model'])} ends nearest to the clean image, SSIM {best['ssim']:.3f}"
    if len(ranked) == 1:
        return f"{readable(best['model'])} denoises the image to SSIM {best['ssim']:.3f}"
    return f"{first}; {readable(worst['model'])} farthest, SSIM {worst['ssim']:.3f}"


@register(
    "ssim_against_seconds",
    question="training",
    caption="How far the denoised image is from the clean one while training: one minus the "
    "windowed SSIM. A line per run, by the clock on the wall, evaluation time left out, "
    "pre-computation counted.",
)
def plot_ssim_against_seconds(curves: pd.DataFrame, targets: Sequence[float]) -> plt.Figure:
    """One minus the SSIM of the denoised image against training time, a panel per data set.

    Parameters
    ----------
    curves : DataFrame
        Columns dataset, model, image, seed, total_seconds (with pre-computation), ssim.
    targets : sequence of float
        Drawn as horizontal lines.
    """
    curves = _apart_by_images(curves).assign(missing=(1 - curves["ssim"]).clip(lower=1e-4))
    sets = sorted(curves["dataset"].unique())
    with figure_style():
        figure, axes = grid(1, len(sets), height=2.8, sharey=True)
        for axis, dataset in zip(axes[0], sets, strict=True):
            chosen = curves[curves["dataset"] == dataset]
            for model, style in model_styles(chosen["model"]).items():
                look = {"color": style["color"], "ls": style["linestyle"], "lw": 1.1}
                of_model = chosen[chosen["model"] == model]
                runs = [run for _, run in of_model.groupby(["image", "seed"])]
                for k, run in enumerate(runs):
                    label = readable(model) if k == len(runs) - 1 else "_"
                    axis.plot(run["total_seconds"], run["missing"], label=label, **look)
            for target in targets:
                axis.axhline(1 - target, color="0.7", lw=0.6, ls="--", zorder=0)
                axis.text(
                    0.01,
                    1 - target,
                    f"SSIM {target:g}",
                    transform=axis.get_yaxis_transform(),
                    va="bottom",
                    size=7,
                    color="0.45",
                )
            axis.set(
                xscale="log",
                yscale="log",
                xlabel="training, pre-computation counted (s)",
                title=dataset,
            )
        axes[0][0].set_ylabel("1 - SSIM of the denoised image")
        headline(
            figure,
            ssim_finding(curves),
            f"{described_sets(curves)}; a line per run. Lower is better; dashes: targets.",
        )
        for axis in axes[0]:
            label_ends(axis)
    return figure


def ssim_finding(curves: pd.DataFrame) -> str:
    """Return the models that end nearest to and farthest from the clean image, by medians."""
    runs = ["dataset", "model", "image", "seed"]
    last = curves.sort_values("total_seconds").groupby(runs).last()
    missing = (1 - last["ssim"]).groupby("model").median().sort_values()
    best, worst = missing.index[0], missing.index[-1]
    if best == worst:
        return (
            f"At the end of training {readable(best)} falls short of SSIM 1 by {missing[best]:.2g}"
        )
    return (
        f"At the end of training {readable(best)} falls short of SSIM 1 by {missing[best]:.2g}, "
        f"the least, {readable(worst)} by {missing[worst]:.2g}, the most (medians)"
    )


@register(
    "time_to_ssim",
    question="training",
    table="training",
    caption="Seconds to each target of the windowed SSIM, steps times the calibrated seconds per "
    "step, a point per image and random seed; hollow triangles: runs that ended before they "
    "reached it, at that time, some since they had reached all targets of the one-window SSIM.",
)
def plot_time_to_ssim(table: pd.DataFrame) -> plt.Figure:
    """Seconds to each target SSIM by model, a panel per target; triangles: stopped before.

    Parameters
    ----------
    table : DataFrame
        The table of training, of which rows of the experiment single_image and of the windowed SSIM
        are shown.
    """
    table = single_image_runs(table)
    sets = sorted(table["dataset"].unique())
    targets = sorted(table["target_ssim"].unique())
    with figure_style():
        figure, axes = grid(
            len(sets),
            max(len(targets), 2),
            height=0.2 * table["model"].nunique() + 0.7,
            sharex="row",
            sharey="row",
        )
        for axis in axes[:, len(targets) :].flat:
            axis.set_axis_off()
        for row, dataset in zip(axes, sets, strict=True):
            chosen = table[table["dataset"] == dataset]
            styles = model_styles(chosen["model"])
            heights = {model: k for k, model in enumerate(reversed(styles))}
            stopped = chosen[~chosen["reached"]]["total_seconds"]
            for axis, target in zip(row, targets):
                if not (chosen["target_ssim"] == target).any():
                    axis.set_axis_off()
                    continue
                for _, run in chosen[chosen["target_ssim"] == target].iterrows():
                    colour = styles[run["model"]]["color"]
                    axis.plot(
                        run["total_seconds"],
                        heights[run["model"]],
                        "o" if run["reached"] else ">",
                        mfc=colour if run["reached"] else "none",
                        color=colour,
                    )
                for model, runs in chosen[chosen["target_ssim"] == target].groupby("model"):
                    reached = int(runs["reached"].sum())
                    _count_beside(axis, heights[model], reached, len(runs))
                if len(stopped):
                    axis.axvline(stopped.max(), color="0.6", lw=0.8, ls=":", zorder=0)
                axis.set(xscale="log", title=f"{dataset}\nSSIM {target:g}")
                axis.grid(axis="y", color="0.93")
            row[0].set_yticks(list(heights.values()), [readable(model) for model in heights])
            row[0].set_ylim(-0.6, len(heights) - 0.4)
            for axis in row[: len(targets)]:
                axis.set_xlabel("seconds")
        headline(
            figure,
            time_finding(table),
            f"{described_sets(table)}. Pre-computation and training. Points: reached; hollow "
            "triangles: stopped before; dotted: the last stop; k/n: k of n runs reached it.",
        )
    return figure


def _count_beside(axis, height: float, reached: int, total: int) -> None:
    """Write "2/3" beside the axes, in colour where some runs failed."""
    axis.annotate(
        f"{reached}/{total}",
        (1.0, height),
        xycoords=axis.get_yaxis_transform(),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
        color="0.35" if reached == total else RED,
        annotation_clip=False,
    )


def time_finding(table: pd.DataFrame) -> str:
    """Return who reaches the highest target how often and when, the baseline beside it.

    On the set of images on which most models have that target: sets differ in how hard they are.
    """
    table = single_image_runs(table)
    if table.empty:
        return "No image was trained on alone"
    top = table[table["target_ssim"] == table["target_ssim"].max()]
    compared = top.groupby("dataset")["model"].nunique()
    where = f" on {compared.idxmax()}" if len(compared) > 1 else ""
    top = top[top["dataset"] == compared.idxmax()]
    runs = top.groupby("model")["reached"].agg(["sum", "count"])
    seconds = top[top["reached"]].groupby("model")["total_seconds"].median()
    target = f"SSIM {top['target_ssim'].iloc[0]:g}"
    if not runs["sum"].any():
        return f"No model reaches {target}{where} within {top['total_seconds'].max():.0f} s"
    order = runs.assign(seconds=seconds, rate=runs["sum"] / runs["count"])
    best = order.sort_values(["rate", "seconds"], ascending=[False, True]).index[0]
    said = [best, *(name for name in (baseline_model(),) if name in runs.index and name != best)]
    words = [
        f"{readable(name)} in {runs['sum'][name]} of {counted(runs['count'][name], 'run')}"
        + (f" (median {seconds[name]:.0f} s)" if name in seconds.index else "")
        for name in said
    ]
    return f"{target} is reached{where} by {', by '.join(words)}"


def single_image_runs(table: pd.DataFrame, metric: str = SSIM_METRICS[1]) -> pd.DataFrame:
    """Return runs on single images to the targets of one metric, with ``total_seconds``.

    These are pre-computation and calibrated steps, to the target or to where the run was stopped;
    the clock on the wall where nothing was calibrated. A table from before has them itself, and
    windowed targets alone.
    """
    table = _apart_by_images(table[table["experiment"] == "single_image"])
    table = table[table["metric"] == metric] if "metric" in table else table
    if "total_seconds" not in table:
        training = (table["steps"] * table["seconds_per_step"]).fillna(table["wall_seconds"])
        table = table.assign(total_seconds=table["precompute_seconds"] + training)
    return table.assign(reached=table["reached"].astype(str) == "True")


def _apart_by_images(runs: pd.DataFrame) -> pd.DataFrame:
    """Return runs whose data set also says how many images were trained on together, if several."""
    if "image" not in runs:
        return runs
    together = images_together(runs["image"])
    more = ", " + together.astype(str) + " together"
    return runs.assign(dataset=runs["dataset"].astype(str) + more.where(together > 1, ""))


@register(
    "sample_grids",
    question="samples",
    caption="The first samples of every model after the same training time, unselected, beside "
    "training images.",
)
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
            figsize=(PAGE_WIDTH, PAGE_WIDTH / wide * (rows / columns) * tall + 0.4 * tall + 0.4),
            squeeze=False,
        )
        for axis in axes.flat:
            axis.set_axis_off()
        for axis, run in zip(axes.flat, runs):
            _show(axis, _tiled(run["images"][: rows * columns], columns))
            axis.set_axis_on()
            axis.set_title(readable(run["title"]), fontsize="small")
        headline(
            figure,
            f"The first {rows * columns} samples of {counted(len(runs) - 1, 'model')} after the "
            "same training time",
            "Unselected, beside training images.",
        )
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


@register(
    "frechet_against_seconds",
    question="samples",
    caption="Fréchet distance of the samples while training, against seconds and against optimiser "
    "steps, mean over random seeds; points are single seeds.",
)
def plot_frechet_against_seconds(curves: pd.DataFrame) -> plt.Figure:
    """Fréchet distance of the samples against training time and steps, a column per data set.

    Parameters
    ----------
    curves : DataFrame
        Columns dataset, model, seed, step, train_seconds, and a column ``frechet_<features>`` for
        every kind of features, empty where a data set has others.
    """
    distances = _distances(curves)
    sets = sorted(distances["dataset"].unique())
    with figure_style():
        figure, axes = grid(2, len(sets), height=2.6, sharey="col")
        for column, dataset in zip(axes.T, sets, strict=True):
            chosen = distances[distances["dataset"] == dataset]
            for axis, (x, label) in zip(column, _CLOCKS.items(), strict=True):
                for model, style in model_styles(chosen["model"]).items():
                    group = chosen[chosen["model"] == model]
                    mean = _mean_by_rank(group, x)
                    axis.plot(mean["x"], mean["value"], label=readable(model), **style)
                    look = {"color": style["color"], "ms": 3, "alpha": 0.5, "label": "_"}
                    axis.plot(group[x], group["value"], ".", **look)
                wide = chosen[x].max() > 4 * chosen[x].min()
                axis.set(
                    xscale="log" if wide else "linear",
                    yscale="log",
                    xlabel=label,
                    ylabel=f"Fréchet distance ({readable(chosen['metric'].iloc[0][8:])})",
                )
            column[0].set_title(dataset)
        headline(
            figure,
            frechet_finding(curves),
            f"{described_sets(distances)}. Lower is better; line: mean, points: single seeds.",
        )
        for axis in axes.flat:
            label_ends(axis)
    return figure


#: What training is measured by, and in words.
_CLOCKS = {"train_seconds": "training time (s)", "step": "optimiser steps"}


def frechet_finding(curves: pd.DataFrame) -> str:
    """Return the model whose last samples are nearest, and whether seeds could do that."""
    last = _distances(curves).sort_values("train_seconds")
    last = last.groupby(["dataset", "model", "seed"])["value"].last()
    words = [_nearest(values, dataset) for dataset, values in last.groupby(level="dataset")]
    return f"Nearest to the images at the end of training: {'; '.join(words)}"


def _nearest(values: pd.Series, dataset: str) -> str:
    ranges = values.groupby("model").agg(["mean", "min", "max"]).sort_values("mean")
    first = f"{readable(ranges.index[0])} on {dataset} ({ranges['mean'].iloc[0]:.3g})"
    if len(ranges) == 1:
        return first
    second = f"{readable(ranges.index[1])} ({ranges['mean'].iloc[1]:.3g})"
    if values.index.get_level_values("seed").nunique() == 1:
        return f"{first}, then {second}"
    apart = ranges["max"].iloc[0] < ranges["min"].iloc[1]
    return f"{first}, {'apart from' if apart else 'overlapping over seeds with'} {second}"


def _distances(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the Fréchet distances of curves in long form."""
    return curves.melt(
        id_vars=["dataset", "model", "seed", "step", "train_seconds"],
        value_vars=[name for name in curves.columns if name.startswith("frechet_")],
        var_name="metric",
    ).dropna(subset=["value"])


def _mean_by_rank(group: pd.DataFrame, x: str) -> pd.DataFrame:
    """Return means over seeds, which end at slightly different x: their k-th points together."""
    group = group.assign(rank=group.groupby("seed")[x].rank(method="first"), x=group[x])
    return group.groupby("rank")[["x", "value"]].mean()


@register(
    "quality_against_evaluations",
    question="samples",
    table="quality",
    caption="Quality against the number of network evaluations per sample, by sampler, for the "
    "networks of the budget experiment. Bands: range over random seeds.",
)
def plot_quality_against_evaluations(quality: pd.DataFrame) -> plt.Figure:
    """Fréchet distance against evaluations: a row per model, samplers by kind in columns.

    Parameters
    ----------
    quality : DataFrame
        The table of quality, of which rows of the experiment samplers are shown.
    """
    quality = _sampled(quality)
    rows = sorted(set(zip(quality["dataset"], quality["model"])))
    kinds = sorted({_kind(name) for name in quality["sampler"]})
    with figure_style():
        figure, axes = grid(
            max(len(rows), 1), max(len(kinds), 2), height=2.9, sharex=True, sharey="row"
        )
        for line, (dataset, model) in zip(axes, rows):
            chosen = quality[(quality["dataset"] == dataset) & (quality["model"] == model)]
            best = chosen.groupby("sampler")["value"].min().sort_values()
            for axis, kind in zip(line, kinds):
                mine = [name for name in best.index if _kind(name) == kind]
                colours = palette_for(mine)  # beyond seven the farthest are grey
                for name in best.index:
                    group = chosen[chosen["sampler"] == name]
                    mean = _mean_by_rank(group, "function_evaluations")
                    if name not in mine:
                        axis.plot(mean["x"], mean["value"], color="0.88", lw=0.8, zorder=0)
                        continue
                    axis.plot(
                        mean["x"],
                        mean["value"],
                        marker="o",
                        color=colours[name],
                        label=readable(name),
                        lw=1.1,
                    )
                    by_count = group.groupby("function_evaluations")["value"]
                    axis.fill_between(
                        by_count.min().index,
                        by_count.min(),
                        by_count.max(),
                        color=colours[name],
                        alpha=0.12,
                        lw=0,
                    )
                counts = sorted(chosen["function_evaluations"].unique())
                axis.set(
                    xscale="log",
                    yscale="log",
                    xlabel="network evaluations per sample",
                    title=f"{dataset}, {readable(model)}: {kind} samplers",
                )
                ticks = counts[:1]
                for count in counts:
                    if count >= 1.3 * ticks[-1]:
                        ticks.append(count)
                axis.set_xticks(ticks, [str(count) for count in ticks])
                axis.minorticks_off()
            line[0].set_ylabel(f"Fréchet distance ({readable(chosen['metric'].iloc[0][8:])})")
        headline(
            figure,
            quality_finding(quality),
            f"{described_sets(quality)}. Lower is better; bands: range over seeds; grey: the "
            "other kind.",
        )
        for axis in axes[:, len(kinds) :].flat:
            axis.set_axis_off()
        for axis in axes[:, : len(kinds)].flat:
            label_ends(axis)
    return figure


def quality_finding(quality: pd.DataFrame) -> str:
    """Return the best sampler with the fewest and with the most evaluations."""
    mean = _sampled(quality).groupby(["function_evaluations", "sampler"])["value"].mean()
    if mean.empty:
        return "No samplers were compared"
    counts = mean.index.get_level_values("function_evaluations")
    middle = (counts.min() * counts.max()) ** 0.5
    words = []
    for label, part in (("few", mean[counts <= middle]), ("many", mean[counts > middle])):
        if len(part):
            count, name = part.idxmin()
            words.append(f"{readable(name)} with {label} evaluations ({part.min():.3g} at {count})")
    return f"Smallest Fréchet distance: {', '.join(words)}"


def _sampled(quality: pd.DataFrame) -> pd.DataFrame:
    quality = quality[quality["experiment"] == "samplers"]
    return quality[quality["metric"].str.startswith("frechet_")]


def _kind(sampler: str) -> str:
    """Return the kind of sampler; one that the configuration gave a name of its own has none."""
    declared = declared_samplers().get(sampler.partition(",")[0])  # options follow the name
    if declared is None:
        return "other"
    return "stochastic" if declared.facts["stochastic"] else "deterministic"


@register(
    "ablation",
    question="training",
    table="ablation",
    caption="Every variant of score embedding: mean and range over the random seeds that reached "
    "the target (how many did is said beside it), and the range of the published variant (shaded). "
    "Means over some of the seeds only are hollow: they leave out the runs that failed.",
)
def plot_ablation(table: pd.DataFrame) -> plt.Figure:
    """Mean and range of every variant, a panel per outcome, above it the finding.

    Parameters
    ----------
    table : DataFrame
        The table of the ablation.
    """
    order = [PUBLISHED] * (PUBLISHED in set(table["variant"])) + sorted(
        set(table["variant"]) - {PUBLISHED}
    )
    heights = {variant: -k for k, variant in enumerate(order)}
    panels = sorted(set(zip(table["dataset"], table["outcome"])))
    with figure_style():
        figure, axes = grid(1, max(len(panels), 1), height=0.24 * len(order) + 0.8, sharey=True)
        for axis, (dataset, outcome) in zip(axes[0], panels):
            here = (table["dataset"] == dataset) & (table["outcome"] == outcome)
            chosen = table[here]
            for row in chosen.to_dict("records"):
                height, reached = heights[row["variant"]], int(row["n_seeds"])
                # rows of old snapshots do not count runs: as many as of the best variant
                n_runs = row.get("n_runs")
                total = int(chosen["n_seeds"].max() if pd.isna(n_runs) else n_runs)
                if reached:
                    axis.plot([row["smallest"], row["largest"]], [height] * 2, color=BLUE, lw=1.2)
                    full = BLUE if reached == total else "white"
                    axis.plot(row["mean"], height, "o", color=BLUE, mfc=full, ms=5)
                _count_beside(axis, height, reached, total)
            reference = chosen[chosen["variant"] == PUBLISHED].dropna(subset=["mean"])
            for row in reference.to_dict("records"):
                axis.axvspan(row["smallest"], row["largest"], color=GREY, alpha=0.15, lw=0)
            axis.set(title=dataset, xlabel=textwrap.fill(_outcome(outcome), 18))
        axes[0][0].set_yticks(list(heights.values()), [_variant(name) for name in heights])
        axes[0][0].set_ylim(min(heights.values(), default=0) - 0.6, 0.6)
        headline(
            figure,
            ablation_finding(table),
            f"{described_sets(table)}. Score embedding with one thing changed. Point: mean, line: "
            "range over seeds, shaded: the published variant's range; k/n: k of n seeds reached "
            "the target; hollow: mean over those that did only.",
        )
    return figure


def ablation_finding(table: pd.DataFrame) -> str:
    """Return which variants change an outcome beyond the spread over seeds, in readable names."""
    named = table.assign(
        variant=table["variant"].map(_variant), outcome=table["outcome"].map(_outcome)
    )
    return ablation_sentence(named).rstrip(".")


_OUTCOMES = {
    "steps_to_ssim": "steps to the target SSIM",
    "seconds_to_ssim": "seconds to the target SSIM",
    "steps_to_ssim_global": "steps to the target one-window SSIM",
    "seconds_to_ssim_global": "seconds to the target one-window SSIM",
}


def _outcome(name: str) -> str:
    """Return an outcome's name as words."""
    if name.startswith("frechet_"):
        return f"Fréchet distance ({readable(name.removeprefix('frechet_'))})"
    return _OUTCOMES.get(name, readable(name))


def _variant(name: str) -> str:
    """Return a variant's name as words: "lambda_0.05" is a value of a parameter."""
    word, _, value = name.rpartition("_")
    is_number = value.replace(".", "", 1).isdigit()
    return f"{readable(word)} = {value}" if word and is_number else readable(name)


#: Figures that show numbers: each takes a table, joined curves or results, as its rule has them.
FIGURES: dict[str, Callable[..., plt.Figure]] = {
    "time_to_ssim": plot_time_to_ssim,
    "ssim_against_seconds": plot_ssim_against_seconds,
    "frechet_against_seconds": plot_frechet_against_seconds,
    "quality_against_evaluations": plot_quality_against_evaluations,
    "ablation": plot_ablation,
}
