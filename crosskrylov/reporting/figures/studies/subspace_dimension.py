"""Projection alone against the subspace dimension."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import described_sets, grid, headline, outside_legend
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import BASES, figure_style


@register("subspace_dimension", question="projection")
def plot_subspace_dimension(table: pd.DataFrame) -> plt.Figure:
    """Residual and score error after projection against m; columns are time steps."""
    table = table[table.image_size == table.image_size.max()]
    steps = sorted(table.step.unique())
    with figure_style():
        figure, axes = grid(2, len(steps), height=2.0, sharex=True, sharey="row")
        for row, quantity in enumerate(("residual", "score_error")):
            for axis, step in zip(axes[row], steps):
                for (basis, projection), group in table[table.step == step].groupby(
                    ["basis", "projection"], sort=False
                ):
                    mean = group.groupby("dimension")[
                        [f"{quantity}_{q}" for q in ("median", "q25", "q75")]
                    ].mean()
                    median, low, high = (mean[c] for c in mean)
                    galerkin = projection == "galerkin"
                    axis.plot(
                        mean.index,
                        median,
                        "-" if galerkin else ":",
                        marker="." if galerkin else "",
                        color=BASES[basis],
                        label=basis if galerkin else None,
                    )
                    if galerkin:
                        axis.fill_between(
                            mean.index, low, high, color=BASES[basis], alpha=0.15, lw=0
                        )
                axis.set_yscale("log")
                axis.set_xscale("symlog", base=2, linthresh=2, linscale=0.5)
                axis.set_xlim(-0.2, table.dimension.max() * 1.1)
                ticks = sorted(table.dimension.unique())
                axis.set_xticks(ticks, [str(m) for m in ticks], fontsize="x-small")
                axis.minorticks_off()
        for axis, step in zip(axes[0], steps):
            axis.set_title(f"time step {step}")
        for axis in axes[1]:
            axis.set_xlabel("dimension m")
        axes[0][0].set_ylabel("relative residual")
        axes[1][0].set_ylabel("score error\n(relative 2-norm)")
        headline(
            figure,
            finding(table),
            f"{described_sets(table)}. Space: of the nearest seed, of all seeds, of principal "
            "increments (POD), the target's own. Bands: quartiles; dotted: least squares instead "
            "of Galerkin.",
        )
        outside_legend(figure, axes[0][0], 4)
    return figure


def finding(table: pd.DataFrame) -> str:
    """Return what a larger space gains, of the nearest seed and of the target's own."""
    table = table[(table.image_size == table.image_size.max()) & (table.projection == "galerkin")]
    folds, span = {}, {}
    for basis in ("nearest seed", "own"):
        chosen = table[(table.basis == basis) & (table.dimension > 0)]
        mean = chosen.groupby(["step", "dimension"]).residual_median.mean().unstack("step")
        mean = mean.dropna().clip(lower=np.finfo(float).tiny)
        if len(mean) > 1:
            folds[basis] = float(np.exp(np.log(mean.iloc[0] / mean.iloc[-1]).mean()))
            span[basis] = mean.index[0], mean.index[-1]
    if "nearest seed" not in folds:
        return "Residual and score error after projection, by dimension"
    gain = folds["nearest seed"]
    first, last = span["nearest seed"]
    hardly = "hardly helps" if gain < 3 else "helps"
    words = f"{gain:.1f}" if gain < 1000 else f"{gain:.0e}"
    own = f"; in the target's own space {_fold(folds['own'])}" if "own" in folds else ""
    return (
        f"A larger space of the seed's {hardly}: from m = {first} to {last} the residual falls "
        f"{words}-fold{own}"
    )


def _fold(value: float) -> str:
    return f"{value:.1f}-fold" if value < 1000 else f"by {np.log10(value):.0f} orders"
