"""The whole idea on one picture: image, log-density, scores, solver times, embedding, samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np

from crosskrylov.metrics.intervals import median_interval, ratio_interval
from crosskrylov.reporting.figures.style import (
    PAGE_WIDTH,
    figure_style,
    palette_for,
    tidy_log_ticks,
)

_ARROWS = 12


@dataclass(frozen=True)
class Demo:
    """What the picture shows.

    Attributes
    ----------
    image : ndarray, shape (C, H, W)
        In [0, 1].
    log_density : ndarray, shape (S, H, W)
        In nats, at ``times``.
    scores : ndarray, shape (S, 2, H, W)
        Per unit length (the image's side is 1).
    times : sequence of float, length S
    seconds : mapping
        Seconds per image of every repeat, by solver; the first is the baseline.
    embedded : ndarray, shape (S, C, H, W)
        The image transported along its scores.
    samples : array, shape (N, C, H, W)
        Drawn images in [0, 1].
    """

    image: np.ndarray
    log_density: np.ndarray
    scores: np.ndarray
    times: Sequence[float]
    seconds: Mapping[str, Sequence[float]]
    embedded: np.ndarray
    samples: np.ndarray


def plot_demo(shown: Demo) -> plt.Figure:
    """Return the figure: five parts, read from left to right and down."""
    with figure_style():
        figure = plt.figure(figsize=(PAGE_WIDTH, 5.4))
        grid = figure.add_gridspec(2, 4, width_ratios=(1, 1, 1, 1))
        first = figure.add_subplot(grid[0, 0])
        first.imshow(_pixels(shown.image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        first.set_title("1 an image")
        for column, t, field, arrows in zip(
            (1, 2, 3), shown.times, shown.log_density, shown.scores
        ):
            axis = figure.add_subplot(grid[0, column])
            _draw_scores(axis, field, arrows)
            axis.set_title(f"2 log-density, score\nt = {t:g}" if column == 1 else f"t = {t:g}")
            axis.set_axis_off()
        first.set_axis_off()
        _draw_seconds(figure.add_subplot(grid[1, 0:2]), shown.seconds)
        axis = figure.add_subplot(grid[1, 2])
        axis.imshow(
            _pixels(shown.embedded[-1]), cmap="gray", vmin=0, vmax=1, interpolation="nearest"
        )
        axis.set_title(f"4 embedded,\nt = {shown.times[-1]:g}")
        axis.set_axis_off()
        axis = figure.add_subplot(grid[1, 3])
        axis.imshow(
            _tiled(np.asarray(shown.samples)), cmap="gray", vmin=0, vmax=1, interpolation="nearest"
        )
        axis.set_title("5 drawn by the\nready-made network")
        axis.set_axis_off()
        figure.suptitle(_finding(shown.seconds))
        tidy_log_ticks(figure)
    return figure


def _draw_scores(axis: plt.Axes, field: np.ndarray, arrows: np.ndarray) -> None:
    height, width = field.shape
    stride = max(1, -(-max(height, width) // _ARROWS))
    rows, columns = np.mgrid[stride // 2 : height : stride, stride // 2 : width : stride]
    d_row, d_column = arrows[:, rows, columns]
    longest = max(np.hypot(d_row, d_column).max(), np.finfo(float).tiny)
    axis.imshow(field, cmap="cividis")
    axis.quiver(
        *(columns, rows, d_column, d_row),
        angles="xy",
        scale_units="xy",
        scale=longest / (1.5 * stride),
        color="white",
        width=0.01,
    )


def _draw_seconds(axis: plt.Axes, seconds: Mapping[str, Sequence[float]]) -> None:
    colour = palette_for(["all"])["all"]
    for place, values in enumerate(reversed(seconds.values())):
        middle, low, high = median_interval(values)
        axis.errorbar(
            middle, place, xerr=[[middle - low], [high - middle]], fmt="o", color=colour, capsize=3
        )
        axis.annotate(f"{middle:.2g}", (middle, place), (0, 5), textcoords="offset points")
    axis.set_yticks(range(len(seconds)), list(reversed(seconds)))
    axis.set_ylim(-0.5, len(seconds) - 0.3)
    axis.set_xscale("log")
    axis.set_xlabel("seconds per image, end to end")
    axis.set_title("3 all steps' systems solved\n(median, 95 % interval)")


def _finding(seconds: Mapping[str, Sequence[float]]) -> str:
    """Return what the times show; no more than their order where repeats scatter too much."""
    baseline, *others = seconds
    best = min(others, key=lambda name: np.median(seconds[name]))
    ratio = ratio_interval(seconds[best], seconds[baseline])
    if not ratio.high < 1:  # also without repeats, where it is NaN
        return "From an image to its scores, to drawn images"
    return (
        f"From an image to its scores: {best} takes {ratio.low:.1%} to {ratio.high:.1%} of "
        f"{baseline}'s time here"
    )


def _pixels(image: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.clip(image, 0, 1), 0, 2).squeeze()


def _tiled(images: np.ndarray) -> np.ndarray:
    """Return grey images (N, 1, H, W) in a square of rows, the first ones where N is no square."""
    side = int(np.sqrt(len(images)))
    rows = images[: side * side, 0].reshape(side, side, *images.shape[2:]).swapaxes(1, 2)
    return rows.reshape(side * images.shape[2], side * images.shape[3])
