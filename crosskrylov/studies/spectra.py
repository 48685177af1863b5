"""Residuals in the eigenvectors of P (Eq. 14), and what one Krylov space can do to them.

A *shell* is an eigenspace of P: on a square grid the modes (i, j) and (j, i) at the least.  The
Krylov space of P and r_s holds one vector of every shell, the part of r_s in it (docs/theory.md,
statement 3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from crosskrylov.equation.problem import FokkerPlanckProblem
from crosskrylov.equation.stencil import FivePointStencil, five_point_stencil
from crosskrylov.equation.transforms import laplacian_symbol, transform_matrix
from crosskrylov.errors import ConfigError

#: Eigenvalues closer than this, relative to the largest, are one eigenvalue.
_SAME = 1e-10
#: Seeds' directions in a shell below this, relative to the longest, are rounding.
_RANK = 1e-10


@dataclass(frozen=True)
class Spectrum:
    """The eigenvalues and eigenvectors of P at one time step.

    Attributes
    ----------
    problem : FokkerPlanckProblem
    step : int
        Time step n, from 1.
    """

    problem: FokkerPlanckProblem
    step: int

    @cached_property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues 1/dt - half_g2 (lambda_i + lambda_j), 1/time, shape (H, W), all positive."""
        p = self.problem
        symbol = laplacian_symbol(p.height, p.width, p.spacing, p.boundary)
        return 1.0 / p.time_step - p.half_g2(self.step) * symbol

    @cached_property
    def _transforms(self) -> tuple[np.ndarray, np.ndarray]:
        p = self.problem
        return transform_matrix(p.height, p.boundary), transform_matrix(p.width, p.boundary)

    def coefficients(self, fields: np.ndarray) -> np.ndarray:
        """Return the coefficients of fields (..., H, W) in the orthonormal eigenvectors of P."""
        rows, cols = self._transforms
        return rows.T @ fields @ cols

    def fields(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the fields that have these coefficients."""
        rows, cols = self._transforms
        return rows @ coefficients @ cols.T

    def power(self, fields: np.ndarray, exponent: float) -> np.ndarray:
        """Return P^exponent applied to fields (..., H, W)."""
        return self.fields(self.coefficients(fields) * self.eigenvalues**exponent)

    @cached_property
    def shells(self) -> list[np.ndarray]:
        """Flat mode numbers of all shells of one size: arrays (number of shells, size), by size."""
        values = self.eigenvalues.ravel()
        order = np.argsort(values, kind="stable")
        new = np.diff(values[order]) > _SAME * values.max()
        starts = np.concatenate([[0], np.flatnonzero(new) + 1])
        sizes = np.diff(np.concatenate([starts, [values.size]]))
        return [
            order[starts[sizes == size][:, None] + np.arange(size)] for size in np.unique(sizes)
        ]

    def moments(self, fields: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of P's eigenvalues, weighted by a field's energy."""
        energy = self.coefficients(fields) ** 2
        energy /= energy.sum(axis=(-2, -1), keepdims=True)
        mean = (energy * self.eigenvalues).sum(axis=(-2, -1))
        square = (energy * (self.eigenvalues - mean[..., None, None]) ** 2).sum(axis=(-2, -1))
        return mean, np.sqrt(square)

    def outside(self, fields: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """Return the norm of what no polynomial in P of the seeds' fields can reach, shape (B,).

        That is the distance of a field from the span of the seeds' parts in all shells: the floor
        of the residual, times the norm of the field, where A = P.

        Parameters
        ----------
        fields : ndarray, shape (B, H, W)
        seeds : ndarray, shape (q, H, W)
            Residuals of the seeds.
        """
        targets = self.coefficients(fields).reshape(len(fields), -1)
        spanning = self.coefficients(seeds).reshape(len(seeds), -1)
        total = np.zeros(len(fields))
        for modes in self.shells:
            parts = np.moveaxis(targets[:, modes], 0, -1)  # (shells, size, B)
            left, sizes, _ = np.linalg.svd(
                np.moveaxis(spanning[:, modes], 0, -1), full_matrices=False
            )
            left = left * (sizes > _RANK * sizes[:, :1])[:, None, :]
            rest = parts - left @ (np.swapaxes(left, -1, -2) @ parts)
            total += (rest**2).sum(axis=(0, 1))
        return np.sqrt(total)

    def with_spectrum_of(self, fields: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return fields with the same energy in every mode and signs drawn at random."""
        signs = rng.choice([-1.0, 1.0], size=fields.shape)
        return self.fields(self.coefficients(fields) * signs)

    def matrix(self, n_systems: int) -> FivePointStencil:
        """Return P as the stencils of a batch."""
        p = self.problem
        zero = np.zeros((n_systems, p.height, p.width))
        return five_point_stencil(
            1.0 / p.time_step, zero, zero.copy(), p.half_g2(self.step), p.spacing, p.boundary
        )


def drift_of(matrix: FivePointStencil, spectrum: Spectrum) -> tuple[np.ndarray, np.ndarray]:
    """Return the advective coefficients (v_row, v_col) that a batch of matrices holds (Eq. 4).

    Raises
    ------
    ConfigError
        If the matrices are not those of Picard's iteration.
    """
    p = spectrum.problem
    h, diffusion = p.spacing, p.half_g2(spectrum.step) / p.spacing**2

    def one_axis(lower, upper, axis):
        lower, upper = (np.moveaxis(a, axis, 0) for a in (lower, upper))
        v = h * (upper - lower)
        v[0] = 2 * h * (upper[0] + diffusion)
        v[-1] = -2 * h * (lower[-1] + diffusion)
        return np.moveaxis(v, 0, axis)

    v_row = one_axis(matrix.north, matrix.south, -2)
    v_col = one_axis(matrix.west, matrix.east, -1)
    again = five_point_stencil(
        1.0 / p.time_step, v_row, v_col, p.half_g2(spectrum.step), h, p.boundary
    )
    if not np.allclose(again.center, matrix.center, rtol=1e-8):
        raise ConfigError(
            "The theory is about Picard's matrices, but the bank's are others; set "
            "march.linearisation to picard."
        )
    return v_row, v_col


def perturbation_bound(matrix: FivePointStencil, spectrum: Spectrum) -> np.ndarray:
    """Return epsilon of every system, ``||(A - P) P^-1||_2 <= epsilon`` (docs/theory.md, 1).

    epsilon = max |v| sqrt(dt / (g^2/2)) / 2 with v the advective coefficients; without drift that
    is max |grad m~| sqrt(g^2/2 dt) / 2.
    """
    v_row, v_col = drift_of(matrix, spectrum)
    speed = np.sqrt(v_row**2 + v_col**2).max(axis=(-2, -1))
    p = spectrum.problem
    return 0.5 * speed * np.sqrt(p.time_step / p.half_g2(spectrum.step))


def energy_histogram(spectrum: Spectrum, fields: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """Return the mean share of the fields' energy between neighbouring edges of eigenvalues."""
    energy = spectrum.coefficients(fields) ** 2
    energy /= energy.sum(axis=(-2, -1), keepdims=True)
    counts, _ = np.histogram(
        spectrum.eigenvalues.ravel(), edges, weights=energy.mean(axis=0).ravel()
    )
    return counts
