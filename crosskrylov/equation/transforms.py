"""Sine and cosine transforms that diagonalise the five-point Laplacian (Eqs. 12-14)."""

from functools import lru_cache
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from crosskrylov.equation.problem import FokkerPlanckProblem
from crosskrylov.equation.stencil import Boundary

Array = Any


def laplacian_eigenvalues(n_nodes: int, spacing: float, boundary: Boundary) -> np.ndarray:
    """Return the eigenvalues of the 1-D second difference, shape (n_nodes,), all <= 0 (Eq. 12).

    Zero padding: sine transform of type I, -(2 - 2 cos(pi k / (n + 1))) / h^2 for k = 1..n.
    Reflection: cosine transform of type II, -(2 - 2 cos(pi k / n)) / h^2 for k = 0..n-1.
    """
    if boundary == "zero_padding":
        angle = np.pi * np.arange(1, n_nodes + 1) / (n_nodes + 1)
    else:
        angle = np.pi * np.arange(n_nodes) / n_nodes
    return -(2.0 - 2.0 * np.cos(angle)) / spacing**2


def laplacian_symbol(height: int, width: int, spacing: float, boundary: Boundary) -> np.ndarray:
    """Return the eigenvalues lambda_i + lambda_j of the five-point Laplacian, shape (H, W)."""
    rows, cols = (laplacian_eigenvalues(n, spacing, boundary) for n in (height, width))
    return rows[:, None] + cols[None, :]


@lru_cache(maxsize=16)
def transform_matrix(n_nodes: int, boundary: Boundary) -> np.ndarray:
    """Return the orthonormal eigenvectors as columns, shape (n_nodes, n_nodes) (Eq. 13)."""
    node = np.arange(n_nodes)
    if boundary == "zero_padding":
        phase = np.pi * np.outer(node + 1, node + 1) / (n_nodes + 1)
        matrix = np.sqrt(2.0 / (n_nodes + 1)) * np.sin(phase)
    else:
        matrix = np.sqrt(2.0 / n_nodes) * np.cos(np.pi * np.outer(node + 0.5, node) / n_nodes)
        matrix[:, 0] /= np.sqrt(2.0)
    matrix.setflags(write=False)
    return matrix


class TransformPreconditioner:
    """Fast inverse of the constant-coefficient part ``1/dt - half_g2 Laplacian`` (Eq. 14).

    It does not depend on the image: the advective part, the only one that does, is left out. Each
    application costs two dense products per axis, which on images up to 256 x 256 beats a fast
    transform because it is one matrix product over the whole batch.

    Parameters
    ----------
    height, width : int
        Image size in pixels.
    spacing, time_step, half_g2 : float
        Grid spacing h, time step dt and g(t)^2 / 2.
    boundary : {"zero_padding", "reflecting"}
        Selects the sine or the cosine transform.
    like : array, optional
        Array whose namespace, dtype and device the work is done in (default: NumPy, float64).

    Attributes
    ----------
    rows, cols, rows_t, cols_t : arrays, shapes (H, H) and (W, W)
        The orthonormal transforms along both axes, and their transposes.
    inverse_symbol : array, shape (H, W)
        Eigenvalues of the inverse.
    """

    def __init__(
        self,
        height: int,
        width: int,
        spacing: float,
        time_step: float,
        half_g2: float,
        boundary: Boundary,
        like: Array | None = None,
    ):
        like = np.empty(0) if like is None else like
        xp = array_namespace(like)

        def convert(a):
            # copied into memory of the namespace's own: torch multiplies aligned arrays faster
            return xp.asarray(np.array(a), dtype=like.dtype, device=device(like), copy=True)

        symbol = 1.0 / time_step - half_g2 * laplacian_symbol(height, width, spacing, boundary)
        self.rows = convert(transform_matrix(height, boundary))
        self.cols = convert(transform_matrix(width, boundary))
        self.rows_t = convert(np.ascontiguousarray(transform_matrix(height, boundary).T))
        self.cols_t = convert(np.ascontiguousarray(transform_matrix(width, boundary).T))
        self.inverse_symbol = convert(1.0 / symbol)

    @classmethod
    def of_step(
        cls, problem: FokkerPlanckProblem, step: int, like: Array | None = None
    ) -> "TransformPreconditioner":
        """Return the preconditioner of a problem's time step."""
        return cls(
            problem.height,
            problem.width,
            problem.spacing,
            problem.time_step,
            problem.half_g2(step),
            problem.boundary,
            like,
        )

    def __call__(self, residual: Array, active: np.ndarray | None = None) -> Array:
        """Return the preconditioned residual; shape (..., H, W) is kept.

        ``active`` (the systems' positions, as batched Krylov kernels pass them) makes no
        difference: the preconditioner is the same for every image.
        """
        del active
        spectrum = (self.rows_t @ residual) @ self.cols
        return (self.rows @ (spectrum * self.inverse_symbol)) @ self.cols_t


class TransformCache:
    """The preconditioner (Eq. 14) of the step at hand, kept while what makes it stays.

    Solvers hold one each: while g is constant a whole march needs a single preconditioner.
    """

    def __init__(self):
        self._key = self._preconditioner = None

    def get(self, problem: FokkerPlanckProblem, step: int, like: Array) -> TransformPreconditioner:
        """Return the preconditioner for a problem's step, for arrays of the kind of ``like``."""
        key = (problem.height, problem.width, problem.spacing, problem.time_step, problem.boundary)
        key += (problem.half_g2(step), type(like), like.dtype, str(device(like)))
        if key != self._key:
            self._preconditioner = TransformPreconditioner.of_step(problem, step, like)
            self._key = key
        return self._preconditioner
