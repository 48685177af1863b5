"""Samplers by name, with function evaluations counted the same way for all."""

import time
import warnings
from dataclasses import dataclass

import numpy as np
import torch

import crosskrylov.runtime.torchvision_compat  # noqa: F401  (must come before diffusers)
from crosskrylov.errors import ConfigError
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.pds import Preconditioner
from crosskrylov.learning.sampling.sde import (
    sample_langevin,
    sample_probability_flow,
    sample_reverse_sde,
)
from crosskrylov.learning.schedule import NoiseLevels

#: diffusers scheduler class and its arguments.
_SCHEDULERS = {
    "ddpm": ("DDPMScheduler", {"clip_sample": False}),
    "ddim": ("DDIMScheduler", {"clip_sample": False}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": True}),
    "dpmsolver++": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "deis": ("DEISMultistepScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
}
_OWN = ("ode_rk45", "reverse_sde", "predictor_corrector", "langevin")
_PRECONDITIONED = ("pds_reverse_sde", "pds_predictor_corrector", "pds_langevin")

#: Every sampler that the config may name. ``heun`` is Heun's method on the probability-flow ODE,
#: ``ode_rk45`` the same ODE solved adaptively, ``pds_*`` the preconditioned variants.
SAMPLERS = (*_SCHEDULERS, *_OWN, *_PRECONDITIONED)


@dataclass(frozen=True)
class Samples:
    """Generated images.

    Attributes
    ----------
    images : tensor, shape (N, C, H, W), float32
        In [0, 1], on the CPU.
    function_evaluations : int
        Network evaluations per image that were really made.
    seconds : float
        Time of sampling.
    """

    images: torch.Tensor
    function_evaluations: int
    seconds: float


def scheduler_for(sampler: str, levels: NoiseLevels, steps: int):
    """Return a diffusers scheduler with ``steps`` steps, and the level of each of its times.

    The scheduler gets a schedule of just the levels to be visited, evenly spaced and ending at the
    last: some schedulers otherwise go to a level between those that they visit when ``steps`` does
    not divide the number of levels.

    Returns
    -------
    scheduler
        Ready to step; time t of it stands for level ``indices[t]``.
    indices : ndarray of int, shape (steps,)
    """
    import diffusers

    name, options = _SCHEDULERS[sampler]
    steps = min(steps, len(levels))
    if sampler == "deis":  # ends at the lowest level visited, the others at none
        indices = np.linspace(0, len(levels) - 1, steps).round().astype(int)
    else:
        indices = np.round(np.arange(1, steps + 1) * len(levels) / steps).astype(int) - 1
    visited = NoiseLevels(levels.alphas_cumprod[indices])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # conversions inside diffusers that NumPy deprecates
        scheduler = getattr(diffusers, name)(
            num_train_timesteps=steps,
            trained_betas=visited.betas.tolist(),
            prediction_type="epsilon",
            timestep_spacing="trailing",
            **options,
        )
        scheduler.set_timesteps(steps)
    return scheduler, indices


def draw_samples(
    network: torch.nn.Module,
    levels: NoiseLevels,
    sampler: str,
    function_evaluations: int,
    n_samples: int,
    image_shape: tuple[int, int, int],
    seed: int,
    *,
    preconditioner: Preconditioner | None = None,
    corrector_snr: float = 0.16,
    batch_size: int = 256,
) -> Samples:
    """Draw images from noise.

    Parameters
    ----------
    network : Module
        Noise predictor in eval mode.
    levels : NoiseLevels
        Its schedule.
    sampler : str
        One of `SAMPLERS`.
    function_evaluations : int
        Network evaluations per image to spend; the exact number made is in the result. ``ode_rk45``
        chooses its own number, with the tolerance 10 ** (-function_evaluations / 25).
    n_samples : int
        Number of images.
    image_shape : tuple
        (C, H, W).
    seed : int
        Seed of every draw; the same seed gives the same starting noise to every model.
    preconditioner : Preconditioner, optional
        Needed by the ``pds_*`` samplers.
    corrector_snr : float
        Signal-to-noise ratio of Langevin steps.
    batch_size : int
        Images per network call.

    Raises
    ------
    ConfigError
        If the sampler is unknown, or PDS lacks its filters.
    """
    if sampler not in SAMPLERS:
        raise ConfigError(f"Sampler {sampler!r} is unknown; allowed are {', '.join(SAMPLERS)}.")
    if sampler in _PRECONDITIONED and preconditioner is None:
        raise ConfigError(f"Sampler {sampler!r} needs PDS filters, made from training images.")
    device = next(network.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    start = time.perf_counter()
    parts, evaluations = [], 0
    for first in range(0, n_samples, batch_size):
        shape = (min(batch_size, n_samples - first), *image_shape)
        model = NoiseModel(network, levels)
        arguments = (model, shape, function_evaluations, generator, device)
        name = sampler.removeprefix("pds_")
        filters = preconditioner.to(device) if sampler in _PRECONDITIONED else None
        if sampler in _SCHEDULERS:
            x = _sample_with_scheduler(sampler, *arguments)
        elif name == "ode_rk45":
            tolerance = 10 ** (-function_evaluations / 25)
            x = sample_probability_flow(model, shape, generator, device, tolerance)
        elif name == "langevin":
            x = sample_langevin(*arguments, filters, snr=corrector_snr)
        else:
            snr = corrector_snr if name == "predictor_corrector" else 0.0
            x = sample_reverse_sde(*arguments, filters, corrector_snr=snr)
        evaluations = max(evaluations, model.evaluations)
        parts.append(((x.float() + 1) / 2).clamp(0, 1).cpu())
    return Samples(torch.cat(parts).contiguous(), evaluations, time.perf_counter() - start)


@torch.no_grad()
def _sample_with_scheduler(sampler, model, shape, function_evaluations, generator, device):
    """Run a diffusers scheduler with at most ``function_evaluations`` network calls."""
    # Heun calls the network twice per step, except in the last
    steps = (function_evaluations + 1) // 2 if sampler == "heun" else function_evaluations
    if sampler == "pndm":
        steps = max(steps - 1, 4)  # its second step takes two calls; its order needs four steps
    scheduler, indices = scheduler_for(sampler, model.levels, steps)
    x = torch.randn(shape, generator=generator).to(device) * scheduler.init_noise_sigma
    extra = {"generator": generator} if sampler == "ddpm" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        for t in scheduler.timesteps:
            level = float(np.interp(float(t), np.arange(len(indices)), indices))
            eps = model.at_level(scheduler.scale_model_input(x, t), level)
            x = scheduler.step(eps, t, x, **extra).prev_sample
    return x
