"""The gap between ODE and SDE samples of potentials of the plane."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import counted, enumerated, grid, headline, label_ends
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import BLUE, GREY, RED, figure_style, palette_for, readable

_NUMBERS = ["gap", "floor", "ode_data", "sde_data", "ode_outside", "sde_outside", "score_residual"]


@register("potential_gap", question="samples")
def plot_potential_gap(table: pd.DataFrame) -> plt.Figure:
    """Gap against residual (left) and distance from the data by weight (right), by data set."""
    runs = by_run(table)
    sets = list(dict.fromkeys(table.dataset))
    with figure_style():
        figure, axes = grid(len(sets), 2, height=2.9)
        for (left, right), name in zip(axes, sets, strict=True):
            of_set = runs[runs.dataset == name]
            networks, exact = of_set[of_set.weight.notna()], of_set[of_set.weight.isna()]
            by_chance = table[(table.dataset == name) & table.weight.isna()].gap
            left.axhspan(by_chance.min(), by_chance.max(), color=GREY, alpha=0.15, lw=0)
            _gap(left, networks, exact)
            _distances(right, networks, exact)
            left.set_title(readable(name))
        seeds = counted(table.seed.nunique(), "random seed")
        left_out = runs[["ode_outside", "sde_outside"]].to_numpy().max()
        headline(
            figure,
            finding(table),
            f"{enumerated(map(readable, sets))}; {seeds}; sets of {table.samples.max():,} samples, "
            f"of which up to {left_out:.0%} lie outside the square and are left out.",
        )
        for _, right in axes:
            label_ends(right)
    return figure


def by_run(table: pd.DataFrame) -> pd.DataFrame:
    """Return the medians over the groups of every network, the exact model's with weight NaN."""
    keys = ["dataset", "seed", "network", "weight"]
    return table.groupby(keys, dropna=False, sort=False)[_NUMBERS].median().reset_index()


def _gap(axis, networks: pd.DataFrame, exact: pd.DataFrame) -> None:
    colours = palette_for(networks.network)
    for label, of_weight in networks.groupby("network", sort=False):
        colour = colours[label]
        axis.plot(of_weight.score_residual, of_weight.gap, "o", ms=3, color=colour, alpha=0.5)
        place = (of_weight.score_residual.median(), of_weight.gap.median())
        axis.plot(*place, "o", ms=8, color=colour, label=label)
    axis.axhline(exact.gap.median(), ls="--", lw=1, color=GREY, label="exact")
    axis.set(xscale="log", xlabel="residual, less its mean at a time (RMS of $\\sigma^2 R$)")
    # also where no network has a gap
    axis.set_xlim(0.8 * networks.score_residual.min(), 1.25 * networks.score_residual.max())
    axis.set_ylabel("$W_2$ of ODE and SDE samples")
    axis.set_ylim(0, 1.1 * axis.get_ylim()[1])
    axis.legend(fontsize="small")


def _distances(axis, networks: pd.DataFrame, exact: pd.DataFrame) -> None:
    places = {weight: k for k, weight in enumerate(sorted(networks.weight.unique()))}
    for column, label, colour in (("ode_data", "ODE", BLUE), ("sde_data", "SDE", RED)):
        of_weight = networks.groupby("weight")[column]
        x = [places[weight] for weight in of_weight.median().index]
        axis.plot(x, of_weight.median(), "o-", color=colour, label=label)
        axis.fill_between(x, of_weight.min(), of_weight.max(), color=colour, alpha=0.15, lw=0)
        axis.axhline(exact[column].median(), ls="--", lw=1, color=colour)
    axis.set_xticks(list(places.values()), [f"{weight:g}" for weight in places])
    axis.set(xlabel="weight of the residual", ylabel="$W_2$ of samples and data")
    axis.set_ylim(0, 1.1 * axis.get_ylim()[1])


def finding(table: pd.DataFrame) -> str:
    """Return the gap with the least and the largest weight, and that of the exact model.

    Medians inside the range of the exact model's groups say nothing of the weight.
    """
    runs = by_run(table)
    exact = runs[runs.weight.isna()].gap.median()
    by_chance = table[table.weight.isna()].gap
    gaps = runs.groupby("weight").gap.median().dropna()
    if gaps.empty:
        return "Too few samples of the networks end inside the square to compare ODE and SDE"
    first, last = gaps.index[0], gaps.index[-1]
    if first == last:
        return (
            f"ODE and SDE samples with weight {first:g} are {gaps[first]:.2g} apart, "
            f"those of the exact model {exact:.2g}"
        )
    if max(gaps[first], gaps[last]) <= by_chance.max():
        return (
            f"ODE and SDE samples are {gaps[first]:.2g} apart with weight {first:g} and "
            f"{gaps[last]:.2g} with weight {last:g}: no more than the exact model's can be by "
            f"chance, {by_chance.min():.2g} to {by_chance.max():.2g}"
        )
    paired = runs[runs.weight.notna()].pivot(
        index=["dataset", "seed"], columns="weight", values="gap"
    )
    change = np.sign(paired[last] - paired[first])
    words = {-1.0: "nearer", 1.0: "further apart"}
    several = len(change) > 1  # one run agrees with itself
    way = next((word for sign, word in words.items() if several and (change == sign).all()), None)
    told = f"{way} than" if way else "not told apart from those"
    return (
        f"ODE and SDE samples with weight {last:g} are {told} with weight {first:g}: "
        f"{gaps[last]:.2g} against {gaps[first]:.2g}; the exact model's are {exact:.2g} apart"
    )
