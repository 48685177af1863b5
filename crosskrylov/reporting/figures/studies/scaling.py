"""What an image costs by its size, and how well the fitted model says so."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import grid, headline, label_ends
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for, readable


def finding(table: pd.DataFrame) -> str:
    """Return how far the model is off, engine by engine, as a sentence."""
    off = table.residual.abs().groupby(table.engine, sort=False)
    words = [
        f"{readable(engine)} {group.median():.0%} (at most {group.max():.0%})"
        for engine, group in off
    ]
    return f"The fitted costs are off the runs by a median of {', '.join(words)}"


@register("scaling", question="engine")
def plot_scaling(table: pd.DataFrame) -> plt.Figure:
    """Milliseconds per image of the longest runs, the model as a line; residuals of all runs."""
    engines = list(dict.fromkeys(table.engine))
    colours = palette_for(engines)
    with figure_style():
        figure, axes = grid(1, 2, height=2.9)
        for engine, group in table.groupby("engine", sort=False):
            steps = group.stored_steps.max()
            chosen = group[group.stored_steps == steps]
            longest = chosen.loc[chosen.groupby("size").n_images.idxmax()]
            per_image = 1e3 / longest.n_images
            axes[0][0].plot(
                longest["size"], per_image * longest.seconds_fitted, color=colours[engine],
                label=f"{readable(engine)}, {steps} steps",
            )  # fmt: skip
            axes[0][0].plot(
                longest["size"], per_image * longest.seconds, "o", color=colours[engine]
            )
            axes[0][1].plot(
                group.seconds, 100 * group.residual, "o", color=colours[engine],
                label=readable(engine),
            )  # fmt: skip
        axes[0][0].set(
            xlabel="image side in pixels", ylabel="processor ms per image", xscale="log",
            yscale="log",
        )  # fmt: skip
        axes[0][1].axhline(0, color="0.6", linewidth=0.8)
        axes[0][1].set(
            xlabel="processor seconds of the run",
            ylabel="model above the run, %",
            xscale="log",
        )
        sizes = sorted(table["size"].unique())
        axes[0][0].set_xticks(sizes, [str(size) for size in sizes], minor=False)
        axes[0][0].minorticks_off()
        headline(
            figure, finding(table), "Crops of photographs, from pixels in memory to scores on disk."
        )
        label_ends(axes[0][0])
    return figure
