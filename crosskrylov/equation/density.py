"""Initial log-density of an image over its own pixel plane (Eqs. 8-9 of docs/method.md)."""

import inspect
import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import gaussian_kde

from crosskrylov.errors import ConfigError, DataError, ShapeError

Method = Literal["smoothed", "kde"]

#: Smallest values of the numeric options; "above 0" is the smallest normal number.
_LEAST = {
    "intensity_offset": 0,
    "n_samples": 2,
    "jitter": 0,
    "floor": np.finfo(float).tiny,
    "bandwidth": np.finfo(float).tiny,
}

#: What a pixel may exceed 1 by: float32 rounds (x / 255 * 255) so.
_ROUNDING = 1e-6


def unit_spacing(height: int, width: int) -> float:
    """Return the grid spacing h = 1 / (max(H, W) - 1): the longer side spans the unit interval."""
    if min(height, width) < 2:
        raise ShapeError(f"An image needs at least 2 x 2 pixels; this one has {height} x {width}.")
    return 1.0 / (max(height, width) - 1)


def scott_bandwidth(n_samples: int) -> float:
    """Return Scott's factor n^(-1/6) for two-dimensional data, in standard deviations."""
    return float(n_samples) ** (-1.0 / 6.0)


def checked_images(images) -> np.ndarray:
    """Return ``images`` as an array [N, C, H, W]; refuse what would be read as other pixels.

    Axis 1 counts the channels, 1 (grey) or 3 (colour), whatever the other axes are: an array
    [N, 3, H, 3] has three channels.  Every other array is refused, with the mend where it can be
    guessed (channels last, transparency, a missing axis).  Pixels are floating-point numbers or
    booleans; whole numbers are refused even where they are only 0 and 1, since those are almost
    black in eight bits.  Values are not looked at: see `value_problem`.

    Raises
    ------
    ShapeError
        If the axes are others.
    DataError
        If the numbers are no pixels (whole, complex, objects, text, masked).
    """
    try:
        array = np.asarray(images)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; tensors of a GPU
        raise DataError(
            f"Images cannot be read as an array ({error}): give one array of shape (N, C, H, W)."
        ) from None
    _check_axes(array.shape)
    kind = array.dtype.kind
    if kind in "iu":
        top = 255 if array.dtype.itemsize == 1 or array.max() <= 255 else 65535
        raise DataError(
            f"Images have dtype {array.dtype}, but pixels are floating-point numbers in [0, 1]: "
            f"divide by {top}{' (or make a mask of 0 and 1 boolean)' if array.max() <= 1 else ''}."
        )
    if kind not in "fb":
        raise DataError(
            f"Images have dtype {array.dtype}, but pixels are floating-point numbers in [0, 1]: "
            "convert them to float32."
        )
    if np.ma.is_masked(images):
        raise DataError("Images have masked pixels: fill them in (images.filled(...)).")
    return array


def _check_axes(shape: tuple[int, ...]) -> None:
    wanted = f"Images need shape (N, C, H, W) with C = 1 or 3, but the array has {shape}"
    if len(shape) == 3:
        raise ShapeError(
            f"{wanted}: add an axis, images[:, None] to grey images or image[None] to a single one."
        )
    if len(shape) != 4 or 0 in shape:
        raise ShapeError(f"{wanted}.")
    if shape[1] in (1, 3):
        return
    if shape[1] == 4 and shape[3] not in (1, 3):
        raise ShapeError(f"{wanted}: composite transparent images on white, and drop channel 4.")
    if shape[3] in (1, 3, 4):
        raise ShapeError(
            f"{wanted}: the channels are last, transpose to [N, C, H, W] "
            "(images.transpose(0, 3, 1, 2))."
        )
    raise ShapeError(f"{wanted}: axis 1 has to count the channels.")


def value_problem(image: np.ndarray) -> str | None:
    """Return what is wrong with an image's values and how to mend it; None if they are pixels."""
    low, high = float(image.min()), float(image.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        return "holds values that are not finite: repair or remove it"
    if low >= 0 and high <= 1 + _ROUNDING:
        return None
    mend = "rescale it"
    if low >= 0 and high <= 65535:
        mend = f"divide by {255 if high <= 255 else 65535}"
    elif low >= -1 and high <= 1:
        mend = "map [-1, 1] to [0, 1] by (x + 1) / 2"
    return f"has minimum {low:.3g} and maximum {high:.3g}, but pixels are in [0, 1]: {mend}"


def density_options(section: Mapping | None = None) -> dict[str, Any]:
    """Return the options of `initial_log_density` that a config section describes, all of them.

    Raises
    ------
    ConfigError
        If a key is unknown or a value impossible.
    """
    parameters = inspect.signature(initial_log_density).parameters
    options = {key: p.default for key, p in parameters.items() if key not in ("images", "seed")}
    for key, value in (section or {}).items():
        if key not in options:
            raise ConfigError(
                f"density.{key} is no option of the density; known are {', '.join(options)}."
            )
        options[key] = value
    for key, allowed in (("method", ("smoothed", "kde")), ("channels", ("mean", "each"))):
        if options[key] not in allowed:
            raise ConfigError(
                f"density.{key} is {options[key]!r}; allowed are {allowed[0]!r} and {allowed[1]!r}."
            )
    for key, least in _LEAST.items():
        value = options[key]
        if key == "bandwidth" and value is None:
            continue
        if not isinstance(value, int | float | np.number) or not least <= value < math.inf:
            raise ConfigError(
                f"density.{key} is {value!r}; it must be a finite number of at least {least:.3g}."
            )
    if options["n_samples"] != int(options["n_samples"]):
        raise ConfigError(f"density.n_samples is {options['n_samples']}; it must be whole.")
    return options


def intensity(images: np.ndarray, channels: Literal["mean", "each"]) -> np.ndarray:
    """Return the intensity fields whose log-densities are marched.

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W)
        Images in [0, 1]; see `checked_images` and `value_problem` for what is refused.
    channels : {"mean", "each"}
        "mean" reads an image as one density (the channels' mean); "each" gives every channel a
        density of its own, field n * C + c belonging to channel c of image n.

    Returns
    -------
    ndarray, float64, shape (N, H, W) or (N * C, H, W)
    """
    images = checked_images(images)
    for number, image in enumerate(images):
        problem = value_problem(image)
        if problem is not None:
            raise DataError(f"Image number {number} {problem}.")
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
    ShapeError, DataError
        If the array is not made of pixels in [0, 1] (see `intensity`), or an image has no
        intensity to estimate a density from.
    ConfigError
        If the method is unknown, or "kde" has no seed.
    """
    fields = intensity(images, channels)
    height, width = fields.shape[1:]
    spacing = unit_spacing(height, width)
    factor = scott_bandwidth(n_samples) if bandwidth is None else float(bandwidth)
    if intensity_offset == 0 and not fields.any(axis=(1, 2)).all():
        raise DataError(
            "An image (or a channel of it) is black, and density.intensity_offset is 0: raise the "
            "offset, or remove the image."
        )
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
    if not np.isfinite(density).all():
        raise DataError(
            "The density of an image is not finite: check density.intensity_offset, jitter, floor "
            "and bandwidth."
        )
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
    try:
        return gaussian_kde(samples, bw_method=factor)(grid).reshape(weights.shape)
    except np.linalg.LinAlgError:
        raise DataError(
            "An image has its intensity on a line or in one point, from which no kernel density "
            "can be estimated: raise density.intensity_offset or density.jitter."
        ) from None
