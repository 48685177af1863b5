"""Sparse direct solvers: SuperLU (two calls) and PARDISO where it is installed."""

import warnings

import numpy as np
import scipy.sparse.linalg as spla

from crosskrylov.errors import ConfigError, DataError
from crosskrylov.solvers.base import LinearSolver, LinearSystems, Solution, register


class _DirectSolver(LinearSolver):
    """Solve the systems one by one with a factorisation each."""

    def solve(self, systems: LinearSystems) -> Solution:
        x = np.empty_like(systems.rhs)
        for position in range(len(systems)):
            matrix = systems.csr(position)
            x[position] = self._solve_one(matrix, systems.rhs[position].ravel(), systems).reshape(
                x.shape[1:]
            )
        return Solution(x, np.zeros(len(systems), dtype=int))

    def _solve_one(self, matrix, rhs, systems):
        raise NotImplementedError


def _singular(systems: LinearSystems) -> DataError:
    return DataError(
        f"A matrix of time step {systems.step} is singular to working precision; check the image, "
        "the drift and the time step."
    )


@register("spsolve", family="direct")
class SpSolve(_DirectSolver):
    """``scipy.sparse.linalg.spsolve`` (SuperLU), the published baseline: one LU per system."""

    def _solve_one(self, matrix, rhs, systems):
        with warnings.catch_warnings():
            warnings.simplefilter("error", spla.MatrixRankWarning)
            try:
                return spla.spsolve(matrix, rhs)
            except (spla.MatrixRankWarning, RuntimeError) as error:
                raise _singular(systems) from error


@register("splu", family="direct")
class SpLU(_DirectSolver):
    """SuperLU with an ordering for nearly symmetric patterns (minimum degree on A' + A)."""

    def _solve_one(self, matrix, rhs, systems):
        try:
            factors = spla.splu(
                matrix.tocsc(),
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
        except RuntimeError as error:
            raise _singular(systems) from error
        return factors.solve(rhs)


@register("pardiso", family="direct")
class Pardiso(_DirectSolver):
    """Intel PARDISO through pypardiso; the fastest direct solver that users would pick instead."""

    def __init__(self):
        try:
            import pypardiso
        except ImportError as error:
            raise ConfigError(
                "Solver method 'pardiso' needs the package pypardiso; install it or remove the "
                "solver from the config."
            ) from error
        self._solver = pypardiso.PyPardisoSolver()

    def _solve_one(self, matrix, rhs, systems):
        import scipy.sparse as sp

        try:
            return self._solver.solve(sp.csr_matrix(matrix), rhs)
        except Exception as error:  # pypardiso raises its own class without a common base
            raise _singular(systems) from error
