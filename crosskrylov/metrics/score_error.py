"""Error of a trained score against the exact score of the noised data set, by noise level."""

from collections.abc import Sequence

import numpy as np
import torch

from crosskrylov.learning.objectives.mixture import mixture_noise
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.schedule import NoiseLevels

#: The errors of a noise level: against the images, and against what the network was trained on.
ERRORS = ("error", "error_normalised", "own_error", "own_error_normalised")
#: Two sigmas that differ by less than this, relatively, are the same level.
_SAME = 1e-9


@torch.no_grad()
def score_matching_error(
    network: torch.nn.Module,
    images: torch.Tensor,
    levels: NoiseLevels,
    sigmas: Sequence[float],
    *,
    n_draws: int = 64,
    seed: int = 0,
    embedded: torch.Tensor | None = None,
) -> list[dict[str, float | None]]:
    """Return the error of the predicted noise at given noise levels (Eq. 31).

    The exact score is minus E[z | x] / sigma, so that this is the score's mean square error times
    sigma squared, free of the part of the loss that no network can remove. What is drawn depends
    on ``sigmas`` and ``seed`` alone: networks with different schedules get the same noised images.

    Parameters
    ----------
    network : Module
        Noise predictor.
    images : tensor, shape (N, C, H, W)
        Training images in [-1, 1].
    levels : NoiseLevels
        Schedule of the network.
    sigmas : sequence of float
        Noise levels relative to images in [-1, 1]; between two levels of the schedule the network
        is asked at a fractional one, log sigma interpolated linearly.
    n_draws : int
        Noised images per level.
    seed : int
        Seed of the draws.
    embedded : tensor, shape (N, S, C, H, W), optional
        The embedded images in [-1, 1] that the network was trained on in place of ``images``.

    Returns
    -------
    list of dict
        For every sigma: ``sigma``, ``error`` (mean square per pixel, of the noise, whose own is
        one) and ``error_normalised`` (over the mean square of E[z | x] on the same draws: the
        relative mean square error of the score). Both are None outside the schedule, where the
        network was never trained. ``own_error`` and ``own_error_normalised`` are the same against
        what the network was trained on: with ``embedded``, the embedded images of the level.
    """
    device = next(network.parameters()).device
    images = images.to(device)
    model = NoiseModel(network, levels, clip=False)
    generator = torch.Generator().manual_seed(seed)
    first, last = levels.sigmas[[0, -1]]
    rows = []
    for sigma in map(float, sigmas):
        index = torch.randint(len(images), (n_draws,), generator=generator).to(device)
        z = torch.randn((n_draws, *images.shape[1:]), generator=generator).to(device)
        row: dict[str, float | None] = {"sigma": sigma, **dict.fromkeys(ERRORS)}
        rows.append(row)
        if not first * (1 - _SAME) <= sigma <= last * (1 + _SAME):
            continue
        signal = torch.full((n_draws, 1, 1, 1), 1 / np.sqrt(1 + sigma**2), device=device)
        noise = sigma * signal
        laws = [images]
        if embedded is not None:
            laws.append(embedded_at(embedded, levels, sigma).to(device))
        found = []
        for clean in laws:
            x = signal * clean[index] + noise * z
            exact = mixture_noise(x, clean, signal, noise)
            error = float((model.at_level(x, model.level_of(sigma)) - exact).square().mean())
            found.append((error, error / float(exact.square().mean())))
        row |= dict(zip(ERRORS, (*found[0], *found[-1]), strict=True))
    return rows


def embedded_at(embedded: torch.Tensor, levels: NoiseLevels, sigma: float) -> torch.Tensor:
    """Return the embedded images (N, C, H, W) that training noises at a level.

    Parameters
    ----------
    embedded : tensor, shape (N, S, C, H, W)
    levels : NoiseLevels
        Level t of T noises embedded step floor(t S / T), see
        `crosskrylov.learning.objectives.levels.LevelObjective`.
    sigma : float
        Taken at the nearest level.
    """
    t = int(np.argmin(np.abs(np.log(levels.sigmas / sigma))))
    return embedded[:, t * embedded.shape[1] // len(levels)]


def sigma_grid(sigma_min: float, sigma_max: float, levels: int) -> list[float]:
    """Return ``levels`` noise levels, geometric from ``sigma_min`` to ``sigma_max``."""
    return [float(f"{sigma:.6g}") for sigma in np.geomspace(sigma_min, sigma_max, levels)]
