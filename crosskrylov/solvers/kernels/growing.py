"""The Krylov space of one system, grown until that system has converged (Eqs. 16 and 21b)."""

import math
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from crosskrylov.equation.stencil import FivePointStencil
from crosskrylov.solvers.kernels.operators import BandedOperator
from crosskrylov.solvers.kernels.work import count

# What is left of a vector at the level of rounding: the space is exhausted.
_EXHAUSTED = 1e-12


@dataclass(frozen=True)
class SeedSpace:
    """A seed's Krylov space, grown until its own system has converged.

    Attributes
    ----------
    basis, image : ndarrays, shape (m, H, W)
        Orthonormal fields V of K_m(A_s, r_s) and their products A_s V.
    correction : ndarray, shape (H, W)
        V y, what the seed's solution gains.
    """

    basis: np.ndarray
    image: np.ndarray
    correction: np.ndarray


def grow_space(
    matrix: FivePointStencil,
    residual: np.ndarray,
    goal: float,
    max_dimension: int,
    projection: str = "galerkin",
) -> SeedSpace:
    """Grow K_m(A_s, r_s) until the seed's residual is at most ``goal`` (Eqs. 16 and 21b).

    Arnoldi's method with classical Gram-Schmidt, done twice.  The residual after m steps follows
    from the row z with z H = 0 and z_1 = 1: it is ||r_s|| / |z_(m+1)| in the full orthogonalisation
    method ("galerkin") and ||r_s|| / ||z|| in GMRES ("least_squares").  Cost: m products with A_s
    and 8 m^2 HW operations.

    Parameters
    ----------
    matrix : FivePointStencil
        Coefficients of shape (1, H, W).
    residual : ndarray, shape (H, W)
        r_s; zero or not finite gives a space without dimension.
    goal : float
        2-norm to reach.
    max_dimension : int
        Largest m; an exhausted space ends earlier.
    projection : {"galerkin", "least_squares"}
    """
    shape, n = residual.shape, residual.size
    beta = float(np.linalg.norm(residual))
    limit = min(max_dimension, n) if np.isfinite(beta) and beta > 0.0 else 0
    vectors, images = np.empty((limit + 1, n)), np.empty((limit, n))
    hessenberg, z = np.zeros((limit + 1, limit)), np.zeros(limit + 1)
    z[0] = 1.0
    apply, alone = BandedOperator(matrix), np.zeros(1, dtype=int)
    vectors[:1] = residual.ravel() / beta if limit else 0.0
    size, best, best_size = 0, np.inf, 0
    while size < limit:
        w = apply(vectors[size].reshape(1, *shape), alone).ravel()
        images[size] = w
        before = math.sqrt(w @ w)
        known = vectors[: size + 1]
        count(vectors=4 * (size + 1))
        for _ in range(2):
            h = known @ w
            w = w - h @ known
            hessenberg[: size + 1, size] += h
        left = math.sqrt(w @ w)
        if not left > _EXHAUSTED * before:  # the solution lies in this space, or there is none
            size += 1
            best_size = size
            break
        hessenberg[size + 1, size] = left
        z[size + 1] = -(z[: size + 1] @ hessenberg[: size + 1, size]) / left
        vectors[size + 1] = w / left
        size += 1
        length = abs(z[size]) if projection == "galerkin" else np.linalg.norm(z[: size + 1])
        reached = beta / length if length > 0.0 else np.inf
        if reached < best:
            best, best_size = reached, size
        if reached <= goal:
            break
    y = _small_solution(hessenberg, beta, best_size, projection)
    return SeedSpace(
        vectors[:size].reshape(size, *shape),
        images[:size].reshape(size, *shape),
        (y @ vectors[:best_size]).reshape(shape),
    )


def _small_solution(hessenberg, beta, size, projection):
    """Return the coefficients of the seed's own system in its space."""
    right = np.zeros(size + 1)
    right[0] = beta
    if projection == "galerkin":
        with suppress(np.linalg.LinAlgError):  # singular: only least squares have a solution
            return np.linalg.solve(hessenberg[:size, :size], right[:size])
    return np.linalg.lstsq(hessenberg[: size + 1, :size], right, rcond=None)[0]
