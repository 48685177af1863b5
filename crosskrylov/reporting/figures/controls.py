"""Figures of the controls and of the learning-rate sweep."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import (
    counted,
    described_sets,
    grid,
    headline,
    label_ends,
    outside_legend,
    panels,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import (
    BLUE,
    COLOURS,
    FAINT,
    GREY,
    RED,
    figure_style,
    palette_for,
    readable,
)
from crosskrylov.reporting.figures.survival import survival
from crosskrylov.reporting.tables.controls import effects_sentence
from crosskrylov.reporting.tables.learning_rates import rates_sentence

_VERDICTS = {"better": BLUE, "worse": RED, "undecided": GREY}


@register(
    "control_effects",
    question="training",
    table="control_effects",
    caption="Every control against what it is compared with: median over images of the ratio of "
    "steps to the target (one-window SSIM), or of distances, with its 95 % interval. Left of 1 the "
    "control is better. Grey: undecided after correction for the number of comparisons.",
)
def plot_control_effects(table: pd.DataFrame) -> plt.Figure:
    """Draw the ratio of every control with its interval, a panel per outcome and output.

    Parameters
    ----------
    table : DataFrame
        The table control_effects, of which the highest target in the published SSIM is shown, and
        the Fréchet distances.
    """
    table = _shown_outcomes(table)
    keys = ["experiment", "dataset", "metric"]
    shown = panels(table, *keys)
    labels = [_comparison(row) for row in table.to_dict("records")]
    names = list(dict.fromkeys(reversed(labels)))
    with figure_style():
        figure, axes = grid(1, max(len(shown), 1), height=0.2 * len(names) + 0.9, sharey=True)
        for axis, key in zip(axes[0], shown):
            chosen = table[(table[keys] == list(key)).all(axis=1)]
            for row in chosen.to_dict("records"):
                height, colour = names.index(_comparison(row)), _VERDICTS[row["verdict"]]
                if np.isfinite(row["ratio_low"]):
                    axis.plot([row["ratio_low"], row["ratio_high"]], [height] * 2, color=colour)
                axis.plot(row["ratio"], height, "o", color=colour)
                axis.annotate(
                    f"{row['n_reached']}/{row['n_pairs']}",
                    (1.0, height),
                    xycoords=axis.get_yaxis_transform(),
                    xytext=(3, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=7,
                    color="0.35",
                    annotation_clip=False,
                )
            axis.axvline(1, color="0.6", lw=0.8, zorder=0)
            experiment, dataset, metric = key
            what = "steps" if experiment == "single_image" else readable(metric)
            axis.set(xscale="log", title=dataset, xlabel=f"{what}, over those of the other")
            axis.grid(axis="y", color="0.93")
        axes[0][0].set_yticks(range(len(names)), names)
        axes[0][0].set_ylim(-0.6, max(len(names), 1) - 0.4)
        target = table["target"].max()
        to = f" Steps to one-window SSIM {target:g}." if np.isfinite(target) else ""
        headline(
            figure,
            effects_finding(table),
            f"{described_sets(table)}; paired over images.{to} Point: median, line: 95 % interval; "
            "blue better, red worse, grey undecided; k/n: k of n runs arrived.",
        )
    return figure


def _comparison(row: Mapping) -> str:
    """Return what is compared with what, the output said where it is scaled."""
    sides = (("control", "scaled"), ("reference", "reference_scaled"))
    words = [
        readable(row[name]) + (", scaled" if str(row[scaled]) == "True" else "")
        for name, scaled in sides
    ]
    return " : ".join(words)


def _shown_outcomes(table: pd.DataFrame) -> pd.DataFrame:
    """Return the highest target in the published SSIM, and the Fréchet distances."""
    top = (table["metric"] == "ssim_global") & (table["target"] == table["target"].max())
    frechet = table["metric"].astype(str).str.startswith("frechet_")
    chosen = table[top | frechet]
    return chosen.sort_values(["scaled", "reference", "control"], kind="stable")


def effects_finding(table: pd.DataFrame) -> str:
    """Return how many comparisons are decided, and the largest effect among them."""
    decided = table[table["verdict"] != "undecided"]
    if len(decided) < 2:
        words = {key: table[key].map(readable) for key in ("control", "reference")}
        return effects_sentence(table.assign(**words)).rstrip(".")
    largest = decided.loc[np.log(decided["ratio"]).abs().idxmax()]
    return (
        f"{len(decided)} of {counted(len(table), 'comparison')} are decided; the largest: "
        f"{_comparison(largest).replace(' : ', ' against ')}, {largest['ratio']:.2g} times"
    )


@register(
    "controls",
    question="training",
    table="controls",
    caption="Share of runs that have not reached the highest target (one-window SSIM) after so "
    "many optimiser steps, by control: Kaplan and Meier's estimate, in which runs that were "
    "stopped stay until their last step (tick).",
)
def plot_controls(table: pd.DataFrame) -> plt.Figure:
    """Draw survival curves of the runs on single images, a panel per output.

    Parameters
    ----------
    table : DataFrame
        The table controls.
    """
    table = table[(table["experiment"] == "single_image") & (table["metric"] == "ssim_global")]
    table = table[table["target"] == table["target"].max()]
    table = table.assign(
        scaled=table["scaled"].astype(str) == "True", reached=table["reached"].astype(str) == "True"
    )
    shown = panels(table, "dataset", "scaled")
    looks = {
        name: {"color": COLOURS[k % len(COLOURS)], "ls": ("-", "--", ":", "-.")[k // len(COLOURS)]}
        for k, name in enumerate(sorted(set(table["control"]))[: 4 * len(COLOURS)])
    }
    with figure_style():
        figure, axes = grid(1, max(len(shown), 1), height=2.9, sharey=True)
        for axis, (dataset, scaled) in zip(axes[0], shown):
            here = table[(table["dataset"] == dataset) & (table["scaled"] == scaled)]
            for control, runs in here.groupby("control"):
                _survival(axis, runs, looks.get(control, {"color": FAINT}), readable(control))
            output = "scaled output" if scaled else "output as published"
            axis.set(title=f"{dataset}: {output}", xlabel="optimiser steps", ylim=(-0.02, 1.04))
        axes[0][0].set_ylabel("share of runs not there yet")
        target = f" to one-window SSIM {table['target'].iloc[0]:g}" if len(table) else ""
        headline(
            figure,
            controls_finding(table),
            f"{described_sets(table)}; steps{target}. Ticks: runs that were stopped.",
        )
        outside_legend(figure, axes[0], columns=4)
    return figure


def _survival(axis, runs: pd.DataFrame, look: Mapping, label: str) -> None:
    """Draw Kaplan and Meier's estimate of the share that has not arrived."""
    spent, reached = runs["steps"].to_numpy(float), runs["reached"].to_numpy(bool)
    curve = survival(spent, reached)
    steps, share = np.append(0.0, curve.quantiles), np.append(1.0, curve.probabilities)
    axis.step(steps, share, where="post", lw=1.2, label=label, **look)
    stopped = np.sort(spent[~reached])
    axis.plot(stopped, curve.evaluate(stopped), "|", color=look["color"], ms=6)


def controls_finding(table: pd.DataFrame) -> str:
    """Return which control arrives in most runs and which in fewest."""
    if table.empty:
        return "No control was trained on a single image"
    scaled = table["scaled"].map({True: ", scaled", False: ""})
    arrived = table.groupby(table["control"] + scaled)["reached"].agg(["sum", "count"])
    share = (arrived["sum"] / arrived["count"]).sort_values(ascending=False, kind="stable")
    if share.iloc[0] == share.iloc[-1]:
        return (
            f"{share.iloc[0]:.0%} of the runs arrive, whatever stands for the scores"
            if len(share) > 1
            else f"{share.iloc[0]:.0%} of the runs arrive"
        )
    first, last = share.index[0], share.index[-1]
    return (
        f"{readable(first)} arrives in {arrived['sum'][first]} of "
        f"{counted(arrived['count'][first], 'run')}, {readable(last)} in {arrived['sum'][last]} of "
        f"{arrived['count'][last]}"
    )


@register(
    "learning_rates",
    question="training",
    table="best_rates",
    caption="Optimiser steps to the target at every learning rate, by family of objectives, on "
    "images that are not judged: median over images with its 95 % interval. Hollow: not every run "
    "arrived, those that were stopped count with the steps until then. Ringed: the best rate.",
)
def plot_learning_rates(table: pd.DataFrame) -> plt.Figure:
    """Draw the steps to the target against the learning rate, a line per family.

    Parameters
    ----------
    table : DataFrame
        The table best_rates.
    """
    colours = palette_for(sorted(set(table["family"])))
    sets = sorted(set(table["dataset"]))
    with figure_style():
        figure, axes = grid(1, max(len(sets), 1), height=2.9, sharey=True)
        for axis, dataset in zip(axes[0], sets):
            for family, rows in table[table["dataset"] == dataset].groupby("family"):
                colour = colours[family]
                axis.plot(
                    rows["learning_rate"], rows["steps"], "-", color=colour, label=readable(family)
                )
                for row in rows.to_dict("records"):
                    x, y = row["learning_rate"], row["steps"]
                    if np.isfinite(row["steps_low"]):
                        interval = [row["steps_low"], row["steps_high"]]
                        axis.plot([x, x], interval, color=colour, lw=0.7)
                    full = row["n_reached"] == row["n_runs"]
                    axis.plot(x, y, "o", color=colour, mfc=colour if full else "white")
                    if str(row["chosen"]) == "True":
                        axis.plot(x, y, "o", ms=9, mfc="none", color=colour)
            axis.set(xscale="log", yscale="log", xlabel="learning rate", title=dataset)
            rates = sorted(set(table["learning_rate"]))
            axis.set_xticks(rates, [f"{rate:g}" for rate in rates])
            axis.minorticks_off()
        axes[0][0].set_ylabel("optimiser steps to the target")
        runs = int(table["n_runs"].max()) if len(table) else 0
        headline(
            figure,
            rates_sentence(table),
            f"{described_sets(table)}; {counted(runs, 'run')} at most at a rate. Hollow: not all "
            "arrived; ring: the best rate.",
        )
        for axis in axes[0]:
            label_ends(axis)
    return figure


#: What draws each, from one table.
FIGURES = {
    "controls": plot_controls,
    "control_effects": plot_control_effects,
    "learning_rates": plot_learning_rates,
}
