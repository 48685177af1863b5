"""The exact posterior of an image of a finite data set, given a noisy linear measurement."""

import torch

from crosskrylov.errors import DataError
from crosskrylov.learning.inverse.operators import Measurement


def posterior_weights(
    measured: torch.Tensor, data: torch.Tensor, operator: Measurement, noise: float
) -> torch.Tensor:
    """Return the probability of every image of the data set, given b = H x + noise z (Eq. 32a).

    Parameters
    ----------
    measured : tensor, shape (B, C, M)
        b.
    data : tensor, shape (N, C, H, W)
        The data set; every image is as probable as every other before the measurement.
    operator : Measurement
        H.
    noise : float
        Standard deviation of the noise; at 0, the images that fit best share the probability.

    Returns
    -------
    tensor, shape (B, N)
        Rows sum to one.

    Raises
    ------
    DataError
        If there is no image, or the noise is negative.
    """
    if not len(data) or not noise >= 0:
        raise DataError(
            f"A posterior needs images and a noise of at least 0; found {len(data)} images and "
            f"{noise}."
        )
    misfit = torch.cdist(measured.flatten(1), operator(data.to(measured)).flatten(1)).square()
    least = misfit.min(1, keepdim=True).values
    if noise == 0:
        best = (misfit <= least + 1e-18 * measured[0].numel()).to(measured)
        return best / best.sum(1, keepdim=True)
    return torch.softmax((least - misfit) / (2 * noise**2), dim=1)


def weighted_mean(weights: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """Return the mean image (B, C, H, W) of ``data`` (N, C, H, W) under weights (B, N)."""
    return (weights @ data.to(weights).flatten(1)).unflatten(1, tuple(data.shape[1:]))


def effective_images(weights: torch.Tensor) -> torch.Tensor:
    """Return 1 / sum of squared weights (B,): between how many images a measurement leaves open."""
    return 1 / weights.square().sum(1)
