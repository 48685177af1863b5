"""Cross-matrix projection onto a reduced basis of the seeds' solution increments (Eq. 20)."""

import time

import numpy as np

from crosskrylov.solvers.base import Solution, register
from crosskrylov.solvers.cross_matrix import (
    CrossMatrixSolver,
    check_option,
    check_rank_tolerance,
    missing_seed,
    seed_positions,
)
from crosskrylov.solvers.kernels.split_products import SplitProducts
from crosskrylov.solvers.kernels.subspace import pod_basis


@register("cross_matrix_pod", family="cross-matrix")
class CrossMatrixPOD(CrossMatrixSolver):
    """Projection onto the leading modes of the seeds' solution increments (ours), then refinement.

    The seeds are solved first; V holds the leading m left singular vectors of their increments
    x_s - x0 (Eq. 20), of this and the ``history - 1`` previous calls, each call's increments scaled
    by their norm so that small late ones count as much as large early ones.  The targets are then
    projected (Eq. 17 or 18); the seeds themselves start from the modes of the previous calls.

    Cost per call: the seeds' solves, and 2 q^2 HW for the modes of q snapshots.  Cost per target:
    as published.

    Parameters
    ----------
    dimension : int
        Most modes m.
    history : int
        Calls (Picard iterations) whose increments are kept.
    rank_tolerance : float
        Modes whose singular value falls below this fraction of the largest are dropped.
    **options
        See `CrossMatrixSolver`.
    """

    def __init__(
        self, dimension: int = 20, history: int = 4, rank_tolerance: float = 1e-6, **options
    ):
        super().__init__(dimension, **options)
        self.history = check_option("history", history, 1)
        self.rank_tolerance = check_rank_tolerance(rank_tolerance)

    def prepare(self, problem, log_density, seeds=None) -> None:
        """Take the seed assignment and forget all snapshots."""
        super().prepare(problem, log_density, seeds)
        self._snapshots: list[np.ndarray] = []
        self._spaces = [None]

    def _space_of(self, systems):
        return np.zeros(len(systems), dtype=int)

    def _solve(self, systems):
        if not self.dimension:
            return self._project_and_refine(systems)
        clock = time.perf_counter()
        positions = seed_positions(self._seeds, systems)
        if systems.step != self._step:
            if (positions < 0).any():
                absent = int(np.flatnonzero(positions < 0)[0])
                raise missing_seed(self._seeds, absent, systems, self.name)
            self._step = systems.step
        positions = np.sort(positions[positions >= 0])
        parts = []
        if positions.size:
            seeds = systems.take(positions)
            parts.append((positions, seeds, self._project_and_refine(seeds)))
            self._add_snapshots(seeds, parts[0][2].x)
        setup = time.perf_counter() - clock
        rest = np.setdiff1d(np.arange(len(systems)), positions)
        if rest.size:
            targets = systems.take(rest)
            parts.append((rest, targets, self._project_and_refine(targets)))
        return _merged(systems, parts, setup)

    def _project(self, systems):
        if self._spaces[0] is None:  # the first solve of the seeds
            return systems.start
        return super()._project(systems)

    def _add_snapshots(self, seeds, x):
        increments = x - seeds.start
        size = np.linalg.norm(increments)
        if size == 0.0:
            return
        self._snapshots = [*self._snapshots, increments / size][-self.history :]
        basis = pod_basis(np.concatenate(self._snapshots), self.dimension, self.rank_tolerance)
        self._spaces = [SplitProducts(basis, seeds.matrix.mean())]


def _merged(systems, parts, setup):
    """Put the solutions of disjoint parts of the systems together."""
    x = np.empty_like(systems.rhs)
    iterations = np.zeros(len(systems), dtype=int)
    fallbacks = np.zeros(len(systems), dtype=bool)
    for positions, taken, solution in parts:
        x[positions] = solution.x
        iterations[positions], fallbacks[positions] = solution.iterations, solution.fallbacks
        systems.conversion_seconds += taken.conversion_seconds
    return Solution(x, iterations, fallbacks, setup)
