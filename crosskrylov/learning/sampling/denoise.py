"""Denoising of given images: the test of the single-image experiment."""

import math

import numpy as np
import torch

from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.registry import DENOISING_SAMPLER
from crosskrylov.learning.sampling.schedulers import scheduler_for
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.learning.unet import TIME_SCALE


def noised_start(images: torch.Tensor, noise: float, seed: int) -> torch.Tensor:
    """Return images + noise z, unclipped; the same z for the same seed whatever the model.

    Parameters
    ----------
    images : tensor, shape (N, C, H, W)
        Images in [0, 1].
    noise : float
        Standard deviation in units of the intensity range (published: 0.506).
    seed : int
        Seed of z.
    """
    z = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    return images + noise * z.to(images.device)


@torch.no_grad()
def denoise_published(
    network: torch.nn.Module,
    start: torch.Tensor,
    *,
    steps: int,
    final_time: float,
    diffusion: float,
    noise_scale: float,
    output_noise: float = 1.0,
    seed: int = 0,
    keep: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run the published reverse iteration x += g^2 s(x, t) dt + c g sqrt(dt) z (Eq. 28).

    Parameters
    ----------
    network : Module
        Score network, times in [0, 1000].
    start : tensor, shape (N, C, H, W)
        Noised images; clipped to [0, 1] first, as published.
    steps : int
        Reverse steps, from final_time to 0.
    final_time, diffusion : float
        T and g.
    noise_scale : float
        c (published: 0.1); no noise is added after the last step.
    output_noise : float
        What the network's output is divided by to give the score: lambda for a scaled model.
    seed : int
        Seed of the noise.
    keep : int
        Number of intermediate images to return.

    Returns
    -------
    denoised : tensor, shape (N, C, H, W)
        In [0, 1].
    path : tensor, shape (keep, N, C, H, W)
        Images at evenly spaced steps, start first, result last.
    """
    generator = torch.Generator().manual_seed(seed)
    x = start.clamp(0, 1)
    dt = final_time / steps
    kept_steps = set(np.linspace(0, steps, keep).round().astype(int)) if keep else set()
    path = [x] if keep else []
    for k in range(steps):
        t = torch.full((len(x),), (1 - k / steps) * TIME_SCALE, device=x.device)
        inputs = x.contiguous(memory_format=torch.channels_last)
        x = x + diffusion**2 * dt / output_noise * network(inputs, t).sample.float()
        if k < steps - 1 and noise_scale:
            z = torch.randn(x.shape, generator=generator).to(x.device)
            x = x + noise_scale * diffusion * math.sqrt(dt) * z
        x = x.clamp(0, 1)
        if k + 1 in kept_steps:
            path.append(x)
    return x, torch.stack(path) if path else x.new_empty((0, *x.shape))


def visited_levels(levels: NoiseLevels, *, noise: float, steps: int) -> np.ndarray:
    """Return the levels that `denoise_from_level` visits, increasing.

    Parameters
    ----------
    levels, noise, steps
        As for `denoise_from_level`.
    """
    return scheduler_for(DENOISING_SAMPLER, _levels_below(levels, noise), steps)[1]


def _levels_below(levels: NoiseLevels, noise: float) -> NoiseLevels:
    """Return the levels up to that of ``noise`` on the scale of [0, 1]."""
    return NoiseLevels(levels.alphas_cumprod[: levels.nearest_level(2 * noise) + 1])


@torch.no_grad()
def denoise_from_level(
    network: torch.nn.Module,
    start: torch.Tensor,
    levels: NoiseLevels,
    *,
    noise: float,
    steps: int,
    keep: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Denoise with a noise predictor: DDIM from the level whose noise is that of ``start``.

    The images are scaled to [-1, 1], where the noise is twice as large, and the reverse process
    starts at the nearest level of the schedule: the model gets the input that it was trained for,
    and as many reverse steps as the published denoiser.

    Parameters
    ----------
    network : Module
        Noise predictor.
    start : tensor, shape (N, C, H, W)
        Noised images on the scale of [0, 1], as the network is to see them: unclipped but for
        models that declare ``clipped``.
    levels : NoiseLevels
        Schedule of the network.
    noise : float
        Standard deviation of the noise in ``start``.
    steps : int
        Reverse steps.
    keep : int
        Number of intermediate images to return.

    Returns
    -------
    denoised, path
        As for `denoise_published`; intermediate images are divided by their signal factor.
    """
    model = NoiseModel(network, levels)
    part = _levels_below(levels, noise)
    scheduler, indices = scheduler_for(DENOISING_SAMPLER, part, steps)
    times = [int(t) for t in scheduler.timesteps]
    signals = np.sqrt(part.alphas_cumprod)[indices]
    kept_steps = set(np.linspace(0, len(times), keep).round().astype(int)) if keep else set()
    x = (start * 2 - 1) * float(signals[-1])
    path = [start.clamp(0, 1)] if keep else []
    for k, t in enumerate(times):
        x = scheduler.step(model.at_level(x, int(indices[t])), t, x).prev_sample
        if k + 1 in kept_steps:
            signal = float(signals[times[k + 1]]) if k + 1 < len(times) else 1.0
            path.append(((x / signal + 1) / 2).clamp(0, 1))
    result = ((x + 1) / 2).clamp(0, 1)
    return result, torch.stack(path) if path else x.new_empty((0, *x.shape))
