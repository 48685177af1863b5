"""The protocol that every linear solver follows, and the registry of their names."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from crosskrylov.equation.problem import FokkerPlanckProblem
from crosskrylov.equation.stencil import FivePointStencil
from crosskrylov.errors import ConfigError, ConvergenceError, DataError
from crosskrylov.solvers.kernels.residuals import relative_residuals, to_numpy

Array = Any
FAMILIES = ("direct", "krylov", "cross-matrix", "batched", "exact")


@dataclass
class LinearSystems:
    """The systems A x = b of one time step and one Picard iteration, for the images still active.

    Attributes
    ----------
    matrix : FivePointStencil
        Coefficients, arrays of shape (B, H, W).
    rhs, start : arrays, shape (B, H, W)
        Right-hand sides b (1/time units) and starting values.
    image_index : ndarray of int, shape (B,)
        Position of each system's image in the marched set.
    step, picard : int
        Time step n and Picard iteration k, both from 1.
    problem : FokkerPlanckProblem
        The equation, from which preconditioners take dt, g, h and the boundary.
    tolerance : float
        Relative residual to reach, ``||b - A x||_2 <= tolerance ||b||_2``.
    conversion_seconds : float
        Time spent in `csr`, kept apart from the solve.
    """

    matrix: FivePointStencil
    rhs: Array
    start: Array
    image_index: np.ndarray
    step: int
    picard: int
    problem: FokkerPlanckProblem
    tolerance: float
    conversion_seconds: float = 0.0

    def __len__(self) -> int:
        """Return the number B of systems."""
        return int(self.rhs.shape[0])

    def csr(self, position: int) -> sp.csr_array:
        """Return system ``position`` as a SciPy matrix; the conversion is timed apart."""
        started = time.perf_counter()
        matrix = self.matrix.take(position).to_csr()
        self.conversion_seconds += time.perf_counter() - started
        return matrix

    def take(self, positions) -> "LinearSystems":
        """Return the systems at ``positions`` (its conversion time starts at zero)."""
        return LinearSystems(
            self.matrix.take(positions),
            self.rhs[positions],
            self.start[positions],
            self.image_index[positions],
            self.step,
            self.picard,
            self.problem,
            self.tolerance,
        )


@dataclass
class Solution:
    """What a solver returns for a batch of systems.

    Attributes
    ----------
    x : array, shape (B, H, W)
        Solutions.
    iterations : ndarray of int, shape (B,)
        Krylov iterations (products with A in the iteration); 0 for a direct solver.
    fallbacks : ndarray of bool, shape (B,)
        Systems that the configured fallback had to solve.
    setup_seconds : float
        Part of the call spent on work shared by several systems (seeds, factorisations).
    """

    x: Array
    iterations: np.ndarray
    fallbacks: np.ndarray = field(default=None)
    setup_seconds: float = 0.0

    def __post_init__(self):
        if self.fallbacks is None:
            self.fallbacks = np.zeros(len(self.iterations), dtype=bool)


class LinearSolver(ABC):
    """A linear solver for batches of five-point systems.

    Subclasses set ``family`` and implement `solve`; solvers that keep state between systems (a
    seed's subspace, a factorisation) reset it in `prepare`, which the march calls once.

    Attributes
    ----------
    states_tolerance : bool
        Whether solutions meet ``systems.tolerance``, which the march then holds the solver to.  One
        that says False stops where its method ends; its residuals are reported as they are.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    states_tolerance: ClassVar[bool] = True

    def prepare(self, problem: FokkerPlanckProblem, log_density: Array, seeds=None) -> None:
        """Reset the state before a march (or before a bank of systems).

        Parameters
        ----------
        problem : FokkerPlanckProblem
        log_density : array, shape (N, H, W)
            Initial log-densities of all images.
        seeds : crosskrylov.scores.seeds.SeedAssignment, optional
            Seed images and each target's seed; cross-matrix solvers need it.
        """
        del problem, log_density, seeds

    @abstractmethod
    def solve(self, systems: LinearSystems) -> Solution:
        """Solve every system to ``systems.tolerance``.

        Raises
        ------
        ConvergenceError
            If a system misses the tolerance and no fallback is configured.
        """


#: Solvers whose modules have been imported, by name (a notebook may add its own).
REGISTERED: dict[str, type[LinearSolver]] = {}


def register(name: str, family: str) -> Callable[[type[LinearSolver]], type[LinearSolver]]:
    """Class decorator: make a solver available to the config under ``name``."""
    if family not in FAMILIES:
        raise ConfigError(
            f"Solver family {family!r} is unknown; allowed are {', '.join(FAMILIES)}."
        )

    def decorate(cls):
        known = REGISTERED.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (
            cls.__module__,
            cls.__qualname__,
        ):
            raise ConfigError(f"Two solvers are called {name!r}: {known!r} and {cls!r}.")
        cls.name, cls.family = name, family
        REGISTERED[name] = cls
        return cls

    return decorate


def check_finite(systems: LinearSystems) -> None:
    """Raise DataError if a matrix or right-hand side holds values that are not finite."""
    arrays = (*systems.matrix.arrays(), systems.rhs)
    ok = np.all([np.isfinite(to_numpy(a)).all(axis=(-2, -1)) for a in arrays], axis=0)
    if not ok.all():
        image = int(systems.image_index[np.flatnonzero(~ok)[0]])
        raise DataError(
            f"The system of image {image} at time step {systems.step}, Picard iteration "
            f"{systems.picard} holds values that are not finite; check the image and the equation."
        )


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
