"""Observed orders of convergence on images."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import (
    described_sets,
    grid,
    headline,
    outside_legend,
    panels,
)
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import BLUE, GREY, RED, figure_style, readable

_REGIONS = {"border": (RED, "s"), "interior": (BLUE, "o"), "all": (GREY, "D")}


@register("image_orders", question="accuracy")
def plot_image_orders(table: pd.DataFrame) -> plt.Figure:
    """Orders with intervals: in h by boundary and reading of a pixel, and in dt by boundary.

    Parameters
    ----------
    table : DataFrame
        image_orders_observed.tsv; of the orders in h those of the solution are drawn.
    """
    finest = _finest(table)
    sets = panels(finest, "image_size", "dataset")
    titles = {"h": "in h, exact in time", "dt": "in Δt, implicit scheme"}
    with figure_style():
        figure, axes = grid(len(sets), 2, height=2.4, sharex=True)
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
        headline(
            figure,
            finding(table),
            f"{described_sets(finest)}. From the differences of the two finest pairs; bars: 95 % "
            "intervals over images; border: the outermost pixels; thin lines: first and second "
            "order.",
        )
        outside_legend(figure, axes[0][0], 3)
    return figure


def finding(table: pd.DataFrame) -> str:
    """Return the orders over all pixels, and whether intervals tell readings of a pixel apart."""
    finest = _finest(table)
    finest = finest[finest.region == "all"]
    in_h, in_time = finest[finest.varied == "h"], finest[finest.varied == "dt"]
    words = [
        f"{_span(group.order)} with a pixel as {pixel}" for pixel, group in in_h.groupby("pixel")
    ]
    ranges = in_h.groupby("pixel").agg({"low": "min", "high": "max"}).sort_values("low")
    verdict = "The order in h on images"
    if len(ranges) > 1:
        apart = (ranges.high.to_numpy()[:-1] < ranges.low.to_numpy()[1:]).all()
        verdict += " depends" if apart else ", by its intervals, does not clearly depend"
        verdict += " on what a pixel is"
    parts = [f"{verdict}: {', '.join(words)}"] if words else []
    parts += [f"in Δt {_span(in_time.order)}"] if len(in_time) else []
    return "; ".join(parts) or "No order was observed"


def _span(orders: pd.Series) -> str:
    low, high = f"{orders.min():.2f}", f"{orders.max():.2f}"
    return low if low == high else f"{low} to {high}"


def _finest(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the finest pair of every group; in h those of the solution."""
    table = table[(table.varied == "dt") | (table.quantity == "solution")]
    keys = ["dataset", "seed", "boundary", "pixel", "varied"]
    return table[table.setting == table.groupby(keys).setting.transform("max")]
