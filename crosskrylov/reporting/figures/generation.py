"""Figures of generation that are drawn from its tables: score errors, and final distances."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import described_sets, grid, headline, label_ends
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, model_styles, readable


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
        figure, axes = grid(1, max(len(panels), 1), height=3.0, sharey=True)
        for axis, (dataset, experiment) in zip(axes[0], panels):
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
                xlabel="noise level σ (images in [−1, 1])",
                title=dataset if experiment == "budget" else f"{dataset}: {readable(experiment)}",
            )
            low, high = axis.get_ylim()
            axis.set_ylim(low / (high / low) ** (0.022 * len(styles) + 0.03), high)
        axes[0][0].set_ylabel("error of the score / exact score\n(mean squares)")
        headline(
            figure,
            score_error_finding(table),
            f"{described_sets(table)}. Lower is better; bands: range over seeds; bars below: "
            "levels that a schedule trains; shaded: the grid.",
        )
        for axis in axes[0]:
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


#: Figures of this module by name, each of the table that it declares.
FIGURES: dict[str, Callable[..., plt.Figure]] = {"score_error": plot_score_error}
