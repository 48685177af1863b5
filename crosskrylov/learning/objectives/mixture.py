"""The exact score of a noised data set: a Gaussian mixture with one component per image."""

from contextlib import nullcontext

import torch


def posterior_mean(
    x: torch.Tensor, data: torch.Tensor, signal: torch.Tensor, noise: torch.Tensor
) -> torch.Tensor:
    """Return E[x_0 | x_t] when x_0 is uniform over ``data``, x_t = signal x_0 + noise z (Eq. 27).

    Parameters
    ----------
    x : tensor, shape (B, C, H, W)
        Noised images.
    data : tensor, shape (N, C, H, W)
        The data set, in the units of x_0.
    signal, noise : tensor, shape (B, 1, 1, 1)
        Level coefficients, noise > 0.

    Returns
    -------
    tensor, shape (B, C, H, W)
        In single precision also inside autocast: bfloat16 products would change the weights, whose
        logarithms are differences of large numbers over a small ``noise``.
    """
    with _without_autocast(x.device.type):
        return _weighted_mean(x, data, signal, noise)


def _without_autocast(device: str):
    available = torch.amp.is_autocast_available(device)
    return torch.autocast(device, enabled=False) if available else nullcontext()


def _weighted_mean(x, data, signal, noise):
    points = data.flatten(1)  # (N, D)
    query = x.flatten(1)  # (B, D)
    signal, noise = signal.reshape(-1, 1), noise.reshape(-1, 1)
    # ||x - s d||^2 without its term in x alone, which the softmax cancels
    distance = signal**2 * points.square().sum(1)[None] - 2 * signal * (query @ points.T)  # (B, N)
    weights = torch.softmax(-distance / (2 * noise**2), dim=1)
    return (weights @ points).reshape(x.shape)


def mixture_noise(
    x: torch.Tensor, data: torch.Tensor, signal: torch.Tensor, noise: torch.Tensor
) -> torch.Tensor:
    """Return the best noise prediction E[z | x_t] = (x_t - signal E[x_0 | x_t]) / noise.

    The exact score of the noised data set is minus this, divided by ``noise``.
    """
    return (x - signal * posterior_mean(x, data, signal, noise)) / noise
