"""Observed orders of convergence on images."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import grid, outside_legend, panels
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, readable

_REGIONS = {"border": ("C1", "s"), "interior": ("C0", "o"), "all": ("0.3", "D")}


@register("image_orders")
def plot_image_orders(table: pd.DataFrame) -> plt.Figure:
    """Orders with intervals: in h by boundary and reading of a pixel, and in dt by boundary.

    Parameters
    ----------
    table : DataFrame
        image_orders_observed.tsv; of the orders in h those of the solution are drawn.
    """
    table = table[(table.varied == "dt") | (table.quantity == "solution")]
    keys = ["dataset", "seed", "boundary", "pixel", "varied"]
    # the finest pair of every group
    finest = table[table.setting == table.groupby(keys).setting.transform("max")]
    sets = panels(finest, "image_size", "dataset")
    titles = {"h": "in h, exact in time", "dt": "in Δt, implicit scheme"}
    with figure_style():
        figure, axes = grid(len(sets), 2, height=2.4, sharex=True, gridspec_kw={"wspace": 0.05})
        figure.set_figwidth(7.2)
        for row, (size, dataset) in zip(axes, sets):
            for axis, (varied, title) in zip(row, titles.items()):
                chosen = finest[(finest.varied == varied) & (finest.dataset == dataset)]
                labels = list(dict.fromkeys(zip(chosen.boundary, chosen.pixel)))
                for shift, (region, (colour, marker)) in zip((0.2, 0.0, -0.2), _REGIONS.items()):
                    mean = (
                        chosen[chosen.region == region]
                        .groupby(["boundary", "pixel"])[["order", "low", "high"]]
                        .mean()
                        .loc[labels]
                    )
                    axis.errorbar(
                        mean.order,
                        [-k + shift for k in range(len(labels))],
                        xerr=[mean.order - mean.low, mean.high - mean.order],
                        fmt=marker,
                        color=colour,
                        mfc="none",
                        label=region,
                    )
                for order in (1, 2):
                    axis.axvline(order, color="0.8", lw=0.8, zorder=0)
                names = [f"{readable(boundary)}\npixel = {pixel}" for boundary, pixel in labels]
                axis.set_yticks([-k for k in range(len(labels))], names, fontsize="small")
                axis.set_title(f"{dataset} ({size}²): {title}", fontsize="small")
        for axis in axes[-1]:
            axis.set_xlabel("observed order")
        in_h = finest[(finest.varied == "h") & (finest.region == "all")]
        order = in_h.groupby("pixel").order.mean()
        parts = [f"{value:.1f} with a pixel as {pixel}" for pixel, value in order.items()]
        figure.suptitle("Order in h on images: " + ", ".join(parts))
        outside_legend(figure, axes[0][0], 3)
    return figure
