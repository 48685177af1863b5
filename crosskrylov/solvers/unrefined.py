"""Projected solutions as they are: no refinement, no tolerance (Eqs. 16, 17 and 19)."""

import numpy as np

from crosskrylov.solvers.base import Solution, register
from crosskrylov.solvers.projection import CrossMatrixGalerkin, CrossMatrixJoint
from crosskrylov.solvers.refinement import check_choice

SPACES = ("nearest", "joint")


@register("cross_matrix_unrefined", family="cross-matrix")
class CrossMatrixUnrefined(CrossMatrixJoint):
    """Cross-matrix projection without the refinement after it.

    What a reader takes the method to be who hears of projected solutions alone: every system gets
    its projection, lower in residual than its start, and the march goes on from it.  This solver
    states no tolerance, and the march reports whatever residual is left.  A system whose start
    already meets the tolerance keeps it.

    Cost: that of `CrossMatrixGalerkin` or `CrossMatrixJoint` without the iteration.

    Parameters
    ----------
    dimension : int
        Dimension m of each seed's space; 0 leaves every start as it is.
    space : {"nearest", "joint"}
        The space of the nearest seed, as published, or of all seeds.
    **options
        See `CrossMatrixJoint`; those of the refinement do nothing.
    """

    states_tolerance = False

    def __init__(self, dimension: int = 20, space: str = "nearest", **options):
        super().__init__(dimension, **options)
        check_choice("space", space, SPACES)
        self.joint = space == "joint"

    def _space_of(self, systems):
        kind = CrossMatrixJoint if self.joint else CrossMatrixGalerkin
        return kind._space_of(self, systems)

    def _build(self, seeds, present):
        kind = CrossMatrixJoint if self.joint else CrossMatrixGalerkin
        kind._build(self, seeds, present)

    def _project_and_refine(self, systems):
        x = self._project(systems) if self.dimension or self.recycle else systems.start.copy()
        self._own.remember(systems, x)
        return Solution(x, np.zeros(len(systems), dtype=int))
