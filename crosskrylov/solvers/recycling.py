"""Krylov subspaces recycled from system to system, by SciPy's GCROT(m, k) (Eqs. 22a and 22b)."""

from collections.abc import Callable

import numpy as np
import scipy.linalg
import scipy.sparse.linalg as spla

from crosskrylov.equation.likeness import likeness_chain
from crosskrylov.equation.transforms import TransformCache
from crosskrylov.errors import ConfigError
from crosskrylov.solvers.base import LinearSolver, LinearSystems, Solution, register
from crosskrylov.solvers.cross_matrix import check_option
from crosskrylov.solvers.kernels.work import count
from crosskrylov.solvers.refinement import (
    check_choice,
    finish,
    make_fallback,
    require_numpy,
    transform_operator,
)

ORDERS = ("nearest", "given")
ROUTES = ("images", "time", "none")
# The iteration stops by the residual of its recurrence; where the true one is larger it goes on.
_RESTARTS = 3
# The march checks with another product, which rounds differently.
_MARGIN = 1.0 - 1e-3


class CountedOperator:
    """A matrix as a linear operator that counts its products."""

    def __init__(self, matrix):
        self.products = 0
        self._matrix = matrix
        self.operator = spla.LinearOperator(
            matrix.shape, matvec=self._multiply, dtype=np.result_type(matrix.dtype, np.float64)
        )

    def _multiply(self, vector):
        self.products += 1
        count(products=1)
        return self._matrix @ vector


def recycled_gcrot(
    matrix,
    residual: np.ndarray,
    goal: float,
    carried: np.ndarray,
    *,
    m: int = 20,
    k: int = 10,
    max_products: int = 500,
    preconditioner=None,
) -> tuple[np.ndarray, np.ndarray, int, list[float]]:
    """Solve A d = r by GCROT(m, k), begun with directions from another system (Eq. 22b).

    Parameters
    ----------
    matrix : sparse array, shape (n, n)
    residual : ndarray, shape (n,)
        r, not zero.
    goal : float
        2-norm of the true residual to reach.
    carried : ndarray, shape (j, n)
        Directions U of earlier systems; j = 0 begins afresh.  Each costs a product A u.
    m, k : int
        Inner iterations of a cycle, and directions kept.
    max_products : int
        No new cycle is begun after so many.
    preconditioner : LinearOperator, optional
        Applied from the right.

    Returns
    -------
    correction : ndarray, shape (n,)
    carried : ndarray, shape (j', n)
        Unit directions for the next system, oldest first, j' at most k.
    products : int
        Products with A.
    history : list of float
        Norm of the true residual, at the start and after each call of the iteration.
    """
    counted = CountedOperator(matrix)
    pairs = [(None, u.copy()) for u in carried]
    correction, left = np.zeros_like(residual), residual
    history = [float(np.linalg.norm(residual))]
    for _ in range(_RESTARTS):
        cycles = (max_products - counted.products) // m
        if not history[-1] > goal or (cycles < 1 and counted.products):
            break
        try:
            step, _ = spla.gcrotmk(
                counted.operator, left, rtol=0.0, atol=goal, maxiter=max(int(cycles), 1),
                M=preconditioner, m=m, k=k, CU=pairs, discard_C=True,
            )  # fmt: skip
        except (ValueError, np.linalg.LinAlgError):  # overflow: nothing of this can be carried on
            pairs = []
            break
        count(products=1)
        found = residual - matrix @ (correction + step)
        size = float(np.linalg.norm(found))
        history.append(size)
        if not size < history[-2]:
            break
        correction, left = correction + step, found
    count(vectors=_vector_operations(len(carried), counted.products, m, k))
    return correction, _directions(pairs, k, carried), counted.products, history


def _vector_operations(n_carried, products, m, k):
    """Return the vector operations of SciPy's iteration, which does not count them.

    The QR factorisation of C (pairs for Q and R, and U along with them), the first projection, and
    in every inner iteration the orthogonalisation against C and the vectors of the cycle.
    """
    total = 2 * n_carried * (n_carried - 1) + n_carried * (n_carried - 1) // 2 + 3 * n_carried
    left, kept = products - n_carried, n_carried
    while left > 0:
        length = min(left, m + max(k - kept, 0))
        total += 2 * kept * length + length * (length + 1)
        total += 2 * length + kept + 3  # the new direction and its image
        left, kept = left - length, min(kept + 1, k)
    return total


def _directions(pairs, k, before):
    """Return the newest k directions as unit vectors, none of the shape of ``before`` if none."""
    kept = [(u, np.linalg.norm(u)) for _, u in pairs]
    kept = [u / size for u, size in kept if np.isfinite(size) and size > 0.0]
    return np.array(kept[-k:]) if kept else before[:0]


def carried_angles(directions: np.ndarray, before, after) -> np.ndarray:
    """Return the principal angles between the carried space C and the new one, in radians.

    The space that GCROT removes from the residual is C = A U.  Between span(A_before U) and
    span(A_after U) small angles say that the carried space still fits, angles near pi/2 that it is
    stale.

    Parameters
    ----------
    directions : ndarray, shape (j, n)
        U, linearly independent.
    before, after : sparse arrays, shape (n, n)
        The matrices of the system that left the directions and of the one that takes them up.

    Returns
    -------
    ndarray, shape (j,)
        Ascending.
    """
    if len(directions) == 0:
        return np.zeros(0)
    old, new = before @ directions.T, after @ directions.T
    return scipy.linalg.subspace_angles(old, new)[::-1]


@register("recycled_gcrot", family="cross-matrix")
class RecycledGcrot(LinearSolver):
    """GCROT(m, k) with directions recycled from system to system, in an order of likeness.

    As in sorting Krylov recycling: the systems of a call are taken in a chain of nearest
    neighbours (Eq. 22a), and every system begins with the directions U that the one before has
    left, C = A U computed anew (Eq. 22b).  SciPy's `gcrotmk` iterates on the residual of the start.

    Cost per system: up to k products with A for C, a QR factorisation, 2 k^2 HW operations; per
    iteration one product with A and 4 (j + k) HW operations.  ``iterations`` counts all products
    with A but that of the start's residual.

    Parameters
    ----------
    k : int
        Directions carried on.
    m : int
        Inner iterations of a cycle.
    order : {"nearest", "given"}
        Chain of nearest neighbours in d(s, t) of the initial log-densities, or as passed.
    recycle : {"images", "time", "none"}
        From image to image, and from the last one of a call to the first one of the next; or for
        every image from one of its own systems to the next; or not at all (GCROT alone).
    preconditioner : {"none", "transform"}
        "transform": Eq. 14.
    max_iterations : int
        Most products of a system; a cycle that has begun is finished.
    fallback : {None, "spsolve", "splu", "pardiso"}
        Direct solver for systems that miss the tolerance; they are counted.

    Attributes
    ----------
    observe : callable or None
        Called with (matrix, image, directions taken up, directions left) after every system, for
        studies.
    """

    def __init__(
        self,
        k: int = 10,
        m: int = 20,
        order: str = "nearest",
        recycle: str = "images",
        preconditioner: str = "none",
        max_iterations: int = 500,
        fallback: str | None = None,
    ):
        self.k, self.m = check_option("k", k, 1), check_option("m", m, 1)
        check_choice("order", order, ORDERS)
        check_choice("recycle", recycle, ROUTES)
        check_choice("preconditioner", preconditioner, ("none", "transform"))
        self.order, self.recycle = order, recycle
        self._transform = TransformCache() if preconditioner == "transform" else None
        self.max_iterations = check_option("max_iterations", max_iterations, 1)
        self._fallback = make_fallback(fallback)
        self.observe: Callable | None = None
        self._rank = None

    def prepare(self, problem, log_density, seeds=None) -> None:
        """Order the images and forget all directions."""
        n_images = len(log_density)
        rank = np.arange(n_images)
        if self.order == "nearest" and self.recycle == "images":
            rank[likeness_chain(np.asarray(log_density))] = np.arange(n_images)
        self._rank = rank
        self._carried: dict[int, np.ndarray] = {}

    def solve(self, systems: LinearSystems) -> Solution:
        """Solve the systems one after the other along the chain."""
        require_numpy(systems, self.name)
        if self._rank is None:
            raise ConfigError(f"Solver {self.name} must be prepared before it solves.")
        x = systems.start.copy()
        iterations = np.zeros(len(systems), dtype=int)
        missed = np.zeros(len(systems), dtype=bool)
        histories: dict[int, list[float]] = {}
        preconditioner = self._preconditioner(systems)
        nothing = np.zeros((0, systems.matrix.n_unknowns))
        for position in np.argsort(self._rank[systems.image_index], kind="stable"):
            matrix = systems.csr(position)
            rhs = systems.rhs[position].ravel()
            scale = np.linalg.norm(rhs)
            if scale == 0.0:
                x[position] = 0.0
                continue
            residual = rhs - matrix @ x[position].ravel()
            count(products=1)
            goal = _MARGIN * systems.tolerance * scale
            if np.linalg.norm(residual) <= goal:
                continue
            image = int(systems.image_index[position])
            key = image if self.recycle == "time" else 0
            taken = self._carried.get(key, nothing)
            correction, left, iterations[position], history = recycled_gcrot(
                matrix, residual, goal, taken, m=self.m, k=self.k,
                max_products=self.max_iterations, preconditioner=preconditioner,
            )  # fmt: skip
            x[position] += correction.reshape(x.shape[1:])
            missed[position] = not history[-1] <= goal
            histories[position] = [v / scale for v in history]
            if self.recycle != "none":
                self._carried[key] = left
            if self.observe is not None:
                self.observe(matrix, image, taken, left)
        return finish(
            systems, x, iterations, missed, histories.get, self._fallback, self.name
        )  # fmt: skip

    def _preconditioner(self, systems):
        if self._transform is None:
            return None
        return transform_operator(self._transform, systems)
