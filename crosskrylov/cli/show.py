"""The subcommand ``show``: an image with its log-density and score at several times."""

import argparse

import numpy as np

from crosskrylov.equation.density import initial_log_density
from crosskrylov.equation.exact import exact_log_density
from crosskrylov.equation.problem import DEFAULTS, problem_from_config
from crosskrylov.equation.stencil import score
from crosskrylov.errors import ConfigError
from crosskrylov.reporting.figures.scores import plot_scores
from crosskrylov.reporting.figures.style import save_picture
from crosskrylov.runtime.files import printable
from crosskrylov.scores.images import FileImages

#: Arrows and panels of larger images take minutes to draw, and show no more.
MAX_SHOWN_SIZE = 1024


def show(given: argparse.Namespace) -> int:
    """Draw the image to the output file; return the exit status."""
    times, end = sorted(set(given.times)), DEFAULTS["final_time"]
    if len(times) > 12 or not all(0 <= t <= end for t in times):
        raise ConfigError(
            f"--times gives {' '.join(f'{t:g}' for t in times[:12])}; give at most 12 times from 0 "
            f"to {end:g}."
        )
    if given.size > MAX_SHOWN_SIZE:
        raise ConfigError(f"--size is {given.size}; a picture is at most {MAX_SHOWN_SIZE} wide.")
    if given.image.is_dir():
        raise ConfigError(f"{printable(given.image)} is a folder: name one image file.")
    picture = FileImages([given.image], given.size).read(0)
    problem = problem_from_config({}, given.size, given.size)
    log_density = exact_log_density(problem, initial_log_density(picture.pixels[None]), times)[0]
    figure = plot_scores(
        np.moveaxis(picture.pixels, 0, 2),
        log_density,
        score(log_density, problem.spacing),
        times,
        printable(given.image.name),
    )
    save_picture(figure, given.output)
    print(f"{printable(given.image)} at {len(times)} times: {printable(given.output)}")
    return 0
