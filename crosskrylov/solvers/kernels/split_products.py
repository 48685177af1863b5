"""Projected systems of many targets at once, by sharing what their matrices share (Eqs. 17-18)."""

from typing import Literal

import numpy as np

from crosskrylov.equation.stencil import FivePointStencil
from crosskrylov.solvers.kernels.operators import BLOCK_ELEMENTS, BandedOperator
from crosskrylov.solvers.kernels.reduced_iteration import ReducedProjection, ReducedSpace
from crosskrylov.solvers.kernels.work import count

Projection = Literal["galerkin", "least_squares"]
PROJECTIONS = ("galerkin", "least_squares")
# Systems in a block of the reduced iteration: enough rows for a product of matrices.
_BLOCK_SYSTEMS = 64


class SplitProducts:
    """Products A_t V of many targets with one basis, split so that the targets' part is cheap.

    Matrices of one time step differ only through the advective coefficients, which enter the two
    neighbours of a row (column) with opposite signs.  Against a reference matrix A_s,

        A_t V = A_s V + diag(d_row) (S_south - S_north) V + diag(d_col) (S_east - S_west) V,

    where S shifts a field and d is the difference of coefficients.  The three products are computed
    once; a target costs two multiply-adds per basis entry.  Terms that other boundaries or Newton's
    linearisation add (at the border, or in the sum of opposite coefficients) are added where they
    are not zero, so that the split is exact for every five-point matrix.

    Parameters
    ----------
    basis : ndarray, shape (m, H, W)
    reference : FivePointStencil
        A single matrix A_s, coefficients of shape (H, W).
    image : ndarray, shape (m, H, W), optional
        A_s V where it is known already.
    """

    def __init__(
        self, basis: np.ndarray, reference: FivePointStencil, image: np.ndarray | None = None
    ):
        self.basis, self.reference = basis, reference
        self.size, self.shape = len(basis), basis.shape[1:]
        self.flat = _flat(basis)
        if image is None:
            count(products=len(basis))
            image = reference.apply(basis)
        self._constant = _flat(image)
        self._products: dict[str, np.ndarray] = {}
        self._reduced: dict[str, ReducedSpace | None] = {}

    def reduced(self, precision: str = "float64") -> ReducedSpace | None:
        """Return the basis with the inverse of V'A_s V, None where that matrix is singular."""
        if precision not in self._reduced:
            try:
                space = ReducedSpace(self.flat, self._constant, precision)
            except np.linalg.LinAlgError:
                space = None
            self._reduced[precision] = space
        return self._reduced[precision]

    def terms(self, matrix: FivePointStencil) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the pairs (coefficients (B, n), product (m, n)) that A_t V - A_s V sums over."""
        difference = {
            name: getattr(matrix, name) - getattr(self.reference, name) for name in matrix.NAMES
        }
        scale = np.abs(self.reference.center).max(initial=0.0) * 1e-14
        found = []
        for axis, lower, upper in ((-2, "north", "south"), (-1, "west", "east")):
            low, up = difference[lower], difference[upper]
            # the neighbour outside the image multiplies a shifted 0: its coefficient is free
            first, last = _edges(axis)
            low[first], up[last] = -up[first], -low[last]
            found.append((0.5 * (up - low), f"difference {axis}"))
            found.append((0.5 * (up + low), f"sum {axis}"))
        found.append((difference["center"], "center"))
        return [
            (c.reshape(len(c), -1), self._product(name))
            for c, name in found
            if np.abs(c).max(initial=0.0) > scale
        ]

    def _product(self, name: str) -> np.ndarray:
        if name not in self._products:
            if name == "center":
                product = self.basis
            else:
                axis = int(name.split()[1])
                sign = -1.0 if name.startswith("difference") else 1.0
                to_lower, to_upper = _shifts(axis)
                product = np.zeros_like(self.basis)
                product[to_lower] += self.basis[to_upper]  # S_upper V: the next node's value
                product[to_upper] += sign * self.basis[to_lower]
            self._products[name] = _flat(product)
        return self._products[name]

    def image(self, terms, systems: slice, nodes: slice) -> np.ndarray:
        """Return (A_t V) at ``nodes`` for the targets ``systems``, shape (b, m, nodes)."""
        out = None
        for coefficients, product in terms:
            term = coefficients[systems, None, nodes] * product[None, :, nodes]
            out = term if out is None else np.add(out, term, out=out)
        if out is None:
            n_systems = systems.stop - systems.start
            return np.repeat(self._constant[None, :, nodes], n_systems, axis=0)
        out += self._constant[:, nodes]
        return out


def _flat(fields: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(fields).reshape(len(fields), fields.shape[-2] * fields.shape[-1])


def _edges(axis: int):
    if axis == -2:
        return (..., slice(0, 1), slice(None)), (..., slice(-1, None), slice(None))
    return (..., slice(0, 1)), (..., slice(-1, None))


def _shifts(axis: int):
    if axis == -2:
        return (..., slice(None, -1), slice(None)), (..., slice(1, None), slice(None))
    return (..., slice(None, -1)), (..., slice(1, None))


def projection_coefficients(
    products: SplitProducts,
    matrix: FivePointStencil,
    residual: np.ndarray,
    kind: Projection,
    extra: np.ndarray | None = None,
) -> np.ndarray:
    """Return the coefficients y of the projected corrections, shape (B, m) or (B, m + r).

    Galerkin solves (V'A_t V) y = V'r, least squares the normal equations of A_t V y = r, whose
    condition number is at most that of A_t squared (about 100 at 32 x 32).  Cost per system:
    2 H W m multiply-adds for A_t V, and H W m^2 for the small matrix.

    Parameters
    ----------
    products : SplitProducts
    matrix : FivePointStencil
        Coefficients of shape (B, H, W).
    residual : ndarray, shape (B, H, W)
    kind : {"galerkin", "least_squares"}
    extra : ndarray, shape (B, r, H, W), optional
        Further directions of each system's own, orthonormal and orthogonal to the basis; zero
        fields stand for absent ones.
    """
    n_systems = len(residual)
    n_extra = 0 if extra is None else extra.shape[1]
    size = products.size + n_extra
    small, right = np.zeros((n_systems, size, size)), np.zeros((n_systems, size))
    if size == 0 or n_systems == 0:
        return right
    r = residual.reshape(n_systems, -1)
    n = r.shape[1]
    terms = products.terms(matrix)
    # A_t V entry by entry, V'A_t V, V'r
    count(vectors=n_systems * size * (len(terms) + size + 1))
    if n_extra:
        own = extra.reshape(n_systems, n_extra, n)
        stencil = FivePointStencil(*(a[:, None] for a in matrix.arrays()))
        own_image = stencil.apply(extra).reshape(own.shape)
    width = min(n, max(512, BLOCK_ELEMENTS // size))
    batch = max(1, BLOCK_ELEMENTS // (size * width))
    for first in range(0, n_systems, batch):
        systems = slice(first, min(first + batch, n_systems))
        for left in range(0, n, width):
            nodes = slice(left, min(left + width, n))
            image = products.image(terms, systems, nodes)
            test = products.flat[:, nodes]
            if n_extra:
                image = np.concatenate([image, own_image[systems, :, nodes]], axis=1)
                if kind == "galerkin":
                    shared = np.broadcast_to(test, (len(image), *test.shape))
                    test = np.concatenate([shared, own[systems, :, nodes]], axis=1)
            if kind == "least_squares":
                test = image
            small[systems] += np.matmul(test, image.transpose(0, 2, 1))
            right[systems] += np.matmul(test, r[systems, nodes, None])[:, :, 0]
    return _solve_small(small, right)


def projected_corrections(
    products: SplitProducts,
    matrix: FivePointStencil,
    residual: np.ndarray,
    kind: Projection,
    inner_tolerance: float | None = None,
    precision: str = "float64",
) -> ReducedProjection:
    """Return the projected corrections of all systems and the residuals that they leave.

    Parameters
    ----------
    products : SplitProducts
        Of a basis with at least one field.
    matrix : FivePointStencil
        Coefficients of shape (B, H, W).
    residual : ndarray, shape (B, H, W)
    kind : {"galerkin", "least_squares"}
    inner_tolerance : float or None
        Solve the small Galerkin systems by iteration (Eq. 21a) until ||V'r|| is at most this
        fraction of ||r||; None forms their matrices, as do least squares and systems for which
        the iteration is too slow.
    precision : {"float64", "float32"}
        Of the iteration's products with V.
    """
    space = products.reduced(precision) if inner_tolerance and kind == "galerkin" else None
    n_systems = len(residual)
    result = ReducedProjection(
        np.zeros_like(residual),
        residual.copy(),
        np.zeros(n_systems, dtype=int),
        np.zeros(n_systems, dtype=bool),
    )
    if space is not None:
        for first in range(0, n_systems, _BLOCK_SYSTEMS):
            block = slice(first, min(first + _BLOCK_SYSTEMS, n_systems))
            operator, active = BandedOperator(matrix.take(block)), np.arange(block.stop - first)
            found = space.project(
                lambda fields, a=operator, who=active: a(fields, who),
                residual[block],
                inner_tolerance,
            )
            result.correction[block], result.residual[block] = found.correction, found.residual
            result.products[block], result.solved[block] = found.products, found.solved
    left = np.flatnonzero(~result.solved)
    if left.size:
        chosen = matrix.take(left)
        y = projection_coefficients(products, chosen, residual[left], kind)
        result.correction[left] = (y @ products.flat).reshape(-1, *residual.shape[1:])
        result.residual[left] = residual[left] - chosen.apply(result.correction[left])
        count(products=len(left), vectors=len(left) * products.size)
        result.products[left] += 1
        result.solved[left] = True
    return result


def _solve_small(small: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve the projected systems; a singular one is solved in the least-squares sense."""
    # an absent direction has a zero row and column: a unit diagonal keeps its coefficient at 0
    diagonal = np.einsum("bii->bi", small)
    absent = (np.abs(small).max(axis=2) == 0.0) & (np.abs(small).max(axis=1) == 0.0)
    diagonal[absent] = 1.0
    try:
        return np.linalg.solve(small, right[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        return np.stack([np.linalg.lstsq(a, b, rcond=None)[0] for a, b in zip(small, right)])
