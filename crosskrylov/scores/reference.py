"""The reference that score errors are measured against: exact, or nearly so with a drift."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crosskrylov.equation.exact import exact_log_density
from crosskrylov.equation.problem import FokkerPlanckProblem
from crosskrylov.errors import DataError

#: With a drift, the density is stepped this many times finer than the log-density, at second order.
TIME_REFINEMENT = 4


def reference_method(problem: FokkerPlanckProblem) -> str:
    """Return the engine that `reference_log_density` uses for a problem."""
    return "exact_transform" if problem.drift is None else "density_form"


def reference_log_density(
    problem: FokkerPlanckProblem, log_density: np.ndarray, steps: Sequence[int]
) -> np.ndarray:
    """Return the log-density of the semi-discrete density equation at time steps of ``problem``.

    Without drift it is exact in time (Eqs. 10-13).  With a drift the linear density equation is
    stepped by the Crank-Nicolson scheme, `TIME_REFINEMENT` times finer than the march, whose own
    error in time is of first order.

    Parameters
    ----------
    problem : FokkerPlanckProblem
    log_density : ndarray, shape (N, H, W)
        Initial log-density in nats.
    steps : sequence of int
        Time steps of ``problem``, from 0 to its number of time steps.

    Returns
    -------
    ndarray, float64, shape (N, S, H, W)
    """
    steps = np.asarray(steps, dtype=int)
    if reference_method(problem) == "exact_transform":
        return exact_log_density(problem, log_density, steps * problem.time_step)
    # torch comes with it, which the exact solution can do without
    from crosskrylov.scores.engines.density_form import DensityForm

    finer = replace(problem, time_steps=TIME_REFINEMENT * problem.time_steps)
    result = DensityForm(finer, TIME_REFINEMENT * steps).run(np.asarray(log_density))
    if result.failures:
        image, reason = next(iter(result.failures.items()))
        raise DataError(f"Image {image} has no reference solution, since {reason}.")
    return result.log_density.numpy()
