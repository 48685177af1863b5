"""One look for all figures, and files that are the same bytes for the same data."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from crosskrylov.learning.objectives.index import registered_models
from crosskrylov.runtime.files import atomic_path

#: Width of a figure across a page, inches.
PAGE_WIDTH = 7.2

#: The palette: names take their colours in this order, and a panel has no more of them.  Told apart
#: with every common colour blindness, and by lightness: the neighbours are never red and green.
COLOURS = ("#0072B2", "#D55E00", "#56B4E9", "#8E4C9E", "#C99B00", "#009E73", "#666666")
BLUE, RED, SKY, PURPLE, OCHRE, GREEN, GREY = COLOURS

#: What stands in the background: lines that a panel is not about.
FAINT = "#C8C8C8"

#: Families of solvers in their order, each with its colour, the same in every figure.
FAMILIES = {
    "direct": GREY,
    "krylov": SKY,
    "cross-matrix": RED,
    "batched": PURPLE,
    "exact": BLUE,
}
FAMILY_ORDER = tuple(FAMILIES)

#: Objectives (modules of crosskrylov.learning.objectives) in the order of their models, each with
#: its colour; the models of one objective differ by their dashes.  New ones come after them.
OBJECTIVES = {
    "noise_prediction": GREY,
    "denoising_score_matching": BLUE,
    "score_embedding": RED,
    "exact_target": OCHRE,
}

#: Subspaces that targets are projected on, in their order, each with its colour.
BASES = {
    "start only": GREY,
    "nearest seed": RED,
    "all seeds": BLUE,
    "POD of increments": OCHRE,
    "own": SKY,
}

#: Abbreviations, and other words of names that are written otherwise in a figure.
_ABBREVIATIONS = (
    *("ddpm", "ddim", "dsm", "pndm", "deis", "ssim", "psnr", "pod", "lu", "ilu", "amg", "pds"),
    *("gmres", "gcrot", "ode", "sde", "rms", "edict", "bdia", "belm", "ghvb", "lml", "sada"),
    *("dpm", "dc", "fp", "knn", "mmd", "vae", "dds", "dps", "red", "usf"),
)
_WORDS = {word: word.upper() for word in _ABBREVIATIONS} | {
    "spsolve": "SpSolve",
    "splu": "SuperLU",
    "pardiso": "PARDISO",
    "bicgstab": "BiCGStab",
    "unipc": "UniPC",
    "autodiffusion": "AutoDiffusion",
    "pfgmpp": "PFGM++",
    "dpmsolver++": "DPM-Solver++",
    "langevin": "Langevin",
    "gaussians": "Gaussians",
    "heun": "Heun",
    "rk45": "RK45",
    "frechet": "Fréchet",
    "galerkin": "Galerkin",
    "darcy": "Darcy",
    "helmholtz": "Helmholtz",
    "krylov": "Krylov",
    "radon": "Radon",
}

_MARKERS = "osD^v<>PX*ph"
_DASHES = ("-", "--", ":", "-.")

_SETTINGS = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
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
    """Write a figure as .svg and .png (atomically, without dates) and close it.

    Both files carry the figure's finding as their title, for readers that do not see.
    """
    tidy_log_ticks(figure)
    finding = finding_of(figure)
    title = {"Title": finding} if finding else {}
    with plt.rc_context(_SETTINGS):
        with atomic_path(svg_path) as partial:
            figure.savefig(partial, format="svg", metadata={"Date": None, **title})
        with atomic_path(png_path) as partial:
            figure.savefig(partial, format="png", dpi=200, metadata={"Software": None, **title})
    plt.close(figure)


def finding_of(figure: plt.Figure) -> str:
    """Return the title of a figure in one line."""
    return " ".join(figure.get_suptitle().split())


def save_picture(figure: plt.Figure, path) -> None:
    """Write a figure as a PNG file only, whatever its name, and close it."""
    with plt.rc_context(_SETTINGS), atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=200, metadata={"Software": None})
    plt.close(figure)


def palette_for(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for every name: seven that are told apart, and one faint grey for the rest.

    For kinds of things that have no colours of their own; families, models and subspaces have, see
    `FAMILIES`, `model_styles` and `BASES`.
    """
    names = list(dict.fromkeys(names))
    colours = [*COLOURS, *[FAINT] * max(0, len(names) - len(COLOURS))]
    return dict(zip(names, colours, strict=False))


def line_styles(names: Iterable[str]) -> dict[str, dict]:
    """Return line properties for many kinds: a colour that comes again has other marks and dashes.

    For kinds of things without colours of their own, of which more are told apart than
    `palette_for` has colours.
    """
    return {
        name: {
            "color": COLOURS[position % len(COLOURS)],
            "marker": _MARKERS[position % len(_MARKERS)],
            "linestyle": _DASHES[position // len(COLOURS) % len(_DASHES)],
        }
        for position, name in enumerate(dict.fromkeys(names))
    }


def families_of(names: Iterable[str]) -> list[str]:
    """Return the distinct families among ``names`` in their order, unknown ones at the end."""
    present = dict.fromkeys(names)
    return [f for f in FAMILIES if f in present] + [f for f in present if f not in FAMILIES]


def solver_styles(families: dict[str, str]) -> dict[str, dict]:
    """Return line properties of every solver: colour by family, marker and dashes inside it.

    Parameters
    ----------
    families : dict of str to str
        Solver name to family, in the order of the legend.
    """
    seen: dict[str, int] = {}
    styles = {}
    for solver, family in families.items():
        position = seen.get(family, 0)
        seen[family] = position + 1
        styles[solver] = {
            "color": FAMILIES.get(family, GREEN),
            "marker": _MARKERS[position % len(_MARKERS)],
            "linestyle": _DASHES[position % 4],
        }
    return styles


def model_order(names: Iterable[str]) -> list[str]:
    """Return the distinct models among ``names`` in their order, unknown ones at the end."""
    present = dict.fromkeys(names)
    known = _declared_styles()
    return [m for m in known if m in present] + sorted(m for m in present if m not in known)


def model_styles(names: Iterable[str]) -> dict[str, dict]:
    """Return line properties of every model, the same in all figures, in the order of the legend.

    Colour by objective (`OBJECTIVES`); marker and dashes tell the models of one objective apart.
    """
    plain = {"color": GREEN, "marker": "X", "linestyle": "-"}
    known = _declared_styles()
    return {name: dict(known.get(name, plain)) for name in model_order(names)}


@cache
def _declared_styles() -> dict[str, dict]:
    """Return the line properties of all declared models, in their order."""
    groups: dict[str, list[str]] = {objective: [] for objective in OBJECTIVES}
    for name, model in registered_models().items():
        groups.setdefault(model.file.stem, []).append(name)
    free = [colour for colour in COLOURS if colour not in OBJECTIVES.values()]
    colours = OBJECTIVES | dict(zip(sorted(set(groups) - set(OBJECTIVES)), free, strict=False))
    return {
        name: {
            "color": colours.get(objective, FAINT),
            "marker": _MARKERS[position % len(_MARKERS)],
            "linestyle": _DASHES[position % 4],
        }
        for objective, names in groups.items()
        for position, name in enumerate(names)
    }


def readable(name: str) -> str:
    """Return a solver's, model's or column's name as words."""
    return " ".join(_WORDS.get(word, word) for word in str(name).split("_"))


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
                digits = (1, 1.5, 2, 3, 4, 5, 7)
                if decades < 0.35:
                    digits = (1, 1.2, 1.4, 1.7, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9)
                elif decades > 0.6:
                    digits = (1, 2, 3, 5)
                axis.set_major_locator(LogLocator(subs=digits))
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            else:
                axis.set_major_locator(LogLocator(numticks=6))
