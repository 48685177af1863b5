"""Families of similar sparse systems: the project's equation, and three from the literature.

Each function takes a parameter that sets how far the members lie apart, and returns the systems of
independent random fields on the unit square; the same seed gives the same bits.  All have
homogeneous Dirichlet boundaries, n x n inner nodes and spacing h = 1 / (n + 1), the equation of the
project aside (h = 1 / (n - 1), docs/method.md).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from crosskrylov.datasets.loading import load_images
from crosskrylov.equation.density import initial_log_density
from crosskrylov.equation.stencil import FivePointStencil
from crosskrylov.errors import DataError
from crosskrylov.scores.march_options import MarchOptions
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.bank import build_bank

#: Correlation length of the random fields, in units of the domain's side.
CORRELATION_LENGTH = 0.1
#: Standard deviation of the logarithm of the permeability that all members share.
DARCY_CONTRAST = 1.0
#: Root mean square of the velocity that all members share, in units of the diffusion coefficient.
VELOCITY = 40.0
#: Wave number of the homogeneous medium, and the share by which its index varies for all members.
WAVE_NUMBER = 20.0
INDEX_CONTRAST = 0.1


@dataclass(frozen=True)
class Family:
    """Systems A_i x_i = b_i, i = 1 ... N.

    Attributes
    ----------
    matrices : list of csr_array, shape (n, n) each
    rhs : ndarray, shape (N, n)
    """

    matrices: list
    rhs: np.ndarray


def gaussian_fields(
    n_fields: int, shape: tuple[int, int], spacing: float, length: float, rng
) -> np.ndarray:
    """Return smooth Gaussian random fields, shape (n_fields, *shape), variance 1, mean 0.

    White noise on a periodic grid, larger than the wanted one by six correlation lengths, filtered
    so that the covariance at distance r is exp(-r^2 / (2 length^2)); the wanted part is cut out.
    """
    margin = int(np.ceil(6 * length / spacing))
    height, width = shape[0] + margin, shape[1] + margin
    square = (
        np.fft.fftfreq(height, spacing)[:, None] ** 2 + np.fft.rfftfreq(width, spacing)[None] ** 2
    )
    filtered = np.exp(-((np.pi * length) ** 2) * square)
    # the filter is the square root of the spectrum; its kernel's 2-norm gives the variance
    kernel = np.fft.irfft2(filtered, s=(height, width))
    filtered /= np.linalg.norm(kernel)
    noise = rng.standard_normal((n_fields, height, width))
    fields = np.fft.irfft2(np.fft.rfft2(noise) * filtered, s=(height, width))
    return fields[:, : shape[0], : shape[1]]


def darcy_matrices(permeability: np.ndarray) -> list:
    """Return -div(k grad u) for permeabilities at the nodes, border nodes included.

    Finite volumes; the permeability of a face is the harmonic mean of its two nodes, so that the
    matrices are symmetric and positive definite wherever k > 0.

    Parameters
    ----------
    permeability : ndarray, shape (N, n + 2, n + 2)
    """
    k = permeability
    scale = (k.shape[-1] - 1) ** 2
    rows = 2 * scale * k[:, 1:] * k[:, :-1] / (k[:, 1:] + k[:, :-1])
    cols = 2 * scale * k[:, :, 1:] * k[:, :, :-1] / (k[:, :, 1:] + k[:, :, :-1])
    north, south = rows[:, :-1, 1:-1], rows[:, 1:, 1:-1]
    west, east = cols[:, 1:-1, :-1], cols[:, 1:-1, 1:]
    return _matrices(north + south + west + east, -north, -south, -west, -east)


def convection_diffusion_matrices(velocity: np.ndarray) -> list:
    """Return -Laplacian u + v . grad u, central differences, for velocities at the inner nodes.

    Parameters
    ----------
    velocity : ndarray, shape (N, 2, n, n)
        Along rows and columns, in units of the diffusion coefficient.
    """
    inverse = velocity.shape[-1] + 1  # 1 / h
    v_row, v_col = 0.5 * inverse * velocity[:, 0], 0.5 * inverse * velocity[:, 1]
    one = np.full_like(v_row, float(inverse**2))
    return _matrices(4 * one, -one - v_row, -one + v_row, -one - v_col, -one + v_col)


def helmholtz_matrices(index: np.ndarray, wave_number: float = WAVE_NUMBER) -> list:
    """Return -Laplacian u - (k n)^2 u for refractive indices n at the inner nodes.

    Symmetric, and indefinite once (k n)^2 exceeds the smallest eigenvalue of -Laplacian, 2 pi^2.

    Parameters
    ----------
    index : ndarray, shape (N, n, n)
    wave_number : float
        k, per side of the domain.
    """
    one = np.full_like(index, float((index.shape[-1] + 1) ** 2))
    return _matrices(4 * one - (wave_number * index) ** 2, *[-one] * 4)


def _matrices(*coefficients) -> list:
    """Return CSR matrices of one pattern from coefficients (N, n, n); none reaches outside."""
    center, north, south, west, east = (np.array(c, dtype=np.float64) for c in coefficients)
    north[:, 0] = south[:, -1] = west[:, :, 0] = east[:, :, -1] = 0.0
    stencil = FivePointStencil(center, north, south, west, east)
    return [stencil.take(i).to_csr() for i in range(len(center))]


# --- families by name: (fields, size, parameter, seed) to systems ---------------------------------


def equation(n_fields: int, size: int, time_step: float, seed: int) -> Family:
    """Return the first step of the project's equation for photographs; the parameter is dt.

    The systems of the last Picard iteration of that step, for the correction of the initial
    log-density: A d = b - A m, so that a start from zero is the start from the step before.
    """
    images = load_images("photos", size, n_fields, seed=seed).images
    bank = build_bank(
        {"final_time": time_step, "time_steps": 1},
        initial_log_density(images),
        [1],
        make_solver("transform_bicgstab"),
        MarchOptions(tolerance=1e-10),
    )
    stencil = bank.matrix.take(0)
    rhs = bank.rhs[0] - stencil.apply(bank.previous[0])
    return Family(
        [stencil.take(i).to_csr() for i in range(n_fields)], rhs.reshape(n_fields, -1)
    )  # fmt: skip


def darcy(n_fields: int, size: int, perturbation: float, seed: int) -> Family:
    """Return Darcy flow with log k = base + perturbation g_i, source 1; g_i of variance 1."""
    fields = _fields(n_fields + 1, size + 2, seed)
    log_k = DARCY_CONTRAST * fields[0] + perturbation * fields[1:]
    return Family(darcy_matrices(np.exp(log_k)), np.ones((n_fields, size**2)))


def convection_diffusion(n_fields: int, size: int, perturbation: float, seed: int) -> Family:
    """Return convection-diffusion with v = base + perturbation v_i, source 1.

    The velocities are curls of random stream functions, of root mean square `VELOCITY` for base and
    for v_i.
    """
    stream, h = _fields(n_fields + 1, size + 2, seed), 1 / (size + 1)
    velocity = np.stack(
        [stream[:, 1:-1, 2:] - stream[:, 1:-1, :-2], stream[:, :-2, 1:-1] - stream[:, 2:, 1:-1]],
        axis=1,
    ) / (2 * h)
    size_of = np.sqrt((velocity**2).sum(axis=1).mean(axis=(1, 2)))
    velocity *= VELOCITY / size_of[:, None, None, None]
    matrices = convection_diffusion_matrices(velocity[:1] + perturbation * velocity[1:])
    return Family(matrices, np.ones((n_fields, size**2)))


def helmholtz(n_fields: int, size: int, perturbation: float, seed: int) -> Family:
    """Return Helmholtz with index 1 + INDEX_CONTRAST (base + perturbation g_i), a point source."""
    fields = _fields(n_fields + 1, size, seed)
    index = 1 + INDEX_CONTRAST * (fields[0] + perturbation * fields[1:])
    nodes = np.arange(1, size + 1) / (size + 1)
    distance = (nodes[:, None] - 0.3) ** 2 + (nodes[None] - 0.4) ** 2
    source = np.exp(-distance / (2 * 0.03**2)).ravel()
    return Family(helmholtz_matrices(index), np.tile(source, (n_fields, 1)))


def _fields(n_fields, n_nodes, seed):
    rng = np.random.default_rng(seed)
    return gaussian_fields(
        n_fields, (n_nodes, n_nodes), 1 / (n_nodes - 1), CORRELATION_LENGTH, rng
    )  # fmt: skip


FAMILIES: dict[str, Callable[[int, int, float, int], Family]] = {
    "equation": equation,
    "darcy": darcy,
    "convection_diffusion": convection_diffusion,
    "helmholtz": helmholtz,
}


# --- what is said of a family ---------------------------------------------------------------------


def distance_to_mean(matrices, n_members: int = 6) -> float:
    """Return delta, the mean of the 2-norms of (A_i - M) M^-1, M the mean matrix (Eq. 22d).

    Below 1 it bounds what the LU of the mean leaves to a Krylov method: GMRES preconditioned by it
    reduces the residual of A_i by the factor ||(A_i - M) M^-1|| in every iteration at least.

    Parameters
    ----------
    matrices : list of csr_array
    n_members : int
        The norm is taken of so many of them, evenly spaced.

    Raises
    ------
    DataError
        If the mean matrix is singular.
    """
    mean = sum(matrices[1:], matrices[0]) / len(matrices)
    inverse = _inverse(mean)
    places = np.linspace(0, len(matrices) - 1, min(n_members, len(matrices))).round().astype(int)
    return float(np.mean([_norm((matrices[i] - mean), inverse) for i in places]))


def similarity(matrices) -> float:
    """Return 1 / (1 + delta), between 0 and 1; 1 for equal matrices (Eq. 22d)."""
    return 1.0 / (1.0 + distance_to_mean(matrices))


def condition_number(matrix) -> float:
    """Return the 2-norm condition number by Lanczos on A and on its factored inverse."""
    identity = sp.eye_array(matrix.shape[0], format="csr")
    return _norm(matrix, spla.aslinearoperator(identity)) * _norm(identity, _inverse(matrix))


def _inverse(matrix) -> spla.LinearOperator:
    try:
        factors = spla.splu(sp.csc_array(matrix), permc_spec="MMD_AT_PLUS_A")
    except RuntimeError as error:
        raise DataError(
            "A matrix of a family, or their mean, is singular; choose another parameter."
        ) from error
    return spla.LinearOperator(
        matrix.shape,
        matvec=factors.solve,
        rmatvec=lambda v: factors.solve(v, trans="T"),
        dtype=np.float64,
    )


def _norm(matrix, inverse) -> float:
    """Return the 2-norm of a matrix times an operator to three digits."""
    start = np.random.default_rng(0).standard_normal(matrix.shape[0])
    product = spla.aslinearoperator(matrix) @ inverse
    if matrix.nnz == 0 or not np.abs(matrix.data).max():
        return 0.0
    return float(spla.svds(product, 1, tol=1e-3, v0=start, return_singular_vectors=False)[0])
