"""One look for all figures, and files that are the same bytes for the same data."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from crosskrylov.runtime.files import atomic_path

#: Width of a figure across a page, inches.
PAGE_WIDTH = 7.2

#: Families of solvers in the order of their colours, the same in every figure.
FAMILY_ORDER = ("direct", "krylov", "cross-matrix", "batched", "exact")

_MARKERS = "osD^v<>PX*ph"

_SETTINGS = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same on every machine
    "legend.frameon": False,
    "lines.markersize": 4,
    "savefig.bbox": "tight",
    "svg.fonttype": "path",
    # SVG identifiers are drawn at random unless salted
    "svg.hashsalt": "crosskrylov",
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Apply the project's look inside the context."""
    with (
        sns.axes_style("ticks", _SETTINGS),
        sns.plotting_context("paper"),
        plt.rc_context(_SETTINGS),
    ):
        yield


def save_figure(figure: plt.Figure, svg_path, png_path) -> None:
    """Write a figure as .svg and .png (atomically, without dates) and close it."""
    tidy_log_ticks(figure)
    with plt.rc_context(_SETTINGS):
        with atomic_path(svg_path) as partial:
            figure.savefig(partial, format="svg", metadata={"Date": None})
        with atomic_path(png_path) as partial:
            figure.savefig(partial, format="png", dpi=200, metadata={"Software": None})
    plt.close(figure)


def save_picture(figure: plt.Figure, path) -> None:
    """Write a figure as a PNG file only, whatever its name, and close it."""
    with plt.rc_context(_SETTINGS), atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=200, metadata={"Software": None})
    plt.close(figure)


def palette_for(names: Iterable[str]) -> dict[str, tuple]:
    """Return a colour for every name, distinguishable without red against green."""
    names = list(dict.fromkeys(names))
    colours = sns.color_palette("colorblind", 10)
    if len(names) > len(colours):
        colours = sns.husl_palette(len(names), l=0.55)
    return dict(zip(names, colours, strict=False))


def solver_styles(families: dict[str, str]) -> dict[str, dict]:
    """Return line properties of every solver: colour by family, marker and dashes inside it.

    Parameters
    ----------
    families : dict of str to str
        Solver name to family, in the order of the legend.
    """
    colours = palette_for(FAMILY_ORDER)
    seen = dict.fromkeys(FAMILY_ORDER, 0)
    styles = {}
    for solver, family in families.items():
        position = seen[family]
        seen[family] += 1
        styles[solver] = {
            "color": colours[family],
            "marker": _MARKERS[position % len(_MARKERS)],
            "linestyle": ("-", "--", ":", "-.")[position % 4],
        }
    return styles


def readable(name: str) -> str:
    """Return a solver's or column's name as words."""
    return str(name).replace("_", " ")


def tidy_log_ticks(figure: plt.Figure) -> None:
    """Label logarithmic axes by few ticks that do not overlap, also where they span little."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() != "log" or not isinstance(axis.get_major_locator(), LogLocator):
                continue
            low, high = sorted(axis.get_view_interval())
            decades = np.log10(high / low)
            axis.set_minor_formatter(NullFormatter())
            if decades < 1.2:
                digits = (1, 2, 5) if decades > 0.6 else (1, 1.5, 2, 3, 4, 5, 7)
                axis.set_major_locator(LogLocator(subs=digits))
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            else:
                axis.set_major_locator(LogLocator(numticks=6))
