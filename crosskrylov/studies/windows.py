"""Short windows of a march that begin on the reference solution."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crosskrylov.equation.problem import Diffusion, FokkerPlanckProblem
from crosskrylov.equation.stencil import score
from crosskrylov.errors import ConfigError
from crosskrylov.scores.reference import reference_log_density


@dataclass(frozen=True)
class Window:
    """A few time steps of a march.

    Attributes
    ----------
    first : int
        Step n of the whole march that the window begins at.
    problem : FokkerPlanckProblem
        The equation over the window, its time counted from t_n.
    log_density : ndarray, shape (N, H, W)
        The reference solution at t_n.
    score : ndarray, shape (N, 2, H, W)
        The reference score at the window's end.
    """

    first: int
    problem: FokkerPlanckProblem
    log_density: np.ndarray
    score: np.ndarray


def window_problem(problem: FokkerPlanckProblem, first: int, n_steps: int) -> FokkerPlanckProblem:
    """Return the equation over steps ``first`` + 1 to ``first`` + ``n_steps``, time begun anew."""
    begin, diffusion, drift = problem.time(first), problem.diffusion, problem.drift
    return replace(
        problem,
        final_time=n_steps * problem.time_step,
        time_steps=n_steps,
        diffusion=Diffusion(
            lambda t: diffusion.coefficient(t + begin),
            lambda t: diffusion.tau(t + begin) - diffusion.tau(begin),
            diffusion.constant,
        ),
        drift=None if drift is None else lambda rows, cols, t: drift(rows, cols, t + begin),
    )


def cut_windows(
    problem: FokkerPlanckProblem, log_density: np.ndarray, at: Sequence[float], n_steps: int
) -> list[Window]:
    """Cut windows out of a march.

    Parameters
    ----------
    problem : FokkerPlanckProblem
        The whole march.
    log_density : ndarray, shape (N, H, W)
        Initial log-densities in nats.
    at : sequence of float
        Where the windows begin, as fractions of the march; a window that would reach beyond the
        end begins as late as it can.
    n_steps : int
        Steps in each window.

    Raises
    ------
    ConfigError
        If a window is longer than the march.
    """
    if n_steps > problem.time_steps:
        raise ConfigError(
            f"A window of {n_steps} steps does not fit a march of {problem.time_steps}: lower the "
            "study's window_steps."
        )
    latest = problem.time_steps - n_steps
    windows = []
    for first in sorted({min(round(a * problem.time_steps), latest) for a in at}):
        fields = reference_log_density(problem, log_density, [first, first + n_steps])
        windows.append(
            Window(
                first,
                window_problem(problem, first, n_steps),
                np.ascontiguousarray(fields[:, 0]),
                score(fields[:, 1], problem.spacing),
            )
        )
    return windows
