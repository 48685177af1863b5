"""A small bank of systems that the tests of the solver laboratory share."""

from functools import cache

import numpy as np

from crosskrylov.equation.density import initial_log_density
from crosskrylov.scores.march_options import march_options
from crosskrylov.scores.seeds import SeedAssignment, select_seeds
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.bank import SystemBank, build_bank

EQUATION = {"time_steps": 8, "stored_steps": 3, "final_time": 0.08}
SIZE = 10


@cache
def smooth_log_density(n_images: int = 5, size: int = SIZE) -> np.ndarray:
    """Return initial log-densities of smooth random images."""
    rng = np.random.default_rng(3)
    rows, cols = np.meshgrid(*[np.linspace(0, 1, size)] * 2, indexing="ij")
    images = []
    for _ in range(n_images):
        a, b, c, d = rng.uniform(1, 4, 4)
        images.append(0.5 + 0.4 * np.sin(a * rows + b * cols + c) * np.cos(d * cols))
    return initial_log_density(np.array(images)[:, None], bandwidth=0.2)


@cache
def bank() -> SystemBank:
    """Return systems of five images at an early, a middle and a late step."""
    return build_bank(
        EQUATION,
        smooth_log_density(),
        [1, 4, 8],
        make_solver("splu"),
        march_options({"tolerance": 1e-10}),
    )


@cache
def seeds() -> SeedAssignment:
    """Return two seeds and the assignment of all images."""
    return select_seeds(smooth_log_density(), 2)
