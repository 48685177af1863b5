"""Figures of generation that are drawn from its tables: score errors, and final distances."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.metrics.names import REAL
from crosskrylov.reporting.figures.layout import described_sets, grid, headline, label_ends
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, model_styles, readable
from crosskrylov.reporting.tables.quality import deciding_distance


@register(
    "score_error",
    question="samples",
    table="score_error",
    caption="Mean square error of the score over the mean square of the exact score of the noised "
    "training images, by noise level: the same levels and the same noised images for every model. "
    "Lines: geometric mean over random seeds, bands: their range. Bars below: the levels that a "
    "model's schedule trains; shaded: the grid.",
)
def plot_score_error(table: pd.DataFrame) -> plt.Figure:
    """Relative error of the score against sigma, a panel per data set and experiment.

    Parameters
    ----------
    table : DataFrame
        The table of score errors.
    """
    panels = sorted(set(zip(table["dataset"], table["experiment"])))
    with figure_style():
        n_columns = min(max(len(panels), 1), 2)
        figure, axes = grid(-(-max(len(panels), 1) // n_columns), n_columns, 2.9, sharey=True)
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        most = 0
        for axis, (dataset, experiment) in zip(axes.flat, panels):
            here = (table["dataset"] == dataset) & (table["experiment"] == experiment)
            chosen = table[here]
            styles = model_styles(chosen["model"])
            axis.axvspan(chosen["sigma"].min(), chosen["sigma"].max(), color="0.95", lw=0, zorder=0)
            for k, (model, style) in enumerate(reversed(styles.items())):
                group = chosen[chosen["model"] == model]
                measured = group.dropna(subset=["error_normalised"]).groupby("sigma")
                errors = measured["error_normalised"]
                line = errors.agg(_geometric_mean)
                axis.plot(line.index, line, label=readable(model), **{**style, "markersize": 3})
                low, high = errors.min(), errors.max()
                axis.fill_between(low.index, low, high, color=style["color"], alpha=0.12, lw=0)
                axis.plot(
                    [group["trained_sigma_min"].min(), group["trained_sigma_max"].max()],
                    [0.02 + 0.022 * k] * 2,
                    transform=axis.get_xaxis_transform(),
                    color=style["color"],
                    lw=2.5,
                    alpha=0.7,
                    solid_capstyle="butt",
                    label="_",
                )
            axis.margins(y=0.12)
            axis.set(
                xscale="log",
                yscale="log",
                xlabel="noise level $\\sigma$ (images in [-1, 1])",
                title=dataset if experiment == "budget" else f"{dataset}: {readable(experiment)}",
            )
            most = max(most, len(styles))
        low, high = axes[0][0].get_ylim()  # of all panels: room for the bars
        axes[0][0].set_ylim(low / (high / low) ** (0.022 * most + 0.03), high)
        for axis in axes[:, 0]:
            axis.set_ylabel("error of the score / exact score\n(mean squares)")
        headline(
            figure,
            score_error_finding(table),
            f"{described_sets(table)}. Lower is better; bands: range over seeds; bars below: "
            "levels that a schedule trains; shaded: the grid.",
        )
        for axis, _ in zip(axes.flat, panels):
            label_ends(axis)
    return figure


def _geometric_mean(values: pd.Series) -> float:
    return float(values.prod() ** (1 / len(values)))


def score_error_finding(table: pd.DataFrame) -> str:
    """Return, by data set, the model of least mean relative error, and if seeds could do that."""
    main = table[table["experiment"] == "budget"]
    words = []
    for dataset, chosen in (main if len(main) else table).groupby("dataset"):
        runs = chosen.groupby(["model", "seed"])["error_normalised"]
        means = runs.mean()[runs.apply(lambda errors: errors.notna().all())]
        if means.empty:
            continue
        ranked = means.groupby("model").agg(["median", "min", "max"]).sort_values("median")
        first = f"{readable(ranked.index[0])} on {dataset} ({ranked['median'].iloc[0]:.2g})"
        if len(ranked) > 1:
            seeds = means.index.get_level_values("seed").nunique()
            apart = ranked["max"].iloc[0] < ranked["min"].iloc[1]
            how = ("apart from" if apart else "within the seeds' range of") if seeds > 1 else "then"
            second, value = readable(ranked.index[1]), ranked["median"].iloc[1]
            first += f", {how} {second} ({value:.2g})"
        words.append(first)
    if not words:
        return "No schedule trains the whole grid of noise levels"
    return f"Least mean relative error of the score over the grid: {'; '.join(words)}"


@register(
    "distance_against_samples",
    question="samples",
    table="quality",
    caption="Fréchet distance to the held-out images against the number of samples, every model "
    "under the sampler that was chosen for it; the same samples, more and more of them. Black: "
    "training images in the place of samples, the floor. Lines: mean over random seeds, bands: "
    "their range.",
)
def plot_distance_against_samples(table: pd.DataFrame) -> plt.Figure:
    """Draw final distances against n, a panel per data set and features.

    Parameters
    ----------
    table : DataFrame
        The table of quality, of which the rows of the experiments that judge by many samples are
        shown.
    """
    chosen = _final(table)
    panels = [  # a row per data set
        [(dataset, metric) for metric in sorted(of_set["metric"].unique())]
        for dataset, of_set in chosen.groupby("dataset")
    ]
    with figure_style():
        n_columns = max((len(row) for row in panels), default=1)
        figure, axes = grid(max(len(panels), 1), n_columns, height=2.9)
        for axis in axes.flat:
            axis.set_visible(False)
        drawn = [
            (axis, panel) for row, of_set in zip(axes, panels) for axis, panel in zip(row, of_set)
        ]
        for axis, (dataset, metric) in drawn:
            axis.set_visible(True)
            here = chosen[(chosen["dataset"] == dataset) & (chosen["metric"] == metric)]
            styles = model_styles(name for name in here["model"] if name != REAL)
            floor = {"color": "black", "marker": "s", "linestyle": "-"}
            for model, style in {**styles, REAL: floor}.items():
                by_number = here[here["model"] == model].groupby("n_samples")["value"]
                line = by_number.mean()
                axis.plot(line.index, line, label=readable(model), **{**style, "markersize": 3})
                low, high = by_number.min(), by_number.max()
                axis.fill_between(low.index, low, high, color=style["color"], alpha=0.12, lw=0)
            axis.set(
                xscale="log",
                yscale="log",
                xlabel="number of images n",
                ylabel=f"Fréchet distance ({readable(metric.partition('_')[2])})",
                title=dataset,
            )
            numbers = here["n_samples"].min(), here["n_samples"].max()
            axis.set_xticks(numbers, [f"{n:,}" for n in numbers])
            axis.set_xticks([], minor=True)
        headline(
            figure,
            final_finding(table),
            f"{described_sets(chosen)}. To the held-out images; lower is better; black: real "
            "images, the floor; bands: range over seeds.",
        )
        for axis, _ in drawn:
            label_ends(axis)
    return figure


def _final(table: pd.DataFrame) -> pd.DataFrame:
    """Return Fréchet distances to the held-out images, of the experiments of many samples."""
    final = table["experiment"].isin(["quality", "ablation_quality"])
    distance = table["metric"].astype(str).str.match(r"fid$|frechet_")
    return table[final & distance & (table["reference"] == "held_out")]


def final_finding(table: pd.DataFrame) -> str:
    """Return, by data set, the nearest model and how far it is from the floor at one n."""
    words = []
    chosen = _final(table)
    for dataset, of_set in chosen.groupby("dataset"):
        of_metric = of_set[of_set["metric"] == deciding_distance(of_set["metric"])]
        real, models = (of_metric[(of_metric["model"] == REAL) == real] for real in (True, False))
        common = sorted(set(real["n_samples"]) & set(models["n_samples"]))
        if not common:
            continue
        n = common[-1]
        means = models[models["n_samples"] == n].groupby("model")["value"].mean()
        floor = real[real["n_samples"] == n]["value"].mean()
        words.append(
            f"{readable(means.idxmin())} on {dataset}, {means.min() / floor:.3g} times that of "
            f"real images at n = {n} ({readable(of_metric['metric'].iloc[0].partition('_')[2])})"
        )
    if not words:
        return "No model was judged beside real images"
    return f"Least Fréchet distance to held-out images: {'; '.join(words)}"


#: Figures of this module by name, each of the table that it declares.
FIGURES: dict[str, Callable[..., plt.Figure]] = {
    "score_error": plot_score_error,
    "distance_against_samples": plot_distance_against_samples,
}
