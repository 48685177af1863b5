"""The transform as everybody's preconditioner: one for all images, without a seed (Eq. 14)."""

import time

from crosskrylov.equation.transforms import TransformCache
from crosskrylov.solvers.base import LinearSolver, LinearSystems, Solution, register
from crosskrylov.solvers.refinement import Refinement


class _TransformSolver(LinearSolver):
    """Batched Krylov iteration preconditioned by the sine or cosine transform."""

    method: str

    def __init__(self, max_iterations: int = 200, restart: int = 30, fallback: str | None = None):
        self._refinement = Refinement(self.method, max_iterations, restart, fallback)
        self._transform = TransformCache()

    def solve(self, systems: LinearSystems) -> Solution:
        """Solve all systems from ``systems.start``."""
        clock = time.perf_counter()
        transform = self._transform.get(systems.problem, systems.step, systems.rhs)
        setup = time.perf_counter() - clock
        solution = self._refinement.run(
            systems, systems.start, self.name, lambda fields, positions: transform(fields)
        )
        solution.setup_seconds += setup
        return solution


@register("transform_bicgstab", family="cross-matrix")
class TransformBicgstab(_TransformSolver):
    """Bi-CGSTAB preconditioned by the image-independent part P of all matrices (ours).

    P = 1/dt - g^2/2 Laplacian is diagonal in sine (zero padding) or cosine (reflecting) modes, so
    that P^-1 (Eq. 14) costs four dense products, 4 HW (H + W) operations, over the whole batch;
    A_t P^-1 is the identity plus the advective part.  Two products with A_t and two with P^-1 per
    iteration, and few iterations at every image size.  It is the limit of seed preconditioning in
    which no seed is needed.

    Parameters
    ----------
    max_iterations : int
        Most iterations of a system.
    restart : int
        Unused by Bi-CGSTAB; GMRES: dimension of the Krylov space.
    fallback : {None, "spsolve", "splu", "pardiso"}
        Direct solver for systems that miss the tolerance; they are counted.
    """

    method = "bicgstab"


@register("transform_gmres", family="cross-matrix")
class TransformGmres(_TransformSolver):
    """GMRES preconditioned by the image-independent part P of all matrices (ours).

    As `TransformBicgstab` (Eq. 14), with one product with A_t and one with P^-1 per iteration and
    2 k HW operations for the orthogonalisation in iteration k.

    Parameters
    ----------
    max_iterations : int
        Most iterations of a system.
    restart : int
        Dimension of the Krylov space.
    fallback : {None, "spsolve", "splu", "pardiso"}
        Direct solver for systems that miss the tolerance; they are counted.
    """

    method = "gmres"
