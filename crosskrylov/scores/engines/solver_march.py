"""The march of `crosskrylov.scores.march` around a registered solver, as an engine.

Slower than the batched engine, for comparisons and for equations where a particular solver is
wanted; cross-matrix solvers get seeds chosen among the images of each block.
"""

import numpy as np
import torch

from crosskrylov.equation.problem import FokkerPlanckProblem
from crosskrylov.errors import ConvergenceError, DataError
from crosskrylov.scores.engines.result import NOT_FINITE, BlockResult
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import MarchOptions
from crosskrylov.scores.seeds import N_SEEDS, select_seeds
from crosskrylov.solvers.registry import make_solver


class SolverMarch:
    """March blocks of images with one registered linear solver.

    Parameters
    ----------
    problem : FokkerPlanckProblem
    steps : sequence of int
        Time steps to keep; 0 is the initial state.
    solver : str
        Name in the registry.
    options : dict
        Options of the solver.
    march_options : MarchOptions
    n_seeds : int
        Seeds per block for cross-matrix solvers.
    """

    def __init__(
        self,
        problem: FokkerPlanckProblem,
        steps,
        solver: str,
        options: dict | None = None,
        march_options: MarchOptions | None = None,
        n_seeds: int = N_SEEDS,
    ):
        self.problem, self.steps = problem, [int(s) for s in steps]
        self._march_options = march_options or MarchOptions()
        self._solver = make_solver(solver, options)
        self._n_seeds = n_seeds if self._solver.family == "cross-matrix" else 0

    def run(self, log_density: np.ndarray) -> BlockResult:
        """March one block; ``log_density`` has shape (B, H, W), in nats."""
        finite = np.isfinite(log_density).all(axis=(1, 2))
        store = np.full((len(log_density), len(self.steps), *log_density.shape[1:]), np.nan)
        result = BlockResult(
            torch.from_numpy(store),
            np.zeros(len(log_density), dtype=int),
            np.zeros(len(log_density), dtype=int),
            np.full(len(log_density), np.nan),
            {int(i): NOT_FINITE for i in np.flatnonzero(~finite)},
        )
        good = np.flatnonzero(finite)
        if not good.size:
            return result
        try:
            self._fill(result, store, log_density, good)
        except (ConvergenceError, DataError):
            # someone in the block failed: one by one, so that the others complete
            for position in good:
                try:
                    self._fill(result, store, log_density, good[good == position])
                except (ConvergenceError, DataError) as error:
                    result.failures[int(position)] = str(error)
        return result

    def _fill(self, result, store, log_density, positions):
        seeds = None
        if self._n_seeds:
            fields = log_density[positions]
            count = min(self._n_seeds, len(positions))
            seeds = select_seeds(fields, n_seeds=count)
        trajectory = march(
            self.problem,
            np.ascontiguousarray(log_density[positions]),
            self._solver,
            self._march_options,
            seeds=seeds,
            stored_steps=self.steps,
        )
        store[positions] = trajectory.log_density
        result.iterations[positions] = trajectory.solver_iterations.sum(axis=0)
        result.fallbacks[positions] = trajectory.fallbacks.sum(axis=0)
        result.max_residual[positions] = trajectory.max_residual.max(axis=0)
