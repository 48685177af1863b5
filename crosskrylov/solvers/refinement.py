"""Batched Krylov refinement with counted fallback, shared by the cross-matrix solvers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse.linalg as spla

from crosskrylov.equation.stencil import FivePointStencil
from crosskrylov.equation.transforms import TransformCache
from crosskrylov.errors import ConfigError, ConvergenceError, DataError
from crosskrylov.solvers.base import LinearSolver, LinearSystems, Solution, check_finite
from crosskrylov.solvers.kernels.batched_krylov import StencilOperator, bicgstab, gmres
from crosskrylov.solvers.kernels.operators import BLOCK_ELEMENTS, BandedOperator
from crosskrylov.solvers.kernels.residuals import relative_residuals
from crosskrylov.solvers.kernels.work import count
from crosskrylov.solvers.registry import make_solver

Array = Any
Preconditioner = Callable[[Array, np.ndarray], Array]
METHODS = ("bicgstab", "gmres", "none")
DIRECT_FALLBACKS = ("spsolve", "splu", "pardiso")


def check_choice(option: str, value, allowed: Sequence) -> None:
    """Raise ConfigError unless a solver option has one of the allowed values."""
    if value not in allowed:
        raise ConfigError(
            f"The solver option {option} is {value!r}; allowed are "
            f"{', '.join(str(a) for a in allowed)}."
        )


def make_fallback(name: str | None) -> LinearSolver | None:
    """Return the direct solver that takes over missed systems, or None."""
    if name is None:
        return None
    check_choice("fallback", name, (None, *DIRECT_FALLBACKS))
    return make_solver(name)


def require_numpy(systems: LinearSystems, name: str) -> None:
    """Raise DataError if the systems are not NumPy arrays."""
    if not isinstance(systems.rhs, np.ndarray):
        raise DataError(
            f"Solver {name} works on NumPy arrays, but the systems are {type(systems.rhs)}; march "
            "a NumPy log-density or use a batched solver."
        )


def operator_of(matrix: FivePointStencil) -> BandedOperator | StencilOperator:
    """Return the fastest product with the matrices of a block for their kind of array."""
    return (
        BandedOperator(matrix) if isinstance(matrix.center, np.ndarray) else StencilOperator(matrix)
    )


def transform_operator(cache: TransformCache, systems: LinearSystems) -> spla.LinearOperator:
    """Return P^-1 (Eq. 14) of the systems' step, for SciPy's solvers of one system."""
    transform = cache.get(systems.problem, systems.step, systems.rhs)
    shape, n = systems.rhs.shape[1:], systems.matrix.n_unknowns

    def solve(vector):
        count(preconditioned=1)
        return transform(vector.reshape(shape)).ravel()

    return spla.LinearOperator((n, n), matvec=solve, dtype=np.float64)


def finish(
    systems: LinearSystems,
    x: Array,
    iterations: np.ndarray,
    missed: np.ndarray,
    history: Callable[[int], Sequence[float]],
    fallback: LinearSolver | None,
    name: str,
    setup_seconds: float = 0.0,
) -> Solution:
    """Return the solution; systems that missed go to the fallback, or raise.

    Parameters
    ----------
    systems : LinearSystems
    x : array, shape (B, H, W)
    iterations : ndarray of int, shape (B,)
    missed : ndarray of bool, shape (B,)
        Systems whose true residual is above the tolerance (or not a number).
    history : callable
        Relative residuals of the system at a position, for the error.
    fallback : LinearSolver or None
    name : str
        The solver's name, for the error.
    setup_seconds : float

    Raises
    ------
    DataError
        If a missed system is not finite or has a row of zeros.
    ConvergenceError
        If a system missed and no fallback is configured.
    """
    if missed.any():
        positions = np.flatnonzero(missed)
        taken = systems.take(positions)
        check_finite(taken)
        check_rows(taken)
        if fallback is None:
            _raise_missed(systems, x, iterations, positions, history, name)
        x[positions] = fallback.solve(taken).x
        systems.conversion_seconds += taken.conversion_seconds
    return Solution(x, iterations, missed, setup_seconds)


def check_rows(systems: LinearSystems) -> None:
    """Raise DataError if a matrix has a row of zeros, which makes it singular at sight."""
    largest = np.max([np.abs(np.asarray(a)) for a in systems.matrix.arrays()], axis=0)
    empty = (largest == 0.0).any(axis=(-2, -1))
    if empty.any():
        image = int(systems.image_index[np.flatnonzero(empty)[0]])
        raise DataError(
            f"The matrix of image {image} at time step {systems.step} is singular: it has a row of "
            "zeros; check the image, the drift and the time step."
        )


def _raise_missed(systems, x, iterations, positions, history, name):
    residuals = relative_residuals(systems.matrix, systems.rhs, x)[positions]
    worst = int(np.where(np.isnan(residuals), np.inf, residuals).argmax())
    position = int(positions[worst])
    raise ConvergenceError(
        f"Solver {name} reached a relative residual of {residuals[worst]:.2e} (tolerance "
        f"{systems.tolerance:.1e}) after {iterations[position]} iterations in the system of image "
        f"{systems.image_index[position]}, time step {systems.step}, Picard iteration "
        f"{systems.picard} ({len(positions)} such system(s)); loosen the tolerance, raise "
        "max_iterations or set fallback: spsolve.",
        residual_history=[float(v) for v in history(position)],
        iterations=int(iterations[position]),
        best=x[position],
    )


class Refinement:
    """Krylov iteration for all systems of a call, in blocks that stay in the processor's cache.

    Parameters
    ----------
    method : {"bicgstab", "gmres", "none"}
        "none" does not iterate: what misses the tolerance goes to the fallback or raises.
    max_iterations : int
        Most iterations of a system.
    restart : int
        GMRES: dimension of the Krylov space.
    fallback : {None, "spsolve", "splu", "pardiso"}
        Direct solver for systems that missed; they are counted.
    """

    def __init__(
        self,
        method: str = "bicgstab",
        max_iterations: int = 500,
        restart: int = 30,
        fallback: str | None = None,
    ):
        check_choice("refine", method, METHODS)
        if max_iterations < 1 or restart < 1:
            raise ConfigError(
                "The solver options max_iterations and restart must be at least 1; found "
                f"{max_iterations} and {restart}."
            )
        self.method, self.max_iterations, self.restart = method, max_iterations, restart
        self.fallback = make_fallback(fallback)

    def run(
        self,
        systems: LinearSystems,
        start: Array,
        name: str,
        preconditioner: Preconditioner | None = None,
    ) -> Solution:
        """Iterate from ``start`` to the tolerance; see `finish` for what happens on a miss.

        ``preconditioner(fields, positions)`` takes fields (b, H, W) and their positions in
        ``systems``.
        """
        n_systems = len(systems)
        if self.method == "none":
            return self._without_iteration(systems, start, name)
        blocks = self._blocks(systems)
        results, iterations = [], np.zeros(n_systems, dtype=int)
        missed = np.zeros(n_systems, dtype=bool)
        x = start if len(blocks) == 1 else np.empty_like(start)
        for block in blocks:
            result = self._iterate(systems, start, block, preconditioner)
            if len(blocks) == 1:
                x = result.x
            else:
                x[block] = result.x
            iterations[block], missed[block] = result.iterations, ~result.converged
            results.append(result)

        def history(position):
            block = next(k for k, b in enumerate(blocks) if b.start <= position < b.stop)
            column = results[block].residual_history[:, position - blocks[block].start]
            return column[~np.isnan(column)]

        return finish(systems, x, iterations, missed, history, self.fallback, name)

    def _blocks(self, systems):
        n_systems = len(systems)
        size = n_systems
        if isinstance(systems.rhs, np.ndarray):
            size = max(1, BLOCK_ELEMENTS // systems.matrix.n_unknowns)
        return [slice(a, min(a + size, n_systems)) for a in range(0, n_systems, max(size, 1))]

    def _iterate(self, systems, start, block, preconditioner):
        shifted = None
        if preconditioner is not None:

            def shifted(fields, active):
                count(preconditioned=len(fields))
                return preconditioner(fields, active + block.start)

        operator = operator_of(systems.matrix.take(block))
        arguments = (operator, systems.rhs[block], start[block], systems.tolerance, shifted)
        if self.method == "gmres":
            return gmres(*arguments, max_iterations=self.max_iterations, restart=self.restart)
        return bicgstab(*arguments, max_iterations=self.max_iterations)

    def _without_iteration(self, systems, start, name):
        x = start.copy()
        x[(systems.rhs == 0.0).all(axis=(-2, -1))] = 0.0
        residuals = relative_residuals(systems.matrix, systems.rhs, x)
        missed = ~(residuals <= systems.tolerance)
        iterations = np.zeros(len(systems), dtype=int)
        return finish(systems, x, iterations, missed, lambda p: [residuals[p]], self.fallback, name)
