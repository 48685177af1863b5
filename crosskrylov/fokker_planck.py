"""The time march of the log-density Fokker-Planck equation around any linear solver.

Backward Euler in time; the squared gradient is linearised by Picard's or Newton's iteration, which
gives one linear system per image, time step and iteration (Eqs. 3, 4 and 7 of docs/method.md).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace, device

from crosskrylov.equation import FokkerPlanckProblem
from crosskrylov.errors import ConfigError, ConvergenceError, DataError, ShapeError
from crosskrylov.solvers.base import (
    LinearSolver,
    LinearSystems,
    check_finite,
    norms,
    relative_residuals,
)
from crosskrylov.stencil import (
    FivePointStencil,
    coefficient_gradient,
    five_point_stencil,
    ghost_gradient,
    gradient,
)

Array = Any
Linearisation = Literal["picard", "newton"]
Start = Literal["previous", "zero", "extrapolated"]


@dataclass(frozen=True)
class MarchOptions:
    """How a march is carried out.

    Attributes
    ----------
    tolerance : float
        Relative residual that every linear system has to reach.
    picard_tolerance : float
        Relative change of the iterate at which the nonlinear iteration stops.
    max_picard : int
        Most nonlinear iterations per time step (published: 5).
    linearisation : {"picard", "newton"}
        Freeze one gradient of the square (published), or linearise it fully.
    start : {"previous", "zero", "extrapolated"}
        Start of the linear solver in the first iteration: the previous step (also the first
        iterate), zero, or 2 m^(n-1) - m^(n-2) (also the first iterate).
    """

    tolerance: float = 1e-8
    picard_tolerance: float = 1e-6
    max_picard: int = 5
    linearisation: Linearisation = "picard"
    start: Start = "previous"

    def __post_init__(self):
        if not (0 < self.tolerance < 1 and 0 < self.picard_tolerance < 1):
            raise ConfigError(
                "march.tolerance and march.picard_tolerance must lie between 0 and 1; found "
                f"{self.tolerance} and {self.picard_tolerance}."
            )
        if self.max_picard < 1:
            raise ConfigError(f"march.max_picard must be at least 1; found {self.max_picard}.")
        for key, allowed in (
            ("linearisation", ("picard", "newton")),
            ("start", ("previous", "zero", "extrapolated")),
        ):
            if getattr(self, key) not in allowed:
                raise ConfigError(
                    f"march.{key} is {getattr(self, key)!r}; allowed are {', '.join(allowed)}."
                )


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
    picard_iterations, solver_iterations, fallbacks : ndarrays of int, shape (time_steps, N)
        Nonlinear iterations, Krylov iterations summed over them, and systems that fell back.
    max_residual, picard_change : ndarrays, shape (time_steps, N)
        Largest true relative residual of the step's systems; last relative change of the iterate.
    seconds : dict of str to float
        Wall-clock by phase: assembly, conversion (to the solver's format), setup (work shared by
        images), solve (the rest of the solver), check (true residuals).
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


def score(log_density: Array, spacing: float) -> Array:
    """Return the score, the gradient of the log-density: (..., H, W) to (..., 2, H, W) (Eq. 5)."""
    xp = array_namespace(log_density)
    return xp.stack(gradient(log_density, spacing), axis=-3)


def assemble_systems(
    problem: FokkerPlanckProblem,
    step: int,
    previous: Array,
    iterate: Array,
    linearisation: Linearisation = "picard",
) -> tuple[FivePointStencil, Array]:
    """Return the matrices and right-hand sides of one time step and iteration (Eqs. 3, 4, 7).

    Parameters
    ----------
    problem : FokkerPlanckProblem
    step : int
        Time step n, from 1.
    previous, iterate : arrays, shape (B, H, W)
        Log-density m^(n-1) of the previous step and the nonlinear iterate m~.
    linearisation : {"picard", "newton"}

    Returns
    -------
    matrix : FivePointStencil
        Coefficients of shape (B, H, W).
    rhs : array, shape (B, H, W)
    """
    half_g2, h = problem.half_g2(step), problem.spacing
    g_row, g_col = coefficient_gradient(iterate, h, problem.boundary, problem.border_gradient)
    v_row, v_col = -half_g2 * g_row, -half_g2 * g_col
    rhs = previous / problem.time_step
    drift = problem.drift_field(step)
    if drift is not None:
        xp = array_namespace(previous)
        f_row, f_col, divergence = (
            xp.asarray(a, dtype=previous.dtype, device=device(previous)) for a in drift
        )
        v_row, v_col = v_row + f_row, v_col + f_col
        rhs = rhs - divergence
    matrix = five_point_stencil(1.0 / problem.time_step, v_row, v_col, half_g2, h, problem.boundary)
    if linearisation == "newton":
        # d(G1 m . G0 m) = G1 m~ . G0 d + G0 m~ . G1 d: the second half goes into the matrix, and
        # what both halves count twice at d = m~ goes to the right-hand side.
        a_row, a_col = ghost_gradient(iterate, h, problem.boundary)
        _add_advection(matrix, -half_g2 * a_row, -half_g2 * a_col, h, problem)
        rhs = rhs - half_g2 * (g_row * a_row + g_col * a_col)
    return matrix, rhs


def _add_advection(matrix, v_row, v_col, h, problem) -> None:
    """Add ``v . gradient`` to the stencil in place, with the gradient of the coefficients."""
    half = 0.5 / h
    reflecting = problem.boundary == "reflecting"
    for v, axis, lower, upper in (
        (v_row, -2, matrix.north, matrix.south),
        (v_col, -1, matrix.west, matrix.east),
    ):
        first, last, start, stop = (
            (..., part, slice(None)) if axis == -2 else (..., part)
            for part in (slice(0, 1), slice(-1, None), slice(None, -1), slice(1, None))
        )
        lower[stop] -= half * v[stop]
        upper[start] += half * v[start]
        if problem.border_gradient == "one_sided":
            # (x1 - x0) / h at the first node, (x_end - x_end-1) / h at the last
            upper[first] += half * v[first]
            matrix.center[first] -= 2 * half * v[first]
            lower[last] -= half * v[last]
            matrix.center[last] += 2 * half * v[last]
        elif reflecting:
            matrix.center[first] -= half * v[first]
            matrix.center[last] += half * v[last]


def _relative_change(new: Array, old: Array) -> np.ndarray:
    """Return ||new - old|| / ||old|| per image; a zero iterate is measured against rounding."""
    change, scale = norms(new - old), norms(old)
    change = np.asarray(change.cpu() if hasattr(change, "cpu") else change, dtype=np.float64)
    scale = np.asarray(scale.cpu() if hasattr(scale, "cpu") else scale, dtype=np.float64)
    return change / np.maximum(scale, 1e-12)


def check_residuals(systems: LinearSystems, x: Array, solver_name: str) -> np.ndarray:
    """Return the true relative residuals; raise ConvergenceError if one misses the tolerance."""
    residuals = relative_residuals(systems.matrix, systems.rhs, x)
    if not (residuals <= systems.tolerance).all():
        worst = int(np.nanargmax(np.where(np.isnan(residuals), np.inf, residuals)))
        raise ConvergenceError(
            f"Solver {solver_name} left a relative residual of {residuals[worst]:.2e} (tolerance "
            f"{systems.tolerance:.1e}) in the system of image {systems.image_index[worst]}, time "
            f"step {systems.step}, Picard iteration {systems.picard}; loosen the tolerance, raise "
            "its iteration limit or configure a fallback.",
            residual_history=[float(residuals[worst])],
            best=x[worst],
        )
    return residuals


def _stored_steps(problem: FokkerPlanckProblem, stored_steps: Sequence[int] | None) -> np.ndarray:
    steps = np.arange(problem.time_steps + 1) if stored_steps is None else np.array(stored_steps)
    steps = np.unique(steps.astype(int))
    if steps.size == 0 or steps[0] < 0 or steps[-1] > problem.time_steps:
        raise ConfigError(
            f"stored steps must lie in 0..{problem.time_steps} (the number of time steps); found "
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
    seeds : crosskrylov.seeds.SeedAssignment, optional
        Passed to the solver's `prepare`.
    stored_steps : sequence of int, optional
        Steps to keep (0 is the initial state); default all.
    observe : callable, optional
        Called with the systems and their solutions after every solve (the bank of systems, tests).
    progress : callable, optional
        Called with the number of the step just finished.

    Returns
    -------
    Trajectory

    Raises
    ------
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
    steps = _stored_steps(problem, stored_steps)
    n_images, n_steps = int(log_density.shape[0]), problem.time_steps
    store = xp.empty(
        (n_images, len(steps), *expected), dtype=log_density.dtype, device=device(log_density)
    )
    if steps[0] == 0:
        store[:, 0] = log_density
    counts = {
        name: np.zeros((n_steps, n_images), dtype=np.int32) for name in ("picard", "solver", "fall")
    }
    worst = {name: np.zeros((n_steps, n_images)) for name in ("residual", "change")}
    seconds = dict.fromkeys(("assembly", "conversion", "setup", "solve", "check"), 0.0)

    started = time.perf_counter()
    solver.prepare(problem, log_density, seeds)
    seconds["setup"] += time.perf_counter() - started
    previous, older = log_density, None
    for step in range(1, n_steps + 1):
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
            residuals = check_residuals(systems, solution.x, solver.name)
            change = _relative_change(solution.x, current)
            seconds["check"] += time.perf_counter() - clock
            if observe is not None:
                observe(systems, solution.x)
            row = step - 1
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
