"""Chan and Ng's projection with adaptive reseeding (Eqs. 16, 17 and 21b)."""

import time

import numpy as np

from crosskrylov.solvers.base import LinearSolver, LinearSystems, Solution, register
from crosskrylov.solvers.cross_matrix import check_inner_tolerance, check_option
from crosskrylov.solvers.kernels.growing import grow_space
from crosskrylov.solvers.kernels.residuals import norms, relative_residuals
from crosskrylov.solvers.kernels.split_products import (
    PROJECTIONS,
    SplitProducts,
    projected_corrections,
)
from crosskrylov.solvers.kernels.work import count
from crosskrylov.solvers.refinement import check_choice, finish, make_fallback, require_numpy

# The march checks with another product, which rounds differently.
_MARGIN = 1.0 - 1e-3
# A seed whose own space gains less than this factor has stagnated.
_STAGNATION = 0.99


@register("cross_matrix_chan_ng", family="cross-matrix")
class CrossMatrixChanNg(LinearSolver):
    """Galerkin projection with adaptive reseeding, as Chan and Ng state it.

    Of the systems of a call (one time step and nonlinear iteration) the one with the largest
    relative residual becomes the seed.  Its Krylov space grows until its own system meets the
    tolerance, and all remaining systems are projected onto that space (Eq. 17).  The next seed is
    the worst one left, started from what the projections have made of it (Eq. 21b), until all
    systems meet the tolerance.  No preselected seeds and no refinement by another method.

    Cost per seed: m products with A_s and 8 m^2 HW operations.  Cost per seed and remaining system:
    one to three products with A_t and 4 m HW operations for each, in products of matrices over
    all systems (Eq. 21a).  ``iterations`` of a system counts its products with A: those of its own
    spaces and those of its projections.  Without ``inner_tolerance`` a projection forms A_t V from
    shared parts at 2 m HW multiply-adds, which no count shows, and V'A_t V at 2 m^2 HW.

    Parameters
    ----------
    max_dimension : int
        Largest dimension of a seed's space; a seed that has not converged by then remains among
        the systems and may be chosen again (a restart).
    max_seeds : int or None
        Most seeds per call; None: as many as it takes.
    projection : {"galerkin", "least_squares"}
        Eq. 17 with the full orthogonalisation method for the seed (published), or Eq. 18 with
        GMRES.
    inner_tolerance : float or None
        As in `CrossMatrixSolver`; 0.01 leaves four digits of a projection's residual as they are.
    max_iterations : int
        Most products with A that a system's own spaces may take.
    fallback : {None, "spsolve", "splu", "pardiso"}
        Direct solver for systems that miss the tolerance; they are counted.
    """

    def __init__(
        self,
        max_dimension: int = 100,
        max_seeds: int | None = None,
        projection: str = "galerkin",
        inner_tolerance: float | None = 1e-2,
        max_iterations: int = 500,
        fallback: str | None = None,
    ):
        self.max_dimension = check_option("max_dimension", max_dimension, 1)
        self.max_seeds = None if max_seeds is None else check_option("max_seeds", max_seeds, 1)
        check_choice("projection", projection, PROJECTIONS)
        self.projection, self.inner_tolerance = projection, check_inner_tolerance(inner_tolerance)
        self.max_iterations = check_option("max_iterations", max_iterations, 1)
        self._fallback = make_fallback(fallback)

    def solve(self, systems: LinearSystems) -> Solution:
        """Take seeds until every system meets the tolerance."""
        require_numpy(systems, self.name)
        work = _Work(systems)
        n_seeds = 0
        while self.max_seeds is None or n_seeds < self.max_seeds:
            seed = work.worst()
            if seed is None:
                break
            self._take_seed(work, seed)
            n_seeds += 1
        count(products=len(systems))
        missed = ~(relative_residuals(systems.matrix, systems.rhs, work.x) <= systems.tolerance)
        return finish(
            systems, work.x, work.iterations, missed, work.histories.__getitem__,
            self._fallback, self.name, work.setup_seconds,
        )  # fmt: skip

    def _take_seed(self, work, seed):
        systems = work.systems
        left = self.max_iterations - work.own_products[seed]
        space = grow_space(
            systems.matrix.take(slice(seed, seed + 1)),
            work.residual[seed],
            work.goal[seed],
            min(self.max_dimension, left),
            self.projection,
        )
        work.own_products[seed] += len(space.basis)
        work.iterations[seed] += len(space.basis)
        before = work.size[seed]
        own = systems.matrix.take(seed).apply(space.correction)
        count(products=1)
        work.add(np.array([seed]), space.correction[None], (work.residual[seed] - own)[None])
        stagnated = not work.size[seed] < _STAGNATION * before
        if stagnated or work.own_products[seed] >= self.max_iterations:
            work.open[seed] = False
        others = np.flatnonzero(work.open & (np.arange(len(systems)) != seed))
        if others.size == 0 or len(space.basis) == 0:
            return
        clock = time.perf_counter()
        products = SplitProducts(space.basis, systems.matrix.take(seed), space.image)
        work.setup_seconds += time.perf_counter() - clock
        matrix = systems.matrix.take(others)
        found = projected_corrections(
            products, matrix, work.residual[others], self.projection, self.inner_tolerance
        )
        work.add(others, found.correction, found.residual)
        work.iterations[others] += found.products


class _Work:
    """The state of a call: values, residuals, and who still takes part."""

    def __init__(self, systems: LinearSystems):
        self.systems = systems
        self.x = systems.start.copy()
        self.x[(systems.rhs == 0.0).all(axis=(-2, -1))] = 0.0
        self.residual = systems.rhs - systems.matrix.apply(self.x)
        count(products=len(systems))
        self.size, self.scale = norms(self.residual), norms(systems.rhs)
        self.goal = _MARGIN * systems.tolerance * self.scale
        # a value that is not finite is left to the check at the end
        self.open = (self.size > self.goal) & np.isfinite(self.size)
        self.iterations = np.zeros(len(systems), dtype=int)
        self.own_products = np.zeros(len(systems), dtype=int)
        self.histories: list[list[float]] = [[] for _ in range(len(systems))]
        self.setup_seconds = 0.0

    def worst(self) -> int | None:
        """Return the open system with the largest relative residual, None if none is open."""
        if not self.open.any():
            return None
        relative = np.full_like(self.size, -1.0)
        np.divide(self.size, self.scale, out=relative, where=self.open)
        return int(relative.argmax())

    def add(self, positions: np.ndarray, correction: np.ndarray, residual: np.ndarray) -> None:
        """Add corrections where they lower the residual, and close what has converged."""
        size = norms(residual)
        gained = size < self.size[positions]  # False for NaN
        who = positions[gained]
        self.x[who] += correction[gained]
        self.residual[who], self.size[who] = residual[gained], size[gained]
        self.open[who] &= self.size[who] > self.goal[who]
        for position in positions:
            self.histories[position].append(float(self.size[position] / self.scale[position]))
