"""Cross-matrix preconditioning: the seed's factorisation serves its targets (Eq. 21)."""

import time
from itertools import pairwise

import numpy as np
import scipy.sparse.linalg as spla

from crosskrylov.errors import ConfigError, DataError
from crosskrylov.solvers.base import LinearSolver, LinearSystems, Solution, register
from crosskrylov.solvers.cross_matrix import check_option, check_seeds, missing_seed, seed_positions
from crosskrylov.solvers.refinement import Refinement, check_choice, require_numpy


@register("seed_lu", family="cross-matrix")
class SeedLU(LinearSolver):
    """Krylov iteration preconditioned by the LU factorisation of the nearest seed's matrix (ours).

    A_t (LU)^-1 = I + (A_t - A_s) A_s^-1 (Eq. 21), LU = A_s.  One sparse factorisation per seed and
    step serves all images assigned to it, with many right-hand sides at a time; the seed itself
    is solved in one iteration of its own factorisation.

    Cost per seed and step: one factorisation, O((HW)^1.5).  Cost per target: two products with A_t
    and two triangular solves, O(HW log HW) each, per Bi-CGSTAB iteration (GMRES: one of each).

    Parameters
    ----------
    krylov : {"bicgstab", "gmres"}
        The iteration.
    refresh_steps : int
        Factorise anew every so many time steps (1: in every step); matrices change slowly in time,
        so that an older factorisation is still a preconditioner.
    max_iterations, restart : int
        Limits of the iteration; ``restart`` is for GMRES.
    fallback : {None, "spsolve", "splu", "pardiso"}
        Direct solver for systems that miss the tolerance; they are counted.

    Raises
    ------
    DataError
        If a seed's matrix is singular.
    """

    def __init__(
        self,
        krylov: str = "bicgstab",
        refresh_steps: int = 1,
        max_iterations: int = 200,
        restart: int = 30,
        fallback: str | None = None,
    ):
        check_choice("krylov", krylov, ("bicgstab", "gmres"))
        self.refresh_steps = check_option("refresh_steps", refresh_steps, 1)
        self._refinement = Refinement(krylov, max_iterations, restart, fallback)
        self._seeds = None

    def prepare(self, problem, log_density, seeds=None) -> None:
        """Take the seed assignment and forget all factorisations."""
        self._seeds = check_seeds(seeds, len(log_density), self.name)
        self._factors = [None] * len(self._seeds.seeds)
        self._factored_step = None

    def solve(self, systems: LinearSystems) -> Solution:
        """Factorise the seeds' matrices in the first call of a step, then iterate."""
        require_numpy(systems, self.name)
        if self._seeds is None:
            raise ConfigError(f"Solver {self.name} must be prepared before it solves.")
        clock = time.perf_counter()
        before = systems.conversion_seconds
        self._factorise(systems)
        setup = time.perf_counter() - clock - (systems.conversion_seconds - before)
        # neighbours in the batch share a seed, so that a block needs few calls of its factors
        which = self._seeds.assigned[systems.image_index]
        order = np.argsort(which, kind="stable")
        ordered, which = systems.take(order), which[order]

        def preconditioner(fields, positions):
            return self._apply(fields, which[positions])

        solution = self._refinement.run(ordered, ordered.start, self.name, preconditioner)
        systems.conversion_seconds += ordered.conversion_seconds
        back = np.argsort(order)
        return Solution(
            solution.x[back], solution.iterations[back], solution.fallbacks[back], setup
        )

    def _factorise(self, systems):
        due = self._factored_step is None or not (
            self._factored_step <= systems.step < self._factored_step + self.refresh_steps
        )
        if not due:
            return
        positions = seed_positions(self._seeds, systems)
        if (positions < 0).any():
            absent = int(np.flatnonzero(positions < 0)[0])
            raise missing_seed(self._seeds, absent, systems, self.name)
        for which, position in enumerate(positions):
            matrix = systems.csr(position)
            try:
                self._factors[which] = spla.splu(
                    matrix.tocsc(),
                    permc_spec="MMD_AT_PLUS_A",
                    diag_pivot_thresh=0.0,
                    options={"SymmetricMode": True},
                )
            except RuntimeError as error:
                raise DataError(
                    f"The matrix of seed image {self._seeds.seeds[which]} at time step "
                    f"{systems.step} is singular to working precision; check the image, the drift "
                    "and the time step."
                ) from error
        self._factored_step = systems.step

    def _apply(self, fields, which):
        flat = fields.reshape(len(fields), -1)
        if which[0] == which[-1]:  # sorted: all alike
            return self._factors[which[0]].solve(flat.T).T.reshape(fields.shape)
        out = np.empty_like(flat)
        edges = [0, *(np.flatnonzero(np.diff(which)) + 1), len(which)]
        for first, last in pairwise(edges):
            out[first:last] = self._factors[which[first]].solve(flat[first:last].T).T
        return out.reshape(fields.shape)
