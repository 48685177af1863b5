"""Initial log-density of an image over its own pixel plane (Eqs. 8-9 of docs/method.md)."""

from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import gaussian_kde

from crosskrylov.errors import ConfigError, DataError, ShapeError

Method = Literal["smoothed", "kde"]


def unit_spacing(height: int, width: int) -> float:
    """Return the grid spacing h = 1 / (max(H, W) - 1): the longer side spans the unit interval."""
    if min(height, width) < 2:
        raise ShapeError(f"An image needs at least 2 x 2 pixels; this one has {height} x {width}.")
    return 1.0 / (max(height, width) - 1)


def scott_bandwidth(n_samples: int) -> float:
    """Return Scott's factor n^(-1/6) for two-dimensional data, in standard deviations."""
    return float(n_samples) ** (-1.0 / 6.0)


def intensity(images: np.ndarray, channels: Literal["mean", "each"]) -> np.ndarray:
    """Return the intensity fields whose log-densities are marched.

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W)
        Images in [0, 1].
    channels : {"mean", "each"}
        "mean" reads an image as one density (the channels' mean); "each" gives every channel a
        density of its own, field n * C + c belonging to channel c of image n.

    Returns
    -------
    ndarray, float64, shape (N, H, W) or (N * C, H, W)
    """
    images = np.asarray(images)
    if images.ndim != 4:
        raise ShapeError(f"Images need shape (N, C, H, W), but the array has {images.shape}.")
    if not np.isfinite(images).all():
        bad = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))
        raise DataError(
            f"Image number {bad[0]} holds values that are not finite ({bad.size} such images); "
            "remove or repair it."
        )
    if images.min() < 0:
        raise DataError(f"Images need values in [0, 1], but the minimum is {images.min():.3g}.")
    if channels == "mean":
        return images.astype(np.float64).mean(axis=1)
    if channels == "each":
        return images.astype(np.float64).reshape(-1, *images.shape[2:])
    raise ConfigError(f"density.channels is {channels!r}; allowed are 'mean' and 'each'.")


def initial_log_density(
    images: np.ndarray,
    *,
    method: Method = "smoothed",
    channels: Literal["mean", "each"] = "mean",
    intensity_offset: float = 0.1,
    n_samples: int = 2000,
    jitter: float = 0.01,
    floor: float = 1e-10,
    bandwidth: float | None = None,
    seed: int | None = None,
) -> np.ndarray:
    """Return the initial log-density of every image.

    The published estimate ("kde") draws ``n_samples`` positions with probability proportional to
    intensity + offset, jitters them and fits a Gaussian kernel density estimate.  "smoothed" is its
    expectation up to the kernel's cut-off at the border: the weighted grid convolved with the
    Gaussian of the same covariance, without the sampling noise (Eq. 9).

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W)
        Images in [0, 1].
    method : {"smoothed", "kde"}
        Deterministic grid smoothing, or the published sampled estimate.
    channels : {"mean", "each"}
        See `intensity`.
    intensity_offset : float
        Added to the intensity, so that black pixels keep some mass.
    n_samples : int
        Sample size; for "smoothed" it sets Scott's bandwidth only.
    jitter : float
        Standard deviation of the noise added to the samples, in units of the image side.
    floor : float
        Smallest density before normalisation.
    bandwidth : float, optional
        Kernel bandwidth in standard deviations of the data; default Scott's factor.
    seed : int, optional
        Seed of the draws; required by "kde".

    Returns
    -------
    ndarray, float64, shape (N, H, W) or (N * C, H, W)
        Log-density in nats, normalised so that sum(p) h^2 = 1.

    Raises
    ------
    DataError
        If an image is not finite or negative.
    ConfigError
        If the method is unknown, or "kde" has no seed.
    """
    fields = intensity(images, channels)
    height, width = fields.shape[1:]
    spacing = unit_spacing(height, width)
    factor = scott_bandwidth(n_samples) if bandwidth is None else float(bandwidth)
    if method == "smoothed":
        estimate = [_smoothed(f + intensity_offset, spacing, factor, jitter) for f in fields]
    elif method == "kde":
        if seed is None:
            raise ConfigError(
                "density.method 'kde' draws samples and needs a seed, none was given."
            )
        rngs = np.random.default_rng(seed).spawn(len(fields))
        estimate = [
            _sampled_kde(f + intensity_offset, spacing, factor, jitter, n_samples, rng)
            for f, rng in zip(fields, rngs, strict=True)
        ]
    else:
        raise ConfigError(f"density.method is {method!r}; allowed are 'smoothed' and 'kde'.")
    density = np.maximum(np.stack(estimate), floor)
    density /= density.sum(axis=(1, 2), keepdims=True) * spacing**2
    return np.log(density)


def _weighted_moments(weights, spacing):
    """Return mean and covariance (2, 2) of the pixel positions under ``weights``."""
    rows, cols = (np.arange(n) * spacing for n in weights.shape)
    p = weights / weights.sum()
    mean = np.array([(p.sum(axis=1) * rows).sum(), (p.sum(axis=0) * cols).sum()])
    r, c = rows - mean[0], cols - mean[1]
    off = (r[:, None] * c[None, :] * p).sum()
    covariance = np.array(
        [[(p.sum(axis=1) * r**2).sum(), off], [off, (p.sum(axis=0) * c**2).sum()]]
    )
    return mean, covariance


def _smoothed(weights, spacing, factor, jitter):
    """Smooth the weighted grid by the kernel that the sampled estimate has in expectation.

    Samples have covariance S + jitter^2 I and the kernel is factor^2 times that; the jitter itself
    smooths once more.  The small off-diagonal part of S is left out, which keeps the filter
    separable.
    """
    _, covariance = _weighted_moments(weights, spacing)
    variance = factor**2 * (np.diag(covariance) + jitter**2) + jitter**2
    # mode "constant": mass smoothed over the border is lost, as in the kernel estimate
    return gaussian_filter(
        weights / weights.sum(), np.sqrt(variance) / spacing, mode="constant", truncate=6.0
    )


def _sampled_kde(weights, spacing, factor, jitter, n_samples, rng):
    """Draw, jitter and clip the samples, and evaluate the kernel density estimate on the grid."""
    flat = (weights / weights.sum()).ravel()
    node = rng.choice(flat.size, size=n_samples, p=flat)
    samples = np.stack(np.unravel_index(node, weights.shape)).astype(np.float64) * spacing
    upper = (np.array(weights.shape)[:, None] - 1) * spacing
    samples = np.clip(samples + jitter * rng.standard_normal(samples.shape), 0.0, upper)
    grid = np.indices(weights.shape).reshape(2, -1) * spacing
    return gaussian_kde(samples, bw_method=factor)(grid).reshape(weights.shape)
