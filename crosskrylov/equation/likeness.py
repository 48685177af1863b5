"""The distance between two images' equations, and an order of images in which neighbours are alike.

The distance of a target t to an image s is the relative 2-norm of the difference of their features,
taken mean-free (Eq. 22): a constant shift of a log-density changes no score, hence no matrix.
"""

from collections.abc import Callable

import numpy as np

from crosskrylov.errors import DataError, ShapeError


def mean_free(features: np.ndarray) -> np.ndarray:
    """Return the features as rows without their means, float64, shape (N, n)."""
    features = np.asarray(features, dtype=np.float64)
    if features.ndim < 2 or features.shape[0] == 0:
        raise ShapeError(
            f"Features need one row per image, shape (N, ...) with N >= 1; found {features.shape}."
        )
    rows = features.reshape(len(features), -1)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise DataError(
            f"The features of image {int(np.flatnonzero(~finite)[0])} are not finite; remove or "
            "repair the image."
        )
    rows = rows - rows.mean(axis=1, keepdims=True)
    # what is left of a constant image is rounding, and rounding has no direction
    scale = np.abs(features.reshape(len(features), -1)).max(axis=1, keepdims=True)
    rows[np.abs(rows).max(axis=1) <= 1e-13 * scale[:, 0]] = 0.0
    return rows


def feature_distances(targets: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Return the distances (Eq. 22) between mean-free features: (N, n), (S, n) to (N, S)."""
    # one product of matrices: scipy.spatial.distance.cdist gives the same up to rounding, but takes
    # 3 to 8 times as long (200 to 1,000 images of 16 x 16 to 3 x 32 x 32 values, one core)
    size, seed_size = np.linalg.norm(targets, axis=1), np.linalg.norm(seeds, axis=1)
    total = size[:, None] ** 2 + seed_size[None, :] ** 2
    squared = total - 2.0 * targets @ seeds.T
    # what is below this is cancellation in the line above, not likeness
    squared[squared < 1e-14 * total] = 0.0
    scale = np.where(size[:, None] > 0.0, size[:, None], seed_size[None, :])
    return np.divide(np.sqrt(squared), scale, out=np.zeros_like(squared), where=scale > 0.0)


def nearest_neighbour_chain(n_items: int, distances: Callable[[int], np.ndarray]) -> np.ndarray:
    """Return an order in which each item is followed by the nearest one left (Eq. 22a).

    The chain begins with the first item; ties go to the lower index.

    Parameters
    ----------
    n_items : int
    distances : callable
        Distances of all items to the one at a position, shape (n_items,); any increasing function
        of them will do.

    Returns
    -------
    ndarray of int, shape (n_items,)
    """
    chain = [0]
    left = np.arange(1, n_items)
    while left.size:
        nearest = int(np.asarray(distances(chain[-1]))[left].argmin())
        chain.append(int(left[nearest]))
        left = np.delete(left, nearest)
    return np.array(chain)


def likeness_chain(features: np.ndarray) -> np.ndarray:
    """Return the images, features of shape (N, ...), in a chain of nearest neighbours (Eq. 22a)."""
    rows = mean_free(features)

    def distances(position):
        return feature_distances(rows, rows[position][None])[:, 0]

    return nearest_neighbour_chain(len(rows), distances)
