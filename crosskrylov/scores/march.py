"""The time march of the log-density Fokker-Planck equation around any linear solver.

Backward Euler in time; the squared gradient is linearised by Picard's or Newton's iteration, which
gives one linear system per image, time step and iteration (Eqs. 3, 4 and 7 of docs/method.md).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from crosskrylov.equation.assembly import assemble_systems
from crosskrylov.equation.problem import FokkerPlanckProblem
from crosskrylov.equation.stencil import score
from crosskrylov.errors import ConfigError, DataError, ShapeError
from crosskrylov.scores.march_options import MarchOptions
from crosskrylov.solvers.base import LinearSolver, LinearSystems, check_finite, check_residuals
from crosskrylov.solvers.kernels.residuals import norms, relative_residuals, to_numpy

Array = Any

#: What a march spends its time on: the coefficients, the solver's format, work shared by images,
#: the rest of the solver, and the true residuals with the change of the iterate.
PHASES = ("assembly", "conversion", "setup", "solve", "check")


@dataclass
class Trajectory:
    """Log-densities of a march and how they were obtained.

    Attributes
    ----------
    log_density : array, shape (N, S, H, W)
        Log-density in nats at the stored steps.
    steps : ndarray of int, shape (S,)
        Stored time steps (0 is the initial state).
    times : ndarray, shape (S,)
        Their times.
    picard_iterations, solver_iterations, fallbacks : ndarrays of int, shape (steps marched, N)
        Nonlinear iterations, Krylov iterations summed over them, and systems that fell back.
    max_residual, picard_change : ndarrays, shape (steps marched, N)
        Largest true relative residual of the step's systems; last relative change of the iterate.
    seconds : dict of str to float
        Wall-clock of each of the `PHASES`.
    """

    log_density: Array
    steps: np.ndarray
    times: np.ndarray
    picard_iterations: np.ndarray
    solver_iterations: np.ndarray
    fallbacks: np.ndarray
    max_residual: np.ndarray
    picard_change: np.ndarray
    seconds: dict[str, float] = field(default_factory=dict)

    def score(self, spacing: float) -> Array:
        """Return the scores at the stored steps, shape (N, S, 2, H, W)."""
        return score(self.log_density, spacing)


def _relative_change(new: Array, old: Array) -> np.ndarray:
    """Return ||new - old|| / ||old|| per image; a zero iterate is measured against rounding."""
    change, scale = (to_numpy(a).astype(np.float64) for a in (norms(new - old), norms(old)))
    return change / np.maximum(scale, 1e-12)


@dataclass(frozen=True)
class Window:
    """Consecutive time steps of a march, when not all of it is wanted.

    Attributes
    ----------
    first, last : int
        Its first and last time step, from 1.
    older : array, shape (N, H, W), optional
        Log-density of step ``first - 2``, which the extrapolated start asks for.
    """

    first: int
    last: int
    older: Array | None = None

    @property
    def n_steps(self) -> int:
        """Number of its time steps."""
        return self.last - self.first + 1

    def check(self, time_steps: int) -> None:
        """Raise ConfigError unless the window lies in a march of ``time_steps`` steps."""
        if not 1 <= self.first <= self.last <= time_steps:
            raise ConfigError(
                f"The window of the time steps {self.first} to {self.last} does not lie in the "
                f"march, which has the steps 1 to {time_steps}: correct the window or raise "
                "equation.time_steps."
            )


def _stored_steps(window: Window, stored_steps: Sequence[int] | None) -> np.ndarray:
    before = window.first - 1
    steps = np.arange(before, window.last + 1) if stored_steps is None else np.array(stored_steps)
    steps = np.unique(steps.astype(int))
    if steps.size == 0 or steps[0] < before or steps[-1] > window.last:
        raise ConfigError(
            f"stored steps must lie in {before}..{window.last} (the number of time steps); found "
            f"{steps.tolist()[:20]}."
        )
    return steps


def march(
    problem: FokkerPlanckProblem,
    log_density: Array,
    solver: LinearSolver,
    options: MarchOptions | None = None,
    *,
    seeds=None,
    stored_steps: Sequence[int] | None = None,
    observe: Callable[[LinearSystems, Array], None] | None = None,
    progress: Callable[[int], None] | None = None,
    window: Window | None = None,
) -> Trajectory:
    """March all images from t = 0 to T, solving every linear system with ``solver``.

    All images advance together, so that a solver sees the systems of one time step side by side
    and may share work between them; an image whose nonlinear iteration has converged drops out.

    Parameters
    ----------
    problem : FokkerPlanckProblem
    log_density : array, shape (N, H, W)
        Initial log-densities (NumPy or torch); the march works in their dtype and on their device.
    solver : LinearSolver
    options : MarchOptions, optional
    seeds : crosskrylov.scores.seeds.SeedAssignment, optional
        Passed to the solver's `prepare`.
    stored_steps : sequence of int, optional
        Steps to keep (0 is the initial state); default all.
    observe : callable, optional
        Called with the systems and their solutions after every solve (the bank of systems, tests).
    progress : callable, optional
        Called with the number of the step just finished.
    window : Window, optional
        March these time steps only; ``log_density`` is then the state before the first of them, and
        the counts of the trajectory have a row for each of them.

    Returns
    -------
    Trajectory

    Raises
    ------
    ConfigError
        If the window or a step to keep lies outside the march.
    ConvergenceError
        If a system misses ``options.tolerance``.
    DataError
        If the initial log-density or a system is not finite; the message names the image.
    """
    options = options or MarchOptions()
    expected = (problem.height, problem.width)
    if log_density.ndim != 3 or tuple(log_density.shape[1:]) != expected:
        raise ShapeError(
            f"log_density needs shape (N, {expected[0]}, {expected[1]}), found "
            f"{tuple(log_density.shape)}."
        )
    xp = array_namespace(log_density)
    finite = xp.all(xp.all(xp.isfinite(log_density), axis=-1), axis=-1)
    if not bool(xp.all(finite)):
        image = next(i for i in range(finite.shape[0]) if not bool(finite[i]))
        raise DataError(f"The initial log-density of image {image} is not finite; check the image.")
    window = window or Window(1, problem.time_steps)
    window.check(problem.time_steps)
    steps = _stored_steps(window, stored_steps)
    n_images, n_steps = int(log_density.shape[0]), window.n_steps
    store = xp.empty(
        (n_images, len(steps), *expected), dtype=log_density.dtype, device=device(log_density)
    )
    if steps[0] == window.first - 1:
        store[:, 0] = log_density
    counts = {
        name: np.zeros((n_steps, n_images), dtype=np.int32) for name in ("picard", "solver", "fall")
    }
    worst = {name: np.zeros((n_steps, n_images)) for name in ("residual", "change")}
    seconds = dict.fromkeys(PHASES, 0.0)

    started = time.perf_counter()
    solver.prepare(problem, log_density, seeds)
    seconds["setup"] += time.perf_counter() - started
    previous, older = log_density, window.older
    for step in range(window.first, window.last + 1):
        extrapolate = options.start == "extrapolated" and older is not None
        iterate = 2 * previous - older if extrapolate else xp.asarray(previous, copy=True)
        active = np.arange(n_images)
        for picard in range(1, options.max_picard + 1):
            clock = time.perf_counter()
            everyone = len(active) == n_images
            old = previous if everyone else previous[active]
            current = iterate if everyone else iterate[active]
            matrix, rhs = assemble_systems(problem, step, old, current, options.linearisation)
            start = 0 * current if options.start == "zero" and picard == 1 else current
            systems = LinearSystems(
                matrix, rhs, start, active, step, picard, problem, options.tolerance
            )
            check_finite(systems)
            seconds["assembly"] += time.perf_counter() - clock

            clock = time.perf_counter()
            solution = solver.solve(systems)
            spent = time.perf_counter() - clock
            seconds["conversion"] += systems.conversion_seconds
            seconds["setup"] += solution.setup_seconds
            seconds["solve"] += spent - systems.conversion_seconds - solution.setup_seconds

            clock = time.perf_counter()
            if solver.states_tolerance:
                residuals = check_residuals(systems, solution.x, solver.name)
            else:
                residuals = relative_residuals(systems.matrix, systems.rhs, solution.x)
            change = _relative_change(solution.x, current)
            seconds["check"] += time.perf_counter() - clock
            if observe is not None:
                observe(systems, solution.x)
            row = step - window.first
            counts["picard"][row, active] += 1
            counts["solver"][row, active] += solution.iterations
            counts["fall"][row, active] += solution.fallbacks
            worst["residual"][row, active] = np.maximum(worst["residual"][row, active], residuals)
            worst["change"][row, active] = change
            if everyone:
                iterate = solution.x
            else:
                iterate[active] = solution.x
            active = active[change >= options.picard_tolerance]
            if active.size == 0:
                break
        previous, older = iterate, previous
        position = np.flatnonzero(steps == step)
        if position.size:
            store[:, int(position[0])] = previous
        if progress is not None:
            progress(step)
    return Trajectory(
        log_density=store,
        steps=steps,
        times=steps * problem.time_step,
        picard_iterations=counts["picard"],
        solver_iterations=counts["solver"],
        fallbacks=counts["fall"],
        max_residual=worst["residual"],
        picard_change=worst["change"],
        seconds=seconds,
    )
