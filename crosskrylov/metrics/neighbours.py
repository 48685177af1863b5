"""Memorisation: how near samples are to training images."""

from dataclasses import dataclass

import numpy as np

from crosskrylov.errors import DataError


@dataclass(frozen=True)
class Neighbours:
    """Nearest training image of every sample.

    Attributes
    ----------
    index : ndarray of int, shape (N,)
        Index of the nearest training image.
    distance : ndarray, shape (N,)
        RMS difference to it, in units of the intensity range.
    data_distance : float
        Median RMS difference between a training image and its nearest other training image: samples
        much nearer than that are copies.
    """

    index: np.ndarray
    distance: np.ndarray
    data_distance: float


def _squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    gram = x @ y.T  # scipy.spatial.distance.cdist takes 3 to 8 times as long for the same numbers
    return ((x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * gram).clip(min=0)


def nearest_training_images(samples: np.ndarray, training: np.ndarray) -> Neighbours:
    """Find the nearest training image of every sample.

    Parameters
    ----------
    samples, training : ndarray, shape (N, C, H, W) and (M, C, H, W)
        Images in [0, 1], M >= 2.

    Raises
    ------
    DataError
        If there are fewer than two training images.
    """
    if len(training) < 2:
        raise DataError(f"Nearest neighbours need 2 training images, found {len(training)}.")
    x = np.asarray(samples, dtype=np.float64).reshape(len(samples), -1)
    y = np.asarray(training, dtype=np.float64).reshape(len(training), -1)
    to_training = _squared_distances(x, y)
    within = _squared_distances(y, y)
    np.fill_diagonal(within, np.inf)
    index = to_training.argmin(1)
    pixels = x.shape[1]
    return Neighbours(
        index,
        np.sqrt(to_training[np.arange(len(x)), index] / pixels),
        float(np.median(np.sqrt(within.min(1) / pixels))),
    )
