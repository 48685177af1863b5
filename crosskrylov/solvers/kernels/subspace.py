"""Subspaces of seed systems and projections of target systems onto them (Eqs. 16-20).

Pure functions on NumPy arrays, without state and without refinement: the solvers build on them, and
the studies measure with them what a projection alone achieves.  A basis has shape (m, H, W), one
orthonormal field per row.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from crosskrylov.equation.stencil import FivePointStencil
from crosskrylov.errors import ConfigError, ShapeError
from crosskrylov.solvers.kernels.residuals import relative_residuals
from crosskrylov.solvers.kernels.split_products import SplitProducts, projection_coefficients
from crosskrylov.solvers.kernels.work import count


@dataclass(frozen=True)
class KrylovBases:
    """Arnoldi bases of a batch of S systems.

    Attributes
    ----------
    vectors : ndarray, shape (S, m, H, W)
        Orthonormal fields; from position ``sizes[s]`` on they are zero.
    images : ndarray, shape (S, m, H, W)
        Products A_s V, a by-product of the iteration.
    hessenberg : ndarray, shape (S, m + 1, m)
        A_s V_m = V_(m+1) H.
    sizes : ndarray of int, shape (S,)
        Dimension reached: m, or less where the Krylov space is exhausted (happy breakdown).
    """

    vectors: np.ndarray
    images: np.ndarray
    hessenberg: np.ndarray
    sizes: np.ndarray

    def basis(self, position: int) -> np.ndarray:
        """Return the basis of one system without its zero rows, shape (size, H, W)."""
        return self.vectors[position, : self.sizes[position]]


def arnoldi(
    apply: Callable[[np.ndarray], np.ndarray], residuals: np.ndarray, dimension: int
) -> KrylovBases:
    """Build orthonormal bases of K_m(A_s, r_s) for a batch of systems (Eq. 16).

    Classical Gram-Schmidt, done twice, so that the bases stay orthonormal to rounding.  Cost per
    system: m products with A and 4 m^2 H W operations.

    Parameters
    ----------
    apply : callable
        A x of the whole batch, (S, H, W) to (S, H, W).
    residuals : ndarray, shape (S, H, W)
        Residuals r_s that start the bases.
    dimension : int
        Largest dimension m, between 0 and H W.

    Raises
    ------
    ConfigError
        If ``dimension`` does not fit the systems.
    """
    n_systems, height, width = residuals.shape
    n = height * width
    check_dimension(dimension, n)
    flat = residuals.reshape(n_systems, n)
    vectors = np.zeros((n_systems, dimension + 1, n))
    images = np.zeros((n_systems, dimension, n))
    hessenberg = np.zeros((n_systems, dimension + 1, dimension))
    size = np.linalg.norm(flat, axis=1)
    alive = size > 0.0
    vectors[:, 0] = flat * _inverse(size, alive)[:, None]
    sizes = np.zeros(n_systems, dtype=int)
    for k in range(dimension):
        if not alive.any():
            break
        sizes[alive] = k + 1
        w = apply(vectors[:, k].reshape(residuals.shape)).reshape(n_systems, n)
        images[:, k] = w
        before = np.linalg.norm(w, axis=1)
        known = vectors[:, : k + 1]
        count(products=alive.sum(), vectors=4 * (k + 1) * alive.sum())
        for _ in range(2):
            h = np.matmul(known, w[:, :, None])[:, :, 0]
            w = w - np.matmul(h[:, None, :], known)[:, 0]
            hessenberg[:, : k + 1, k] += h
        size = np.linalg.norm(w, axis=1)
        # what is left at the level of rounding means that the space is exhausted
        alive &= size > 1e-12 * before
        hessenberg[:, k + 1, k] = np.where(alive, size, 0.0)
        vectors[:, k + 1] = w * _inverse(size, alive)[:, None]
    for position, reached in enumerate(sizes):
        vectors[position, reached:] = 0.0
    shape = (n_systems, dimension, height, width)
    return KrylovBases(
        vectors[:, :dimension].reshape(shape), images.reshape(shape), hessenberg, sizes
    )


def _inverse(size: np.ndarray, usable: np.ndarray) -> np.ndarray:
    return np.divide(1.0, size, out=np.zeros_like(size), where=usable)


def check_dimension(dimension: int, n_unknowns: int) -> None:
    """Raise ConfigError unless 0 <= dimension <= number of unknowns."""
    if not 0 <= dimension <= n_unknowns:
        raise ConfigError(
            f"The solver option dimension is {dimension}, but a subspace of a system of "
            f"{n_unknowns} unknowns has between 0 and {n_unknowns} dimensions; lower it."
        )


def joint_basis(bases: list[np.ndarray], rank_tolerance: float = 1e-8) -> np.ndarray:
    """Return an orthonormal basis of the sum of several spaces (Eq. 19).

    Pivoted QR of all basis fields side by side reveals the rank: directions whose diagonal entry
    falls below ``rank_tolerance`` times the largest are dropped.  Cost: 2 H W M^2 for M fields.

    Parameters
    ----------
    bases : list of ndarray, shapes (m_s, H, W)
    rank_tolerance : float
        Relative cut-off epsilon.

    Returns
    -------
    ndarray, shape (M', H, W), M' <= sum of m_s
    """
    stacked = np.concatenate(bases)
    shape = stacked.shape[1:]
    if len(stacked) == 0:
        return stacked
    # M (M - 1) / 2 pairs, for R and again for Q, each an inner product and an addition
    count(vectors=2 * len(stacked) * (len(stacked) - 1))
    q, r, _ = scipy.linalg.qr(
        stacked.reshape(len(stacked), -1).T, mode="economic", pivoting=True, check_finite=False
    )
    diagonal = np.abs(np.diag(r))
    rank = int((diagonal > rank_tolerance * diagonal[0]).sum()) if diagonal[0] > 0 else 0
    return np.ascontiguousarray(q[:, :rank].T).reshape(rank, *shape)


def pod_basis(
    snapshots: np.ndarray, dimension: int | None = None, rank_tolerance: float = 1e-7
) -> np.ndarray:
    """Return the leading left singular vectors of the snapshots (Eq. 20).

    Proper orthogonal decomposition by the method of snapshots: the eigenvectors of the small matrix
    of inner products, then one QR to remove what squaring cost in orthogonality.  Cost: H W q^2
    for q snapshots.

    Parameters
    ----------
    snapshots : ndarray, shape (q, H, W)
    dimension : int, optional
        Most vectors to keep; default all of the numerical rank.
    rank_tolerance : float
        Singular values below this fraction of the largest are dropped.

    Returns
    -------
    ndarray, shape (m, H, W), m <= min(dimension, q)
    """
    shape = snapshots.shape[1:]
    flat = snapshots.reshape(len(snapshots), shape[0] * shape[1])
    squares, vectors = np.linalg.eigh(flat @ flat.T)
    keep = squares > max(rank_tolerance, 1e-8) ** 2 * max(squares[-1:], default=0.0)
    keep &= squares > 0.0
    order = np.flatnonzero(keep)[::-1][:dimension]
    if order.size == 0:
        return np.zeros((0, *shape))
    modes = (vectors[:, order] / np.sqrt(squares[order])).T @ flat
    return np.ascontiguousarray(np.linalg.qr(modes.T)[0].T).reshape(len(order), *shape)


@dataclass(frozen=True)
class ProjectionResult:
    """Projected solutions of a batch, before any refinement.

    Attributes
    ----------
    x : ndarray, shape (B, H, W)
    coefficients : ndarray, shape (B, m)
        y of x = x0 + V y.
    relative_residuals, start_residuals : ndarrays, shape (B,)
        True relative residuals of x and of the starting values.
    """

    x: np.ndarray
    coefficients: np.ndarray
    relative_residuals: np.ndarray
    start_residuals: np.ndarray


def galerkin_project(
    matrix: FivePointStencil, rhs: np.ndarray, start: np.ndarray, basis: np.ndarray
) -> ProjectionResult:
    """Project every system onto one basis so that the residual is orthogonal to it (Eq. 17).

    Parameters
    ----------
    matrix : FivePointStencil
        Coefficients of shape (B, H, W).
    rhs, start : ndarrays, shape (B, H, W)
    basis : ndarray, shape (m, H, W)
        Orthonormal fields V.
    """
    return _project(matrix, rhs, start, basis, "galerkin")


def least_squares_project(
    matrix: FivePointStencil, rhs: np.ndarray, start: np.ndarray, basis: np.ndarray
) -> ProjectionResult:
    """Project every system onto one basis so that the residual is least (Eq. 18).

    The residual never exceeds that of the start and never grows when the basis is extended.
    Parameters are those of `galerkin_project`.
    """
    return _project(matrix, rhs, start, basis, "least_squares")


def _project(matrix, rhs, start, basis, kind):
    if matrix.shape != rhs.shape or rhs.shape != start.shape or basis.shape[1:] != rhs.shape[1:]:
        raise ShapeError(
            f"A projection needs matrices, right-hand sides and starts of one shape (B, H, W) and "
            f"a basis (m, H, W); found {matrix.shape}, {rhs.shape}, {start.shape}, {basis.shape}."
        )
    products = SplitProducts(basis, matrix.take(0))
    residual = rhs - matrix.apply(start)
    y = projection_coefficients(products, matrix, residual, kind)
    x = start + (y @ products.flat).reshape(start.shape)
    return ProjectionResult(
        x, y, relative_residuals(matrix, rhs, x), relative_residuals(matrix, rhs, start)
    )
