"""The five-point operator of a batch of images as coefficient arrays: build, apply, convert.

Every function works on NumPy arrays and on torch tensors (any device) alike; leading axes are a
batch.  The first spatial axis is the row, ``north`` the neighbour above (row - 1), ``west`` the
neighbour to the left (column - 1).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from array_api_compat import array_namespace

from crosskrylov.errors import ShapeError

Array = Any  # numpy.ndarray or torch.Tensor
Boundary = Literal["zero_padding", "reflecting"]
BorderGradient = Literal["one_sided", "ghost"]
BOUNDARIES = ("zero_padding", "reflecting")


def gradient(field: Array, spacing: float) -> tuple[Array, Array]:
    """Return the gradient: central differences, one-sided at the border (Eq. 5).

    Parameters
    ----------
    field : array, shape (..., H, W)
        Values at the grid nodes, for instance a log-density in nats; H and W at least 2.
    spacing : float
        Grid spacing h.

    Returns
    -------
    d_row, d_col : arrays, shape (..., H, W)
        Derivatives along rows (first spatial axis) and columns.
    """
    if field.shape[-1] < 2 or field.shape[-2] < 2:
        raise ShapeError(
            f"A gradient needs at least 2 x 2 nodes; the field has shape {tuple(field.shape)}."
        )
    d_row, d_col = 0 * field, 0 * field
    half = 0.5 / spacing
    d_row[..., 1:-1, :] = (field[..., 2:, :] - field[..., :-2, :]) * half
    d_row[..., 0, :] = (field[..., 1, :] - field[..., 0, :]) / spacing
    d_row[..., -1, :] = (field[..., -1, :] - field[..., -2, :]) / spacing
    d_col[..., :, 1:-1] = (field[..., :, 2:] - field[..., :, :-2]) * half
    d_col[..., :, 0] = (field[..., :, 1] - field[..., :, 0]) / spacing
    d_col[..., :, -1] = (field[..., :, -1] - field[..., :, -2]) / spacing
    return d_row, d_col


def score(log_density: Array, spacing: float) -> Array:
    """Return the score, the gradient of the log-density: (..., H, W) to (..., 2, H, W) (Eq. 5)."""
    xp = array_namespace(log_density)
    return xp.stack(gradient(log_density, spacing), axis=-3)


def ghost_gradient(field: Array, spacing: float, boundary: Boundary) -> tuple[Array, Array]:
    """Return central differences everywhere, with ghost nodes outside the image (Eq. 6).

    The ghost value is 0 under zero padding and the border value itself under reflection; this is
    the gradient that the advective part of the five-point operator applies to its unknown.
    """
    half = 0.5 / spacing
    d_row, d_col = 0 * field, 0 * field
    d_row[..., :-1, :] += field[..., 1:, :] * half
    d_row[..., 1:, :] -= field[..., :-1, :] * half
    d_col[..., :, :-1] += field[..., :, 1:] * half
    d_col[..., :, 1:] -= field[..., :, :-1] * half
    if boundary == "reflecting":
        d_row[..., -1, :] += field[..., -1, :] * half
        d_row[..., 0, :] -= field[..., 0, :] * half
        d_col[..., :, -1] += field[..., :, -1] * half
        d_col[..., :, 0] -= field[..., :, 0] * half
    return d_row, d_col


def coefficient_gradient(
    field: Array, spacing: float, boundary: Boundary, border_gradient: BorderGradient
) -> tuple[Array, Array]:
    """Return the gradient of the frozen iterate as it enters the coefficients (Eq. 3)."""
    if border_gradient == "ghost":
        return ghost_gradient(field, spacing, boundary)
    return gradient(field, spacing)


@dataclass(frozen=True)
class FivePointStencil:
    """Five-point matrices of a batch of images, stored as coefficient arrays.

    Row (i, j) of the matrix reads ``center[i,j] x[i,j] + north[i,j] x[i-1,j] + south[i,j] x[i+1,j]
    + west[i,j] x[i,j-1] + east[i,j] x[i,j+1]``; coefficients of neighbours outside the image are 0.

    Attributes
    ----------
    center, north, south, west, east : arrays, shape (..., H, W)
        Coefficients in 1/time units.
    """

    center: Array
    north: Array
    south: Array
    west: Array
    east: Array

    NAMES = ("center", "north", "south", "west", "east")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (..., H, W) of the unknowns."""
        return tuple(self.center.shape)

    @property
    def n_unknowns(self) -> int:
        """Number of unknowns H * W of one system."""
        return self.shape[-2] * self.shape[-1]

    def arrays(self) -> tuple[Array, ...]:
        """Return the five coefficient arrays in the order of ``NAMES``."""
        return tuple(getattr(self, name) for name in self.NAMES)

    def take(self, index) -> "FivePointStencil":
        """Return the systems selected by ``index`` along the first batch axis."""
        return FivePointStencil(*(a[index] for a in self.arrays()))

    def mean(self) -> "FivePointStencil":
        """Return the mean of the systems along the first batch axis."""
        return FivePointStencil(*(a.mean(axis=0) for a in self.arrays()))

    def apply(self, field: Array) -> Array:
        """Return A x for every system; ``field`` has shape (..., H, W) or broadcasts to it."""
        out = self.center * field
        out[..., 1:, :] += self.north[..., 1:, :] * field[..., :-1, :]
        out[..., :-1, :] += self.south[..., :-1, :] * field[..., 1:, :]
        out[..., :, 1:] += self.west[..., :, 1:] * field[..., :, :-1]
        out[..., :, :-1] += self.east[..., :, :-1] * field[..., :, 1:]
        return out

    def to_csr(self) -> sp.csr_array:
        """Return the matrix of a single system (NumPy, shape (H, W)) in CSR format.

        The sparsity pattern is computed once per image size and shared, so that a conversion costs
        one gather.
        """
        if len(self.shape) != 2:
            raise ShapeError(f"to_csr takes one system, but the batch has shape {self.shape}.")
        indptr, indices, gather = _csr_pattern(*self.shape)
        data = np.stack([np.asarray(a, dtype=np.float64) for a in self.arrays()]).ravel()[gather]
        n = self.n_unknowns
        matrix = sp.csr_array((data, indices.copy(), indptr.copy()), shape=(n, n))
        matrix.has_sorted_indices = True
        return matrix


@lru_cache(maxsize=16)
def _csr_pattern(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (indptr, indices, gather): the CSR pattern and where each entry's value comes from."""
    node = np.arange(height * width, dtype=np.int32).reshape(height, width)
    i, j = np.divmod(node, width)
    # columns in ascending order: north, west, center, east, south; position in NAMES order
    order = [(1, -width, i > 0), (3, -1, j > 0), (0, 0, node >= 0), (4, 1, j < width - 1)]
    order.append((2, width, i < height - 1))
    inside = np.stack([m.ravel() for _, _, m in order], axis=1)
    columns = np.stack([(node + shift).ravel() for _, shift, _ in order], axis=1)
    source = np.stack([node.ravel() + p * node.size for p, _, _ in order], axis=1)
    indptr = np.concatenate([[0], np.cumsum(inside.sum(axis=1))]).astype(np.int32)
    return indptr, columns[inside].astype(np.int32), source[inside]


def five_point_stencil(
    center: Array, v_row: Array, v_col: Array, half_g2: float, spacing: float, boundary: Boundary
) -> FivePointStencil:
    """Return the stencil of ``center_term - half_g2 Laplacian + v . gradient`` (Eq. 4).

    Parameters
    ----------
    center : float or array, shape (..., H, W)
        Coefficient of the unknown itself without the Laplacian's share, e.g. 1/dt.
    v_row, v_col : arrays, shape (..., H, W)
        Advective coefficients ``f - half_g2 grad m`` along rows and columns.
    half_g2 : float
        Half the squared diffusion coefficient, g(t)^2 / 2.
    spacing : float
        Grid spacing h.
    boundary : {"zero_padding", "reflecting"}
        Zero padding drops the neighbours outside; reflection adds their coefficients to the center.
    """
    diffusion = half_g2 / spacing**2
    v_row, v_col = v_row * (0.5 / spacing), v_col * (0.5 / spacing)
    north, south = -diffusion - v_row, -diffusion + v_row
    west, east = -diffusion - v_col, -diffusion + v_col
    center = center + 4.0 * diffusion + 0 * v_row
    if boundary == "reflecting":
        center[..., 0, :] += north[..., 0, :]
        center[..., -1, :] += south[..., -1, :]
        center[..., :, 0] += west[..., :, 0]
        center[..., :, -1] += east[..., :, -1]
    north[..., 0, :] = 0.0
    south[..., -1, :] = 0.0
    west[..., :, 0] = 0.0
    east[..., :, -1] = 0.0
    return FivePointStencil(center, north, south, west, east)
