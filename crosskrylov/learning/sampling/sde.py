"""Samplers in the unscaled (variance-exploding) coordinates x_0 + sigma z, with optional PDS.

Any noise predictor can be used here, since a variance-preserving schedule is the same process on
another scale (`crosskrylov.learning.schedule`).
"""

import math

import numpy as np
import torch

from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.pds import Preconditioner


def sigma_grid(model: NoiseModel, count: int) -> np.ndarray:
    """Return ``count`` levels, geometric, from the largest to the smallest trained sigma."""
    sigmas = model.levels.sigmas
    return np.geomspace(sigmas[-1], sigmas[0], count)


def normal_like(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return unit normal noise of the shape of ``x``; the same numbers in every precision."""
    return torch.randn(tuple(x.shape), generator=generator).to(x)


def _shaped(z, preconditioner):
    return z if preconditioner is None else preconditioner.apply(z)


def _drift(score, preconditioner):
    return score if preconditioner is None else preconditioner.apply_squared(score)


def langevin_step(
    x: torch.Tensor,
    score: torch.Tensor,
    step: float,
    z: torch.Tensor,
    preconditioner: Preconditioner | None = None,
) -> torch.Tensor:
    """Return x + step M M^T s + sqrt(2 step) M z (Eq. 29c; M = 1 without a preconditioner).

    Parameters
    ----------
    x, score, z : tensor, shape (B, C, H, W)
        State, score at the state, and plain N(0, 1) noise.
    step : float
        Step size.
    preconditioner : Preconditioner, optional
        M.
    """
    noise = z if preconditioner is None else preconditioner.apply(z)
    return x + step * _drift(score, preconditioner) + math.sqrt(2 * step) * noise


@torch.no_grad()
def sample_reverse_sde(
    model: NoiseModel,
    start: torch.Tensor,
    function_evaluations: int,
    generator: torch.Generator,
    preconditioner: Preconditioner | None = None,
    corrector_snr: float = 0.0,
) -> torch.Tensor:
    """Reverse diffusion (Euler-Maruyama), optionally with a Langevin corrector (Eq. 29b).

    Parameters
    ----------
    model : NoiseModel
        Noise predictor.
    start : tensor, shape (B, C, H, W)
        Unit normal noise, on the network's device.
    function_evaluations : int
        Network calls per sample; a corrector takes every second one.
    generator : torch.Generator
        CPU generator of all other noise.
    preconditioner : Preconditioner, optional
        PDS: drift M M^T s, noise M z, and the start passed through M.
    corrector_snr : float
        Signal-to-noise ratio of the Langevin corrector; 0 leaves it out.

    Returns
    -------
    tensor, shape (B, C, H, W)
        On the scale of [-1, 1].
    """
    per_level = 2 if corrector_snr else 1
    sigmas = sigma_grid(model, max(function_evaluations // per_level, 2))
    x = sigmas[0] * _shaped(start, preconditioner)
    for i, sigma in enumerate(sigmas):
        if corrector_snr:
            x = _correct(model, x, sigma, corrector_snr, generator, preconditioner)
        score = model.score(x, sigma)
        if i == len(sigmas) - 1:
            return x + sigma**2 * score  # the posterior mean: removes what noise is left
        variance = sigma**2 - sigmas[i + 1] ** 2
        x = x + variance * _drift(score, preconditioner)
        x = x + math.sqrt(variance) * _shaped(normal_like(x, generator), preconditioner)
    return x


@torch.no_grad()
def sample_langevin(
    model: NoiseModel,
    start: torch.Tensor,
    function_evaluations: int,
    generator: torch.Generator,
    preconditioner: Preconditioner | None = None,
    *,
    snr: float,
    steps_per_level: int = 2,
) -> torch.Tensor:
    """Annealed Langevin dynamics, optionally preconditioned (PDS); see `sample_reverse_sde`.

    Parameters
    ----------
    model, start, function_evaluations, generator, preconditioner
        As for `sample_reverse_sde`.
    snr : float
        Signal-to-noise ratio that sets the step size at each level.
    steps_per_level : int
        Langevin steps at each level.
    """
    sigmas = sigma_grid(model, max((function_evaluations - 1) // steps_per_level, 2))
    x = sigmas[0] * _shaped(start, preconditioner)
    for sigma in sigmas:
        for _ in range(steps_per_level):
            x = _correct(model, x, sigma, snr, generator, preconditioner)
    return x + sigmas[-1] ** 2 * model.score(x, sigmas[-1])


def _correct(model, x, sigma, snr, generator, preconditioner):
    """One Langevin step at ``sigma`` with the step size of the predictor-corrector sampler."""
    score = model.score(x, sigma)
    z = normal_like(x, generator)
    norm = score.flatten(1).norm(dim=1).mean()
    step = float((snr * z.flatten(1).norm(dim=1).mean() / norm) ** 2)
    return langevin_step(x, score, step, z, preconditioner)
