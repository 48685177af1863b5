"""The grid of panels, the headline and the labels that the figures share."""

import textwrap
from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.transforms import ScaledTranslation

from crosskrylov.reporting.figures.style import PAGE_WIDTH, readable

_WIDTHS = {1: 5.4}  # inches, by number of columns; the page's width for more

#: Sizes of the headline in points, and how many characters fit on an inch.
_FINDING, _SUBTITLE = 9.5, 8.0
_FINDING_PER_INCH, _SUBTITLE_PER_INCH = 12.5, 16.5

_LABEL = 7.5  # points


def panels(table: pd.DataFrame, *columns: str) -> list[tuple]:
    """Return the distinct values of ``columns`` in ascending order: one panel each."""
    return sorted(set(table[list(columns)].itertuples(index=False, name=None)))


def grid(n_rows: int, n_columns: int, height: float = 2.3, **options):
    """Return a figure with a grid of axes across the page."""
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(_WIDTHS.get(n_columns, PAGE_WIDTH), height * n_rows + 0.9),
        squeeze=False,
        **options,
    )
    return figure, axes


def headline(figure, finding: str, subtitle: str = "") -> None:
    """Set what the figure shows above it: the finding in bold, below it what was measured on what.

    Parameters
    ----------
    figure : Figure
        In the context of `figure_style`; its width decides where lines break.
    finding : str
        One sentence, computed from the table that is drawn.  It is also the files' title
        (`crosskrylov.reporting.figures.style.save_figure`), and stands in docs/results/README.md.
    subtitle : str
        Data sets, sizes, seeds, and what marks mean.
    """
    width = figure.get_figwidth()
    finding, subtitle = (text.replace(" %", "\u00a0%") for text in (finding, subtitle))
    below = textwrap.wrap(subtitle, int(width * _SUBTITLE_PER_INCH))
    title = figure.suptitle(
        # empty lines keep the place of the subtitle, which the layout does not see
        textwrap.fill(finding, int(width * _FINDING_PER_INCH)) + "\n" * len(below),
        x=0.01,
        ha="left",
        fontsize=_FINDING,
        fontweight="bold",
        linespacing=1.2,
    )
    if below:
        text = figure.axes[0].annotate(
            "\n".join(below),
            xy=(0, 0),
            xycoords=title,
            ha="left",
            va="bottom",
            fontsize=_SUBTITLE,
            color="0.35",
            linespacing=1.2,
            annotation_clip=False,
        )
        text.set_in_layout(False)


def described_sets(table: pd.DataFrame) -> str:
    """Return the image sets of a table, with the number of seeds: "a (32²), b (64²); 3 seeds"."""
    words = []
    if "dataset" in table:
        sizes = "image_size" if "image_size" in table else "dataset"
        sets = panels(table, sizes, "dataset")
        words = [name if size == name else f"{name} ({size}²)" for size, name in sets]
    seeds = table["seed"].nunique() if "seed" in table else 0
    return ", ".join(words) + (f"; {counted(seeds, 'random seed')}" if seeds and words else "")


def counted(number: int, noun: str) -> str:
    """Return "1 seed", "3 seeds"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def enumerated(names: Iterable[str], longest: int = 4) -> str:
    """Return names as "a, b and c", cut after ``longest``."""
    names = list(names)
    if len(names) > longest:
        names = [*names[: longest - 1], f"{len(names) - longest + 1} others"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def outside_legend(figure, axis, columns: int = 3) -> None:
    """Put the legend of ``axis`` (or of several axes) below the figure."""
    entries = {}
    for one in np.atleast_1d(np.asarray(axis, dtype=object)).flat:
        handles, labels = one.get_legend_handles_labels()
        entries = dict(zip(labels, handles)) | entries
    if entries:
        figure.legend(
            entries.values(),
            entries.keys(),
            loc="outside lower center",
            ncols=columns,
            fontsize="small",
        )


def label_ends(axis, names: bool = False) -> None:
    """Write the label of every line beside the axes, at its right end and in its colour.

    After the headline and everything else of the figure, since it asks for the layout.

    Parameters
    ----------
    axis : Axes
        Lines without a label (or with one that starts with "_") get none.
    names : bool
        Labels are names, which become readable.
    """
    figure = axis.figure
    figure.draw_without_rendering()
    ends = []
    for line in axis.get_lines():
        text = str(line.get_label())
        points = axis.transData.transform(np.asarray(line.get_xydata(), dtype=float))
        points = points[np.isfinite(points).all(axis=1)]
        if text.startswith("_") or not len(points):
            continue
        x, y = points[points[:, 0].argmax()]
        ends.append((y, x, readable(text) if names else text, line.get_color()))
    place_labels(axis, ends)


def place_labels(axis, ends: Iterable[tuple]) -> None:
    """Write texts at the right edge, moved apart vertically where they would overlap.

    Parameters
    ----------
    axis : Axes
    ends : iterable of tuple
        y and x in display coordinates, text, colour.
    """
    ends = sorted(ends, key=lambda end: (end[0], end[2]))
    point = axis.figure.dpi / 72
    box = axis.get_window_extent()
    places = spread([y for y, *_ in ends], _LABEL * 1.25 * point, box.y0, box.y1)
    for (y, x, text, colour), place in zip(ends, places, strict=True):
        arrow = {"arrowstyle": "-", "color": colour, "lw": 0.5, "shrinkA": 0, "shrinkB": 3}
        moved = abs(place - y) > 2 * point or x < box.x1 - 12 * point
        beside = ScaledTranslation((12 if moved else 5) / 72, 0, axis.figure.dpi_scale_trans)
        to_data = axis.transData.inverted().transform
        axis.annotate(
            text,
            xy=to_data((x, y)),
            # in a column at the right edge, where no line runs, also when the layout moves it
            xytext=(1, to_data((x, place))[1]),
            textcoords=(axis.transAxes + beside, "data"),
            va="center",
            fontsize=_LABEL,
            color=colour,
            annotation_clip=False,
            arrowprops=arrow | {"relpos": (0, 0.5)} if moved else None,
        )


def spread(places: Iterable[float], gap: float, low: float, high: float) -> np.ndarray:
    """Return ascending places moved apart to ``gap`` at least, as little as that takes.

    Groups that collide are spread about their mean; all stay between ``low`` and ``high`` where
    there is room for them.
    """
    groups: list[list[float]] = []
    for place in places:
        groups.append([place])
        while len(groups) > 1 and _span(groups[-2], gap)[1] + gap > _span(groups[-1], gap)[0]:
            last = groups.pop()
            groups[-1] += last
    moved = []
    for group in groups:
        start, end = _span(group, gap)
        start = max(min(start, start - (end - high)), low)
        moved += [start + k * gap for k in range(len(group))]
    for k in range(1, len(moved)):
        moved[k] = max(moved[k], moved[k - 1] + gap)
    return np.array(moved)


def _span(group: list[float], gap: float) -> tuple[float, float]:
    """Return where the first and the last of a group stand, ``gap`` apart about its mean."""
    middle, half = sum(group) / len(group), gap * (len(group) - 1) / 2
    return middle - half, middle + half
