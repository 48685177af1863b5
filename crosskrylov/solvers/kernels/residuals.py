"""Norms and true residuals of batches of fields, on NumPy arrays and torch tensors alike."""

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from crosskrylov.equation.stencil import FivePointStencil

Array = Any


def dots(a: Array, b: Array) -> Array:
    """Return the inner products of two batches of fields (B, H, W), shape (B,)."""
    if isinstance(a, np.ndarray):  # BLAS, without an array of products: a third of the time
        return np.vecdot(_flat(a), _flat(b))
    xp = array_namespace(a)
    return xp.sum(a * b, axis=(-2, -1))


def norms(fields: Array) -> Array:
    """Return the 2-norm of every field of a batch (B, H, W), shape (B,)."""
    if isinstance(fields, np.ndarray):
        return np.sqrt(dots(fields, fields))
    xp = array_namespace(fields)
    return xp.linalg.vector_norm(_flat(fields), axis=-1)  # half the time of `dots` in torch


def _flat(fields: Array) -> Array:
    *batch, height, width = fields.shape
    return fields.reshape((*batch, height * width))


def relative_residuals(matrix: FivePointStencil, rhs: Array, x: Array) -> np.ndarray:
    """Return the true residuals ``||b - A x||_2 / ||b||_2``, recomputed, as float64 (B,).

    A zero right-hand side counts as solved by x = 0 (residual 0) and by nothing else (inf).
    """
    residual = to_numpy(norms(rhs - matrix.apply(x)))
    scale = to_numpy(norms(rhs))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = residual / scale
    return np.where(scale == 0, np.where(residual == 0, 0.0, np.inf), relative)


def to_numpy(a: Array) -> np.ndarray:
    """Return an array of any namespace and device as NumPy, on the host."""
    return a.detach().cpu().numpy() if hasattr(a, "detach") else np.asarray(a)  # or a scalar
