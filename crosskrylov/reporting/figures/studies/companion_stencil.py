"""What the companion code's assembly does to the scores."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import (
    described_sets,
    enumerated,
    grid,
    headline,
    label_ends,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for, readable

_REGIONS = ("border", "interior")


@register("companion_stencil", question="accuracy")
def plot_companion_stencil(table: pd.DataFrame) -> plt.Figure:
    """Relative difference of the scores by step, border and interior apart."""
    chosen = _variants(table)
    chosen = chosen[chosen.finite.astype(bool)]
    colours = palette_for(chosen.variant)
    with figure_style():
        figure, axes = grid(1, len(_REGIONS), height=2.4, sharey=True)
        for axis, region in zip(axes[0], _REGIONS):
            for variant, group in chosen[chosen.region == region].groupby("variant", sort=False):
                mean = group.groupby("step").difference_mean.mean()
                axis.plot(mean.index, mean, "o-", color=colours[variant], label=variant)
            axis.set(xlabel="time step", yscale="log", title=f"{region} pixels")
        axes[0][0].set_ylabel("difference of the score\n(relative 2-norm)")
        headline(
            figure,
            finding(table),
            f"{described_sets(chosen)}. Against the scores of Eq. 4 with the same solver; means "
            "over images.",
        )
        label_ends(axes[0][-1], names=True)
    return figure


def finding(table: pd.DataFrame) -> str:
    """Return how far each variant moves the scores at the first and at the last step."""
    chosen = _variants(table)
    finite = chosen.groupby("variant", sort=False).finite.all()
    chosen = chosen[(chosen.region == "all") & chosen.variant.map(finite)]
    steps = sorted({chosen.step.min(), chosen.step.max()})
    words = []
    for variant, group in chosen.groupby("variant", sort=False):
        mean = group.groupby("step").difference_mean.mean()
        words.append(f"{' and '.join(f'{mean[k]:.0%}' for k in steps)} ({readable(variant)})")
    lost = [readable(variant) for variant in finite.index[~finite]]
    parts = []
    if words:
        at = f"step{'s' if len(steps) > 1 else ''} {' and '.join(map(str, steps))}"
        parts.append(f"moves the scores at {at} by {', '.join(words)}")
    if lost:
        parts.append(f"leaves no finite scores with {enumerated(lost)}")
    return f"The companion code's assembly {' and '.join(parts) or 'was not run'}"


def _variants(table: pd.DataFrame) -> pd.DataFrame:
    """Return the variants of the largest images."""
    table = table[table.variant != "equation_4"]
    return table[table.image_size == table.image_size.max()]
