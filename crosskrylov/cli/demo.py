"""The subcommand ``demo``: the whole idea on one picture, from images to drawn digits."""

import argparse
import time

import numpy as np

from crosskrylov.datasets.loading import load_images
from crosskrylov.equation.density import initial_log_density
from crosskrylov.equation.exact import exact_log_density
from crosskrylov.equation.problem import problem_from_config
from crosskrylov.equation.stencil import score
from crosskrylov.learning.embedding import embed_images
from crosskrylov.learning.ready_made.loading import load_ready_made
from crosskrylov.metrics.intervals import median_interval
from crosskrylov.reporting.figures.demo import Demo, plot_demo
from crosskrylov.reporting.figures.style import save_picture
from crosskrylov.runtime.files import printable
from crosskrylov.runtime.measurement import pinned_threads
from crosskrylov.scores.march import march
from crosskrylov.scores.seeds import select_seeds
from crosskrylov.solvers.registry import make_solver

#: What is timed: the published baseline, the published projection, the same march without it, and
#: the limit that needs no seed image.
SOLVERS = {
    "spsolve": ("spsolve", {}),
    "projection": ("cross_matrix_galerkin", {"dimension": 20}),
    "no projection": ("cross_matrix_galerkin", {"dimension": 0}),
    "sine transform": ("transform_bicgstab", {}),
}
SEED = 17


def demo(given: argparse.Namespace) -> int:
    """Draw the picture; return the exit status."""
    started = time.perf_counter()
    images = load_images(
        "photos", given.size, 6, seed=SEED, photographs=["chelsea", "coffee", "rocket"]
    ).images
    problem = problem_from_config({"time_steps": given.time_steps}, given.size, given.size)
    density = initial_log_density(images)
    print(f"1 6 photographs' crops of {given.size} x {given.size} pixels, and their log-densities")
    times = [problem.time(step) for step in (1, max(2, given.time_steps // 10), given.time_steps)]
    exact = exact_log_density(problem, density, times)
    fields = score(exact, problem.spacing)
    print(f"2 exact scores at t = {', '.join(f'{t:g}' for t in times)}")
    seconds = time_solvers(problem, density, given.repeats)
    for name, values in seconds.items():
        middle, low, high = median_interval(values)
        print(f"3 {name}: {middle:.3g} s per image ({low:.2g} to {high:.2g})")
    embedded = embed_images(images, fields, np.array(times), diffusion=0.5, variant="sum", steps=3)
    print("4 images transported along their scores: what score embedding trains on")
    made = load_ready_made("digits")
    drawn = made.draw(given.n_images, SEED)
    print(f"5 {given.n_images} digits drawn from the ready-made network, {drawn.seconds:.1f} s")
    picture = Demo(images[0], exact[0], fields[0], times, seconds, embedded.images[0], drawn.images)
    save_picture(plot_demo(picture), given.output)
    print(f"{time.perf_counter() - started:.0f} s in all: {printable(given.output)}")
    return 0


def time_solvers(problem, log_density: np.ndarray, repeats: int) -> dict[str, list[float]]:
    """Return seconds per image of whole marches, ``repeats`` of each solver, in random order.

    Everything is counted, from assembly to the check of every residual. A first round warms up and
    is dropped.
    """
    seeds = select_seeds(log_density, 2)
    rng = np.random.default_rng(SEED)
    seconds = {name: [] for name in SOLVERS}
    with pinned_threads(1):
        for repeat in range(repeats + 1):
            for name in rng.permutation(list(SOLVERS)):
                method, options = SOLVERS[name]
                done = march(problem, log_density, make_solver(method, options), seeds=seeds)
                if repeat:
                    seconds[str(name)].append(sum(done.seconds.values()) / len(log_density))
    return seconds
