"""Error of a trained score against the exact score of the noised data set."""

import numpy as np
import torch

from crosskrylov.learning.objectives.mixture import mixture_noise
from crosskrylov.learning.schedule import NoiseLevels


@torch.no_grad()
def score_matching_error(
    network: torch.nn.Module,
    images: torch.Tensor,
    levels: NoiseLevels,
    *,
    n_levels: int = 10,
    n_draws: int = 64,
    seed: int = 0,
) -> dict[float, float]:
    """Return E || eps - E[z | x_t] ||^2 per pixel at several noise levels.

    The exact score is minus E[z | x_t] / noise, so this is the score-matching error times the
    squared noise: comparable between levels and free of the part of the loss that no network can
    remove.

    Parameters
    ----------
    network : Module
        Noise predictor.
    images : tensor, shape (N, C, H, W)
        Training images in [-1, 1].
    levels : NoiseLevels
        Schedule of the network.
    n_levels : int
        Levels, evenly spaced over the schedule.
    n_draws : int
        Noised images per level.
    seed : int
        Seed of the draws.

    Returns
    -------
    dict of float to float
        sigma (relative to images in [-1, 1]) to error.
    """
    device = next(network.parameters()).device
    images = images.to(device)
    generator = torch.Generator().manual_seed(seed)
    errors = {}
    for level in np.linspace(0, len(levels) - 1, n_levels).round().astype(int):
        index = torch.randint(len(images), (n_draws,), generator=generator).to(device)
        z = torch.randn((n_draws, *images.shape[1:]), generator=generator).to(device)
        t = torch.full((n_draws,), int(level), device=device)
        signal, noise = levels.signal_and_noise(t)
        x = (signal * images[index] + noise * z).contiguous(memory_format=torch.channels_last)
        exact = mixture_noise(x, images, signal, noise)
        gap = network(x, t).sample.float() - exact
        errors[float(levels.sigmas[level])] = float(gap.square().mean())
    return errors
