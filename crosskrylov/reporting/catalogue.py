"""What every figure and table is: its question, its caption, and what a figure is drawn from.

Read from the declarations of the figures and of the studies, so that nothing is drawn for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from crosskrylov.runtime.declared import declared_in, imported
from crosskrylov.studies.index import declared_studies

_FOLDER = Path(__file__).resolve().parent / "figures"

#: Captions of the tables that no study makes.
TABLE_CAPTIONS = {
    "training": "First passage of every target, in the one-window SSIM of the authors' "
    "single-image script (*ssim_global*) and in the windowed one (*ssim*, Wang et al. 2004), and "
    "every budget. A run ends with the targets of its configuration; those in the other metric are "
    "not pursued further. *seconds* are steps "
    "times the calibrated seconds per step; *wall_seconds* what the steps took in the run, which "
    "may share the cores; evaluations are in neither. A run that did not reach its target has no "
    "seconds to it, and shows the state where it was stopped. A speed-up is the baseline's "
    "pre-computation and seconds over the model's; it is a lower bound where the baseline's own "
    "row was not reached.",
    "seconds_per_step": "What an optimiser step takes, by model: median over repeats that are "
    "interleaved over the models in random order, with its 95 % interval, measured apart from "
    "training.",
    "paired": "Times to a target compared image by image: the other model's (*against*) over the "
    "model's, above 1 where the model is faster; median with the 95 % interval over images. "
    "*exact* pairs reached the target both; *at_least* and *at_most* are bounds, since one run was "
    "stopped before or was there at its first evaluation, and leave an end of the interval open. "
    "*test*: Wilcoxon's signed-rank test where all are exact, else the sign test, two-sided, which "
    "with five images cannot fall below 0.0625, and not corrected for the number of targets; "
    "*effect_size*: rank-biserial correlation, or the difference of the shares of images. "
    "*images_to_decide*: with how many images a paired t test would find the measured effect with "
    "a power of 80 %.",
    "quality": "Every metric of every set of samples, against the training images or the held-out "
    "ones (*reference*). *steps* and *seconds* are the training's, pre-computation not counted. "
    "Rows of the experiment *quality* are drawn by the model's best sampler, chosen by the rows of "
    "*sampler_selection*; those of the model *real* are real images in the place of samples, the "
    "floor. A Fréchet distance falls with the number of images: compare rows of one *n_samples*. "
    "It is called FID only on Inception-v3 (2015) features; *digit classifier* are features "
    "of a small classifier trained here, *haar* a fixed wavelet and colour transform, "
    "*random_conv* three convolutions with fixed random weights. *Nearest "
    "ratio* is the distance of a sample to its nearest training image over that between training "
    "images: far below 1 means copies.",
    "score_error": "Error of every trained score against the exact score of the noised training "
    "images, on one grid of noise levels *sigma* (images in [-1, 1]) with the same noised images "
    "for all models. *error* is the mean square of the predicted noise's error per pixel, "
    "*error_normalised* that over the mean square of the exact prediction at that level, the "
    "relative mean square error of the score; *own_error* and *own_error_normalised* the same "
    "against what the network was trained on, for score embedding the embedded images of that "
    "level. Empty where the model's schedule, "
    "*trained_sigma_min* to *trained_sigma_max*, does not have the level.",
    "ablation": "Variants of score embedding against the published one: mean and range over the "
    "random seeds that reached the target (*n_seeds* of *n_runs*). *Beyond seed spread* is true "
    "where the two ranges do not overlap.",
    "controls": "Every run of score embedding with one thing changed (*control*), its output "
    "scaled or not: first passage of every target in both SSIMs, or the distances of samples after "
    "the same training. *steps* of a run that did not reach its target are those at which it was "
    "stopped; *seconds* are steps times the calibrated seconds per step. Over a schedule of levels "
    "every output is scaled.",
    "control_effects": "Every control against what it is compared with (*reference*), paired over "
    "images (over seeds where there are none): median ratio of the steps to the target, or of the "
    "distance, with its 95 % interval; below 1 the control is better. Runs that were stopped stay "
    "in, which can only pull a ratio towards 1: pairs of which neither arrived "
    "(*n neither reached*) count as equal, so that an interval around 1 does not prove equality. "
    "*effect* is the mean of the logarithms over their "
    "standard deviation; *p* of flipping signs, *p holm* corrected over the comparisons of one "
    "outcome with the same output, which the verdict goes by; *images to decide* would give a "
    "power of 80 % for an effect of this size and as many comparisons (pairs, where there are no "
    "images).",
    "learning_rates": "Every run of the sweep of learning rates, on images that are not judged.",
    "best_rates": "Steps to the target at every learning rate by family of objectives: median over "
    "runs, with its 95 % interval; runs that were stopped count with the steps until then. "
    "*chosen* is the rate at which most runs arrive and, of these, the geometric mean is smallest.",
    "list": "The papers of the list: what each claims, what was tested here, and a verdict on it.",
    "solvers_by_seed": "Every solver on the same systems, a row per random seed.",
}

#: Tables without a figure of their own, by the question that they answer.
_TABLE_QUESTIONS = {
    "solvers": "speed",
    "solvers_by_seed": "speed",
    "break_even": "speed",
    "engine": "engine",
    "claims": "speed",
    "list": "samples",
    "seconds_per_step": "training",
    "paired": "training",
    "provenance": "run",
}


@dataclass(frozen=True)
class Figure:
    """A figure that is declared.

    Attributes
    ----------
    question : str
        Key in `crosskrylov.reporting.figures.register.QUESTIONS`, or empty.
    caption : str
    table : str
        The table that it is drawn from alone; empty if it takes something else.
    function : str
        ``package.module:function``.
    """

    question: str
    caption: str
    table: str
    function: str

    def draws(self) -> Callable:
        """Import and return the function that draws it."""
        return imported(self.function)


@cache
def catalogue() -> dict[str, Figure]:
    """Return every declared figure by name."""
    of_studies = {
        name: figure
        for study in declared_studies().values()
        for name, figure in study.figures.items()
    }
    found = {}
    for folder in (_FOLDER, _FOLDER / "studies"):
        package = ".".join(("crosskrylov", *folder.relative_to(_FOLDER.parents[1]).parts))
        for name, entry in declared_in(folder).items():
            facts = {**entry.facts, **of_studies.get(name, {})}
            found[name] = Figure(
                question=facts.get("question", ""),
                caption=facts.get("caption", ""),
                table=facts.get("table", ""),
                function=f"{package}.{entry.file.stem}:{entry.attribute}",
            )
    return found


def figure_of(name: str) -> Figure | None:
    """Return the declaration of a figure, or of those that it is one of: ``sample_grids-set``."""
    return catalogue().get(name) or catalogue().get(name.partition("-")[0])


def question_of_table(name: str) -> str:
    """Return the key of the question that a table answers: that of its figures, or empty."""
    drawn = [figure.question for figure in catalogue().values() if figure.table == name]
    for study in declared_studies().values():
        if name in study.tables:
            drawn += [catalogue()[figure].question for figure in study.figures]
    return next(filter(None, drawn), _TABLE_QUESTIONS.get(name, ""))


def figure_caption(name: str) -> str:
    """Return the caption of a figure, or nothing."""
    figure = figure_of(name)
    return figure.caption if figure else ""


def table_captions() -> dict[str, str]:
    """Return the declared captions of tables by name."""
    found = dict(TABLE_CAPTIONS)
    for study in declared_studies().values():
        found |= study.tables
    return found
