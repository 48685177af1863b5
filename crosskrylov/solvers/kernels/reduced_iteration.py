"""Galerkin projection of many targets without forming their small matrices (Eqs. 17 and 21a).

V'A_t V costs 2 m^2 HW operations per target, which for the joint space of several seeds is more
than all that it saves.  The matrices of the small systems differ little from the reference's
V'A_s V, so that an iteration with the inverse of that one matrix solves those of all targets.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crosskrylov.solvers.kernels.work import count

#: A system whose projected residual falls by less than this factor is left to the direct way.
_SLOW = 0.5
_MOST = 60
PRECISIONS = ("float64", "float32")


@dataclass(frozen=True)
class ReducedProjection:
    """Corrections of a batch of starts.

    Attributes
    ----------
    correction, residual : ndarrays, shape (B, H, W)
        V y, and the true residual after it (the residual passed, where it was not solved).
    products : ndarray of int, shape (B,)
        Products with A_t.
    solved : ndarray of bool, shape (B,)
        False where the iteration was too slow.
    """

    correction: np.ndarray
    residual: np.ndarray
    products: np.ndarray
    solved: np.ndarray


class ReducedSpace:
    """A basis V and the inverse of a reference's V'A_s V.

    Parameters
    ----------
    flat, image : ndarrays, shape (m, H W)
        Orthonormal rows V and the products A_s V; m at least 1.
    precision : {"float64", "float32"}
        Of the products with V.  Residuals are taken in float64 whatever it is.

    Raises
    ------
    numpy.linalg.LinAlgError
        If V'A_s V is singular.
    """

    def __init__(self, flat: np.ndarray, image: np.ndarray, precision: str = "float64"):
        inverse = np.linalg.inv(flat @ image.T)
        count(vectors=len(flat) ** 2)
        self._flat = np.ascontiguousarray(flat, dtype=precision)
        self._inverse = np.ascontiguousarray(inverse.T, dtype=precision)

    def project(
        self,
        apply: Callable[[np.ndarray], np.ndarray],
        residual: np.ndarray,
        tolerance: float,
    ) -> ReducedProjection:
        """Return corrections V y whose residuals are nearly orthogonal to V (Eq. 21a).

        y <- y + (V'A_s V)^-1 V'r goes on until ||V'r|| <= tolerance ||r||.  The residual then
        differs from that of the exact projection by at most kappa tolerance ||r||, with
        kappa = ||A_t V (V'A_t V)^-1||.  Cost per target and iteration: 4 m HW operations in two
        products of matrices over all targets, and a product with A_t.

        Parameters
        ----------
        apply : callable
            A x of the whole batch, (B, H, W) to (B, H, W).
        residual : ndarray, shape (B, H, W)
        tolerance : float
        """
        n_systems, shape = len(residual), residual.shape
        start = r = residual.reshape(n_systems, -1)
        correction = np.zeros_like(r)
        products = np.zeros(n_systems, dtype=int)
        failed = np.zeros(n_systems, dtype=bool)
        # single precision sees no orthogonality finer than its rounding
        least = max(tolerance, 10.0 * float(np.finfo(self._flat.dtype).eps))
        before = np.full(n_systems, np.inf)
        for _ in range(_MOST):
            projected = r.astype(self._flat.dtype, copy=False) @ self._flat.T
            count(vectors=n_systems * len(self._flat))
            size = np.linalg.norm(projected, axis=1)
            moving = ~failed & ~(size <= least * np.linalg.norm(r, axis=1))
            failed |= moving & ~(size <= _SLOW * before)
            moving &= ~failed
            if not moving.any():
                break
            before = size
            projected[~moving] = 0.0
            step = ((projected @ self._inverse) @ self._flat).astype(r.dtype, copy=False)
            count(vectors=n_systems * len(self._flat))
            correction += step
            r = r - apply(step.reshape(shape)).reshape(r.shape)
            products += moving
        correction[failed] = 0.0
        if failed.any():
            r[failed] = start[failed]
        return ReducedProjection(correction.reshape(shape), r.reshape(shape), products, ~failed)
