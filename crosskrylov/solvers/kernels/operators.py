"""The five-point operator of a batch as one banded matrix: the fastest product on a CPU."""

import numpy as np
import scipy.sparse as sp

from crosskrylov.equation.stencil import FivePointStencil
from crosskrylov.solvers.kernels.work import count

# Elements of one array in a block of work: 512 KiB of float64, so that a block stays in the cache.
BLOCK_ELEMENTS = 2**16


class BandedOperator:
    """A x for the active systems of a batch, as one product with a five-diagonal SciPy matrix.

    All systems together form one block-diagonal matrix whose five bands are contiguous, and SciPy
    multiplies it in one pass per band without intermediate arrays: half the time of shifted slices.
    Coefficients of neighbours outside the image are never read.

    Parameters
    ----------
    matrix : FivePointStencil
        NumPy coefficients of shape (B, H, W).
    """

    def __init__(self, matrix: FivePointStencil):
        n_systems, height, width = matrix.shape
        # SciPy stores a band by column: entry j of band k is A[j - k, j]
        bands = np.zeros((5, n_systems, height, width))
        bands[0] = matrix.center
        bands[1, ..., :-1, :] = matrix.north[..., 1:, :]
        bands[2, ..., 1:, :] = matrix.south[..., :-1, :]
        bands[3, ..., :, :-1] = matrix.west[..., :, 1:]
        bands[4, ..., :, 1:] = matrix.east[..., :, :-1]
        self._bands = bands.reshape(5, n_systems, height * width)
        self._offsets = np.array([0, -width, width, -1, 1])
        self._active, self._matrix = None, None

    def _assemble(self, bands):
        size = bands.shape[1] * bands.shape[2]
        return sp.dia_array((bands.reshape(5, size), self._offsets), shape=(size, size))

    def __call__(self, fields: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Return A x for the systems at the positions ``active``, shape (b, H, W)."""
        if active is not self._active:
            self._active = active
            everyone = len(active) == self._bands.shape[1]
            bands = self._bands if everyone else np.take(self._bands, active, axis=1)
            self._matrix = self._assemble(bands)
        count(products=len(fields))
        return (self._matrix @ fields.ravel()).reshape(fields.shape)
