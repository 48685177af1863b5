"""Distances between two sets of feature vectors."""

import numpy as np
from scipy import linalg, optimize
from scipy.spatial.distance import cdist

from crosskrylov.errors import DataError, ShapeError

#: Rows of a kernel matrix that are in memory at once.
_ROWS = 1024


def _check(features, reference, minimum: int, what: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = (np.asarray(a, dtype=np.float64) for a in (features, reference))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ShapeError(
            f"Features of shapes {x.shape} and {y.shape} cannot be compared; both must be (N, D) "
            "with the same D."
        )
    for name, a in (("samples", x), ("reference images", y)):
        if len(a) < minimum:
            raise DataError(
                f"{what} needs at least {minimum} {name}, found {len(a)}; raise n_samples (or "
                "image_sets.*.n_images), or remove the metric."
            )
        if not np.isfinite(a).all():
            raise DataError(f"{what}: features of the {name} hold NaN or infinity.")
    return x, y


def frechet_distance(features, reference, minimum: int | None = None) -> float:
    """Return the Fréchet distance between Gaussians fitted to two sets of features (Eq. 30).

    ||mu_1 - mu_2||^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2)). Only on Inception-v3 (2015) features
    is it called FID.

    Parameters
    ----------
    features, reference : array_like, shape (N, D) and (M, D)
        Features.
    minimum : int, optional
        Fewest vectors that each set must have; D + 1 by default, so that covariances have full
        rank (the distance is biased upwards for small sets in any case).

    Raises
    ------
    DataError
        If a set is too small or not finite.
    """
    dimension = np.shape(features)[-1]
    x, y = _check(features, reference, minimum or dimension + 1, "A Fréchet distance")
    mean_gap = x.mean(0) - y.mean(0)
    first, second = (np.cov(a, rowvar=False).reshape(dimension, dimension) for a in (x, y))
    # tr (C1 C2)^(1/2) = sum of square roots of the eigenvalues of the symmetric R C2 R, R =
    # C1^(1/2)
    values, vectors = linalg.eigh(first)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    shared = np.sqrt(linalg.eigvalsh(root @ second @ root).clip(min=0)).sum()
    return float(mean_gap @ mean_gap + np.trace(first) + np.trace(second) - 2 * shared)


def kernel_distance(features, reference) -> float:
    """Return the unbiased squared MMD with the kernel (x y / D + 1)^3: KID on Inception features.

    Parameters
    ----------
    features, reference : array_like, shape (N, D) and (M, D)
        Features; the estimate can be slightly negative for equal distributions.

    Raises
    ------
    DataError
        If a set has fewer than two vectors.
    """
    x, y = _check(features, reference, 2, "A kernel distance")

    def kernel_sum(a, b):
        """Sum over all pairs, in blocks of rows: thousands of images make a large matrix."""
        blocks = (a[k : k + _ROWS] for k in range(0, len(a), _ROWS))
        return sum(((block @ b.T / a.shape[1] + 1) ** 3).sum() for block in blocks)

    def mean_off_diagonal(a):
        diagonal = (((a * a).sum(1) / a.shape[1] + 1) ** 3).sum()
        return (kernel_sum(a, a) - diagonal) / (len(a) * (len(a) - 1))

    between = kernel_sum(x, y) / (len(x) * len(y))
    return float(mean_off_diagonal(x) + mean_off_diagonal(y) - 2 * between)


def wasserstein_distance(points, reference) -> float:
    """Return the 2-Wasserstein distance between two sets of as many points.

    The root of the least mean squared distance over all assignments of one set to the other; two
    samples of one law are apart by what their numbers leave to chance.

    Parameters
    ----------
    points, reference : array_like, shape (N, D)
        Time grows like N^3, memory like N^2: for a few thousand points.

    Raises
    ------
    ShapeError, DataError
        If the sets are not of one size, empty or not finite.
    """
    x, y = _check(points, reference, 1, "A Wasserstein distance")
    if len(x) != len(y):
        raise ShapeError(
            f"A Wasserstein distance by assignment needs sets of one size, found {len(x)} and "
            f"{len(y)} points."
        )
    squares = cdist(x, y, "sqeuclidean")
    return float(np.sqrt(squares[optimize.linear_sum_assignment(squares)].mean()))


def energy_distance(points, reference) -> float:
    """Return the energy distance between the laws of two sets of points, without bias.

    2 E|x - y| - E|x - x'| - E|y - y'| (Székely and Rizzo 2013), with means over different points
    of a set: of samples of one law the expectation is zero, and single values may be negative.

    Parameters
    ----------
    points, reference : array_like, shapes (N, D) and (M, D)
        Memory grows like N M.

    Raises
    ------
    ShapeError, DataError
        If a set has fewer than two points, they are not finite, or differ in dimension.
    """
    x, y = _check(points, reference, 2, "An energy distance")

    def within(z):
        return cdist(z, z).sum() / (len(z) * (len(z) - 1))

    return float(2 * cdist(x, y).mean() - within(x) - within(y))
