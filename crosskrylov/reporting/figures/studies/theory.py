"""The theory against the bank: floors, spectra and iterations."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import grid, outside_legend, panels
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for

_MARKERS = "osD^v<>PX*"


@register("theory_floor")
def plot_theory_floor(table: pd.DataFrame) -> plt.Figure:
    """Measured reduction by one seed against the floor, a panel per subspace dimension."""
    table = table[table.statement == "floor"].dropna(subset=["predicted", "measured"])
    sets = panels(table, "image_size", "dataset")
    colours = palette_for(dataset for _, dataset in sets)
    dimensions = sorted(table.dimension.unique())
    held = [
        f"{np.average(group.holds, weights=group.n_targets):.1%} at m = {m}"
        for m, group in table.groupby("dimension")
    ]
    with figure_style():
        figure, axes = grid(1, len(dimensions), height=3.6, sharey=True, sharex=True)
        for axis, dimension in zip(axes[0], dimensions):
            for position, (size, dataset) in enumerate(sets):
                chosen = table[(table.dataset == dataset) & (table.dimension == dimension)]
                reach = [
                    (chosen.measured - chosen.measured_low).clip(lower=0),
                    (chosen.measured_high - chosen.measured).clip(lower=0),
                ]
                axis.errorbar(
                    chosen.predicted,
                    chosen.measured,
                    yerr=reach,
                    fmt=_MARKERS[position % len(_MARKERS)],
                    color=colours[dataset],
                    mfc="none",
                    lw=0.6,
                    label=f"{dataset} ({size}²)",
                )
            shown = table[["predicted", "measured"]]
            line = np.array([max(shown.min().min(), 1e-4), 1.0])
            axis.plot(line, line, "-", color="0.5", lw=0.8, label="floor")
            axis.set(xscale="log", yscale="log", xlabel="floor (A = P)")
            axis.set_title(f"m = {dimension}")
        axes[0][0].set_ylabel("measured: residual / start residual")
        figure.suptitle("Residuals not below the floor of one seed: " + ", ".join(held))
        outside_legend(figure, axes[0][0], 4)
    return figure


@register("theory_spectra")
def plot_theory_spectra(table: pd.DataFrame) -> plt.Figure:
    """Energy of the residuals in P's eigenvalues, rows of image sets and columns of steps."""
    sets = panels(table, "image_size", "dataset")
    steps = sorted(table.step.unique())
    # few columns: the first, the last and what lies between evenly
    steps = [steps[k] for k in np.unique(np.linspace(0, len(steps) - 1, 4).round().astype(int))]
    colours = {"start": "C0", "projected": "C1"}
    names = {"start": "before: previous step", "projected": "after: one seed's Krylov space"}
    with figure_style():
        figure, axes = grid(len(sets), len(steps), height=1.5, sharey="row", sharex="row")
        for row, (_, dataset) in zip(axes, sets):
            for axis, step in zip(row, steps):
                chosen = table[(table.dataset == dataset) & (table.step == step)]
                sizes = {}
                for stage, group in chosen.groupby("stage", sort=False):
                    mean = group.groupby("eigenvalue").energy.mean()
                    mean = mean.where(mean > 0)
                    axis.plot(mean.index, mean, color=colours[stage], label=names[stage])
                    sizes[stage] = group.residual.mean()
                axis.set(xscale="log", yscale="log", ylim=(1e-6, 1.5))
                text = " → ".join(f"{sizes[stage]:.1e}" for stage in colours if stage in sizes)
                axis.set_title(f"step {step}: {text}", fontsize="small")
            row[0].set_ylabel(f"{dataset}\nshare of energy", fontsize="small")
        for axis in axes[-1][1:-1] if len(steps) > 2 else axes[-1][:1]:
            axis.set_xlabel("eigenvalue of P (1/time)", fontsize="small")
        figure.suptitle(_spread_title(table))
        outside_legend(figure, axes[0][0], 2)
    return figure


def _spread_title(table: pd.DataFrame) -> str:
    """Return the finding: what share of the energy leaves the eigenvalue that holds most of it."""
    last = table[table.step == table.step.max()]
    keys = ["dataset", "seed", "stage"]
    outside = 1 - last.groupby(keys).energy.max().groupby("stage").median()
    return (
        f"Step {table.step.max()}: share of energy outside the fullest interval\n"
        f"{outside.start:.1g} before and {outside.projected:.1g} after the projection (median set)"
    )


@register("theory_iterations")
def plot_theory_iterations(table: pd.DataFrame) -> plt.Figure:
    """Bound and norm, predicted and measured iterations of GMRES with P, by step and size."""
    table = table[table.statement.isin(["perturbation", "gmres"])]
    # one family of sets over the sizes: the one that has most of them
    family = table.dataset.str.replace(r"\d+$", "", regex=True)
    widest = table.groupby(family).image_size.nunique().idxmax()
    table = table[family == widest]
    sets = panels(table, "image_size", "dataset")
    colours = palette_for(dataset for _, dataset in sets)
    rows = (
        ("perturbation", "norm of (A − P)P⁻¹", "bound ε", "norm"),  # noqa: RUF001
        ("gmres", "iterations of GMRES with P", "predicted", "measured"),
    )
    gmres = table[table.statement == "gmres"]
    largest = gmres.groupby("image_size").measured.max()
    with figure_style():
        figure, axes = grid(1, 2, height=3.0)
        for axis, (statement, label, predicted, measured) in zip(axes[0], rows):
            for size, dataset in sets:
                chosen = table[(table.statement == statement) & (table.dataset == dataset)]
                mean = chosen.groupby("step")[["predicted", "measured"]].mean()
                look = {"color": colours[dataset], "mfc": "none"}
                axis.plot(mean.index, mean.predicted, "^--", label=f"{size}²: {predicted}", **look)
                axis.plot(mean.index, mean.measured, "o-", label=f"{size}²: {measured}", **look)
            axis.set(xscale="log", xlabel="time step", ylabel=label)
            axis.set_ylim(bottom=0)
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize="small", ncols=2)
        counts = ", ".join(f"{value:.0f} at {size}²" for size, value in largest.items())
        figure.suptitle(f"Iterations of GMRES with P on {widest}, largest median: {counts}")
    return figure
