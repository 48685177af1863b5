"""Samplers of diffusers: its schedulers on the levels that are visited."""

import warnings

import numpy as np
import torch

import crosskrylov.runtime.torchvision_compat  # noqa: F401  (must come before diffusers)
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.registry import declared_samplers
from crosskrylov.learning.schedule import NoiseLevels


def scheduler_for(sampler: str, levels: NoiseLevels, steps: int):
    """Return a diffusers scheduler with ``steps`` steps, and the level of each of its times.

    The scheduler gets a schedule of just the levels to be visited, evenly spaced and ending at the
    last: some schedulers otherwise go to a level between those that they visit when ``steps`` does
    not divide the number of levels.

    Parameters
    ----------
    sampler : str
        A sampler whose declaration names a ``scheduler`` of diffusers and its ``arguments``.
    levels : NoiseLevels
        The schedule of the network.
    steps : int
        Number of steps, at most the number of levels.

    Returns
    -------
    scheduler
        Ready to step; time t of it stands for level ``indices[t]``.
    indices : ndarray of int, shape (steps,)
    """
    import diffusers

    facts = declared_samplers()[sampler].facts
    steps = min(steps, len(levels))
    if facts.get("ends", "zero") == "scaled":  # ends at the lowest level visited, others at none
        indices = np.linspace(0, len(levels) - 1, steps).round().astype(int)
    else:
        indices = np.round(np.arange(1, steps + 1) * len(levels) / steps).astype(int) - 1
    visited = NoiseLevels(levels.alphas_cumprod[indices])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # conversions inside diffusers that NumPy deprecates
        scheduler = getattr(diffusers, facts["scheduler"])(
            num_train_timesteps=steps,
            trained_betas=visited.betas.tolist(),
            prediction_type="epsilon",
            timestep_spacing="trailing",
            **facts["arguments"],
        )
        scheduler.set_timesteps(steps)
    return scheduler, indices


@torch.no_grad()
def sample_with_scheduler(
    sampler: str,
    model: NoiseModel,
    start: torch.Tensor,
    steps: int,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Run a diffusers scheduler over ``steps`` steps.

    Parameters
    ----------
    sampler : str
        As for `scheduler_for`.
    model : NoiseModel
        Noise predictor.
    start : tensor, shape (B, C, H, W)
        Unit normal noise.
    steps : int
        Number of steps.
    generator : torch.Generator, optional
        Generator of the noise of a stochastic scheduler.
    """
    scheduler, indices = scheduler_for(sampler, model.levels, steps)
    x = start * scheduler.init_noise_sigma
    extra = {} if generator is None else {"generator": generator}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        for t in scheduler.timesteps:
            level = float(np.interp(float(t), np.arange(len(indices)), indices))
            eps = model.at_level(scheduler.scale_model_input(x, t), level)
            x = scheduler.step(eps, t, x, **extra).prev_sample
    return x
