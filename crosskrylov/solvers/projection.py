"""Cross-matrix projection onto the Krylov spaces of one seed or of several (Eqs. 16-19)."""

import numpy as np

from crosskrylov.solvers.base import LinearSystems, register
from crosskrylov.solvers.cross_matrix import (
    CrossMatrixSolver,
    check_option,
    check_rank_tolerance,
    missing_seed,
    seed_positions,
)
from crosskrylov.solvers.kernels.split_products import SplitProducts
from crosskrylov.solvers.kernels.subspace import arnoldi, joint_basis
from crosskrylov.solvers.refinement import check_choice

REBUILDS = ("step", "iteration")


@register("cross_matrix_galerkin", family="cross-matrix")
class CrossMatrixGalerkin(CrossMatrixSolver):
    """Projection onto the nearest seed's Krylov space, as published, then refinement.

    At every time step each seed's system gives an Arnoldi basis V of K_m(A_s, r_s) (Eq. 16), and
    every image assigned to it (the seed included, for which this is the full orthogonalisation
    method) is projected, x = x0 + V y with V'A_t V y = V'(b_t - A_t x0) (Eq. 17).

    Cost per seed and step: m products with A_s and 4 m^2 HW for the orthogonalisation.  Cost per
    target: a product with A_t and 4 m HW operations for each round of the small systems' iteration
    (Eq. 21a; without ``inner_tolerance`` 2 m HW multiply-adds for A_t V, 2 m^2 HW operations for
    the small matrix, m^3 for its solution and one product); then 2 products per iteration of the
    refinement.  ``iterations`` counts those of the refinement.

    Parameters
    ----------
    rebuild : {"step", "iteration"}
        Keep the bases for all Picard iterations of a time step (published), or build new ones in
        every iteration in which the seed still takes part.
    refresh_steps : int
        Build new bases every so many time steps (1: in every step, published).
    **options
        See `CrossMatrixSolver`.
    """

    def __init__(
        self, dimension: int = 20, rebuild: str = "step", refresh_steps: int = 1, **options
    ):
        super().__init__(dimension, **options)
        check_choice("rebuild", rebuild, REBUILDS)
        self.rebuild = rebuild
        self.refresh_steps = check_option("refresh_steps", refresh_steps, 1)

    def _update(self, systems):
        new_step = self._step is None or not (
            self._step <= systems.step < self._step + self.refresh_steps
        )
        if not new_step and self.rebuild == "step":
            return
        positions = seed_positions(self._seeds, systems)
        if new_step:
            self._spaces = [None] * len(positions)
            self._step = systems.step
        present = np.flatnonzero(positions >= 0)
        if present.size:
            self._build(systems.take(positions[present]), present)
        needed = np.unique(self._seeds.assigned[systems.image_index])
        for which in needed:
            if self._spaces[which] is None:
                raise missing_seed(self._seeds, which, systems, self.name)

    def _build(self, seeds: LinearSystems, present: np.ndarray) -> None:
        bases = self._bases(seeds)
        for position, which in enumerate(present):
            self._spaces[which] = SplitProducts(
                bases.basis(position),
                seeds.matrix.take(position),
                bases.images[position, : bases.sizes[position]],
            )

    def _bases(self, seeds):
        residual = seeds.rhs - seeds.matrix.apply(seeds.start)
        return arnoldi(seeds.matrix.apply, residual, self.dimension)


@register("cross_matrix_joint", family="cross-matrix")
class CrossMatrixJoint(CrossMatrixGalerkin):
    """Projection onto the joint Krylov space of all seeds (ours), then refinement.

    V = orth_eps [K_m(A_s1, r_s1), ..., K_m(A_sq, r_sq)] (Eq. 19): the block of the seeds' Krylov
    spaces, orthonormalised with rank detection, serves every image.

    Cost per step: that of the published method for every seed, and 2 (q m)^2 HW for the joint
    orthonormalisation.  Cost per target: as published with the joint dimension, at most q m.

    Parameters
    ----------
    dimension : int
        Dimension m of each seed's share.
    rank_tolerance : float
        Relative cut-off eps of the rank.
    **options
        See `CrossMatrixGalerkin`.
    """

    def __init__(self, dimension: int = 8, rank_tolerance: float = 1e-8, **options):
        super().__init__(dimension, **options)
        self.rank_tolerance = check_rank_tolerance(rank_tolerance)

    def _space_of(self, systems):
        return np.zeros(len(systems), dtype=int)

    def _build(self, seeds, present):
        if len(present) < len(self._seeds.seeds):
            if self._spaces[0] is not None:
                return  # a seed that has converged ends the rebuilding
            absent = np.setdiff1d(np.arange(len(self._seeds.seeds)), present)
            raise missing_seed(self._seeds, absent[0], seeds, self.name)
        bases = self._bases(seeds)
        joint = joint_basis([bases.basis(p) for p in range(len(present))], self.rank_tolerance)
        self._spaces = [SplitProducts(joint, seeds.matrix.mean())] * len(self._spaces)
