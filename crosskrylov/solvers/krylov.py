"""SciPy's Krylov solvers, one system at a time, with the usual preconditioners."""

import time

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from crosskrylov.equation.transforms import TransformCache
from crosskrylov.errors import ConfigError, DataError
from crosskrylov.solvers.base import LinearSolver, LinearSystems, Solution, check_finite, register
from crosskrylov.solvers.kernels.work import count, counted_matrix
from crosskrylov.solvers.refinement import (
    check_choice,
    finish,
    make_fallback,
    require_numpy,
    transform_operator,
)

PRECONDITIONERS = ("none", "ilu", "amg", "transform")
# SciPy stops by the residual of its recurrence; where the true one is larger, it goes on from x.
_RESTARTS_FROM_TRUE_RESIDUAL = 3
_MARGIN = 1.0 - 1e-3


class _ScipyKrylov(LinearSolver):
    """Iterate on one system after the other from ``systems.start``."""

    def __init__(
        self,
        preconditioner: str = "none",
        max_iterations: int = 500,
        drop_tolerance: float = 1e-3,
        fill_factor: float = 10.0,
        fallback: str | None = None,
    ):
        check_choice("preconditioner", preconditioner, PRECONDITIONERS)
        if max_iterations < 1:
            raise ConfigError(
                f"The solver option max_iterations is {max_iterations}; it must be at least 1."
            )
        self.preconditioner, self.max_iterations = preconditioner, max_iterations
        self.drop_tolerance, self.fill_factor = drop_tolerance, fill_factor
        self._fallback = make_fallback(fallback)
        self._transform = TransformCache()

    def solve(self, systems: LinearSystems) -> Solution:
        """Solve every system; the time spent on preconditioners is reported as setup."""
        require_numpy(systems, self.name)
        x = np.empty_like(systems.rhs)
        iterations = np.zeros(len(systems), dtype=int)
        missed = np.zeros(len(systems), dtype=bool)
        histories: dict[int, list[float]] = {}
        setup = 0.0
        for position in range(len(systems)):
            matrix = systems.csr(position)
            rhs = systems.rhs[position].ravel()
            scale = np.linalg.norm(rhs)
            if scale == 0.0:
                x[position] = 0.0
                continue
            clock = time.perf_counter()
            preconditioner = self._build(matrix, systems, position)
            setup += time.perf_counter() - clock
            # the march checks with another product, which rounds differently
            target = _MARGIN * systems.tolerance * scale
            value = systems.start[position].ravel()
            matrix = counted_matrix(matrix)
            residual, history = np.linalg.norm(rhs - matrix @ value), []
            for _ in range(_RESTARTS_FROM_TRUE_RESIDUAL):
                left = self.max_iterations - iterations[position]
                if residual <= target or left <= 0:
                    break
                value, made = self._iterate(matrix, rhs, value, target, left, preconditioner)
                iterations[position] += made
                residual = np.linalg.norm(rhs - matrix @ value)
                history.append(residual / scale)
            missed[position] = not residual <= target
            if missed[position]:
                histories[position] = history
            x[position] = value.reshape(x.shape[1:])
        return finish(
            systems, x, iterations, missed, histories.get, self._fallback, self.name, setup
        )

    def _build(self, matrix, systems, position):
        if self.preconditioner == "none":
            return None
        if self.preconditioner == "transform":
            return transform_operator(self._transform, systems)
        if self.preconditioner == "ilu":
            try:
                factors = spla.spilu(
                    matrix.tocsc(), drop_tol=self.drop_tolerance, fill_factor=self.fill_factor
                )
            except RuntimeError as error:
                check_finite(systems)
                raise DataError(
                    f"The incomplete factorisation of the matrix of image "
                    f"{systems.image_index[position]} at time step {systems.step} is singular; "
                    "check the image, or use preconditioner: none."
                ) from error
            return spla.LinearOperator(matrix.shape, factors.solve)
        import pyamg

        hierarchy = pyamg.smoothed_aggregation_solver(
            sp.csr_matrix(matrix), symmetry="nonsymmetric", max_coarse=50
        )
        return hierarchy.aspreconditioner(cycle="V")

    def _iterate(self, matrix, rhs, start, target, limit, preconditioner):
        """Return (x, iterations) after at most ``limit`` iterations."""
        raise NotImplementedError


@register("bicgstab", family="krylov")
class Bicgstab(_ScipyKrylov):
    """``scipy.sparse.linalg.bicgstab`` on A x = b, one system at a time.

    Cost per iteration: two products with A (5 HW each), two with the preconditioner, 10 vector
    operations.  Setup per system: none; "ilu" an incomplete LU factorisation; "amg" a hierarchy of
    pyamg's smoothed aggregation; "transform" (Eq. 14) once for all.

    Parameters
    ----------
    preconditioner : {"none", "ilu", "amg", "transform"}
    max_iterations : int
        Most iterations of a system.
    drop_tolerance, fill_factor : float
        Of the incomplete LU factorisation.
    fallback : {None, "spsolve", "splu", "pardiso"}
        Direct solver for systems that miss the tolerance; they are counted.
    """

    def _iterate(self, matrix, rhs, start, target, limit, preconditioner):
        made = 0

        def callback(_):
            nonlocal made
            made += 1

        x, _ = spla.bicgstab(
            matrix,
            rhs,
            x0=start,
            rtol=0.0,
            atol=target,
            maxiter=int(limit),
            M=preconditioner,
            callback=callback,
        )
        # the iteration that ends in its first half is not reported to the callback
        count(vectors=10 * max(made, 1))
        return x, max(made, 1)


@register("gmres", family="krylov")
class Gmres(_ScipyKrylov):
    """``scipy.sparse.linalg.gmres`` with restarts on A x = b, one system at a time.

    Cost of iteration k of a cycle: one product with A, one with the preconditioner, 2 k HW
    operations for the orthogonalisation.  Setup as for `Bicgstab`.

    Parameters
    ----------
    restart : int
        Dimension of the Krylov space.
    **options
        See `Bicgstab`.
    """

    def __init__(self, preconditioner: str = "none", restart: int = 30, **options):
        super().__init__(preconditioner, **options)
        if restart < 1:
            raise ConfigError(f"The solver option restart is {restart}; it must be at least 1.")
        self.restart = restart

    def _iterate(self, matrix, rhs, start, target, limit, preconditioner):
        history: list[float] = []
        restart = int(min(self.restart, limit, len(rhs)))
        x, _ = spla.gmres(
            matrix,
            rhs,
            x0=start,
            rtol=0.0,
            atol=target,
            restart=restart,
            maxiter=int(-(-limit // restart)),
            M=preconditioner,
            callback=history.append,
            callback_type="pr_norm",
        )
        cycles, rest = divmod(len(history), restart)
        count(vectors=cycles * restart * (restart + 1) + rest * (rest + 1))
        return x, len(history)
