"""Similarity of one image to its reference."""

import math

import numpy as np
from skimage.metrics import structural_similarity

from crosskrylov.errors import DataError, ShapeError

_C1, _C2 = 0.01**2, 0.03**2  # Wang et al. 2004, for intensities in [0, 1]
_WINDOW = 11  # pixels; side of the Gaussian window with sigma 1.5


def _checked(image, reference) -> tuple[np.ndarray, np.ndarray]:
    image, reference = (np.asarray(a, dtype=np.float64) for a in (image, reference))
    if image.shape != reference.shape or image.ndim != 3:
        raise ShapeError(
            f"Image of shape {image.shape} cannot be compared with one of shape "
            f"{reference.shape}; both must be (C, H, W)."
        )
    if not np.isfinite(image).all():
        raise DataError("The image to compare holds NaN or infinity; the sampler diverged.")
    return image, reference


def ssim(image, reference) -> float:
    """Return the structural similarity of Wang et al. (2004), averaged over windows and channels.

    Gaussian window of sigma 1.5 (11 x 11 pixels), population covariances, as in the original. Where
    an image is smaller than the window, the border that is left out of the average shrinks to that
    of the largest odd window that fits.

    Parameters
    ----------
    image, reference : array_like, shape (C, H, W)
        Intensities in [0, 1].

    Returns
    -------
    float
        At most 1, which means equality.

    Raises
    ------
    ShapeError
        If the shapes differ.
    DataError
        If the image is not finite.
    """
    image, reference = _checked(image, reference)
    side = min(image.shape[1:])
    if side < 3:
        raise ShapeError(f"Images of {side} pixels are too small for SSIM; at least 3 are needed.")
    window = min(_WINDOW, side if side % 2 else side - 1)
    return float(
        structural_similarity(
            image,
            reference,
            win_size=window,
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def ssim_global(image, reference) -> float:
    """Return the published SSIM: one window, which is the whole image with all its channels.

    Parameters
    ----------
    image, reference : array_like, shape (C, H, W)
        Intensities in [0, 1].
    """
    x, y = _checked(image, reference)
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    luminance = (2 * x.mean() * y.mean() + _C1) / (x.mean() ** 2 + y.mean() ** 2 + _C1)
    return float(luminance * (2 * covariance + _C2) / (x.var() + y.var() + _C2))


def mse(image, reference) -> float:
    """Return the mean squared error over pixels and channels."""
    x, y = _checked(image, reference)
    return float(((x - y) ** 2).mean())


def psnr_db(image, reference) -> float:
    """Return the peak signal-to-noise ratio in decibels; infinite for equal images."""
    error = mse(image, reference)
    return math.inf if error == 0 else -10 * math.log10(error)


def compare_images(images, references) -> dict[str, float]:
    """Return ssim, ssim_global, psnr_db and mse, each averaged over a batch.

    Parameters
    ----------
    images, references : array_like, shape (N, C, H, W)
        Intensities in [0, 1].
    """
    pairs = list(zip(np.asarray(images), np.asarray(references), strict=True))
    measures = {"ssim": ssim, "ssim_global": ssim_global, "psnr_db": psnr_db, "mse": mse}
    return {name: float(np.mean([f(x, y) for x, y in pairs])) for name, f in measures.items()}
