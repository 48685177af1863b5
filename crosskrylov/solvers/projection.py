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
from crosskrylov.solvers.kernels.growing import grow_space
from crosskrylov.solvers.kernels.residuals import norms
from crosskrylov.solvers.kernels.split_products import SplitProducts
from crosskrylov.solvers.kernels.subspace import KrylovBases, arnoldi, joint_basis
from crosskrylov.solvers.kernels.work import count
from crosskrylov.solvers.refinement import check_choice

REBUILDS = ("step", "iteration")
# The march checks with another product, which rounds differently.
_MARGIN = 1.0 - 1e-3


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
    grow : bool
        Let every seed's space grow until the seed's own system meets the tolerance (Eq. 21b), at
        most to ``dimension``, in place of m = ``dimension`` for all.
    **options
        See `CrossMatrixSolver`.

    Attributes
    ----------
    joint : bool
        Whether one space of all seeds serves every image.
    dimensions : list of int
        Dimension of every seed's space that was built since `prepare`, for studies.
    """

    joint = False

    def __init__(
        self,
        dimension: int = 20,
        rebuild: str = "step",
        refresh_steps: int = 1,
        grow: bool = False,
        **options,
    ):
        super().__init__(dimension, **options)
        check_choice("grow", grow, (False, True))
        self.grow = grow
        check_choice("rebuild", rebuild, REBUILDS)
        self.rebuild = rebuild
        self.refresh_steps = check_option("refresh_steps", refresh_steps, 1)

    def prepare(self, problem, log_density, seeds=None) -> None:
        """Take the seed assignment and forget all subspaces."""
        super().prepare(problem, log_density, seeds)
        self.dimensions: list[int] = []

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
        for position, (which, (basis, image)) in enumerate(zip(present, self._seed_spaces(seeds))):
            self._spaces[which] = SplitProducts(basis, seeds.matrix.take(position), image)

    def _seed_spaces(self, seeds: LinearSystems) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return every seed's basis V and A_s V, shapes (m, H, W)."""
        if self.grow:
            residual = self._residual(seeds)
            goals = _MARGIN * seeds.tolerance * norms(seeds.rhs)
            grown = [
                grow_space(
                    seeds.matrix.take(slice(p, p + 1)), r, goal, self.dimension, self.projection
                )
                for p, (r, goal) in enumerate(zip(residual, goals))
            ]
            spaces = [(space.basis, space.image) for space in grown]
        else:
            bases = self._bases(seeds)
            spaces = [
                (bases.basis(p), bases.images[p, :size]) for p, size in enumerate(bases.sizes)
            ]
        self.dimensions.extend(len(basis) for basis, _ in spaces)
        return spaces

    def _bases(self, seeds: LinearSystems) -> KrylovBases:
        return arnoldi(seeds.matrix.apply, self._residual(seeds), self.dimension)

    @staticmethod
    def _residual(seeds):
        count(products=len(seeds))
        return seeds.rhs - seeds.matrix.apply(seeds.start)


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

    joint = True

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
        joint = joint_basis([basis for basis, _ in self._seed_spaces(seeds)], self.rank_tolerance)
        self._spaces = [SplitProducts(joint, seeds.matrix.mean())] * len(self._spaces)
