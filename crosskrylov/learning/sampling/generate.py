"""Samplers by name, with function evaluations counted the same way for all."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.pds import Preconditioner
from crosskrylov.learning.sampling.registry import (
    SamplerChoice,
    declared_samplers,
    make_sampler,
    sampler_choice,
    sampler_names,
    sampler_options,
)
from crosskrylov.learning.sampling.schedulers import scheduler_for
from crosskrylov.learning.schedule import NoiseLevels

__all__ = ["SAMPLERS", "Samples", "draw_samples", "scheduler_for"]

#: Every sampler that the config may name; what each is stands in its declaration.
SAMPLERS = sampler_names()

#: What a sampler may need, in words, for the message when it is not there.
_NEEDED = {"filters": "PDS filters, made from training images", "images": "the training images"}


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
    setup_evaluations : int
        Network calls that were made once for all images, on batches of their own.
    """

    images: torch.Tensor
    function_evaluations: int
    seconds: float
    setup_evaluations: int = 0


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, generator=generator)


def draw_samples(
    network: torch.nn.Module,
    levels: NoiseLevels,
    sampler: str | Mapping | SamplerChoice,
    function_evaluations: int,
    n_samples: int,
    image_shape: tuple[int, int, int],
    seed: int,
    *,
    preconditioner: Preconditioner | None = None,
    corrector_snr: float = 0.16,
    batch_size: int = 256,
    training_images: torch.Tensor | None = None,
    dtype: torch.dtype = torch.float32,
    clip: bool = True,
    draw_start: Callable[[tuple[int, ...], torch.Generator], torch.Tensor] = _normal,
) -> Samples:
    """Draw images from noise.

    Parameters
    ----------
    network : Module
        Noise predictor in eval mode.
    levels : NoiseLevels
        Its schedule.
    sampler : str or mapping
        One of `SAMPLERS`, or ``{method, options, name}``.
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
        Needed by the samplers that declare ``filters`` (``pds_*``).
    corrector_snr : float
        Signal-to-noise ratio of Langevin steps, where the sampler's options do not say it.
    batch_size : int
        Images per network call.
    training_images : tensor, shape (N, C, H, W), optional
        In [-1, 1]; needed by the samplers that declare ``images``.
    dtype : torch.dtype
        Precision of the state; float64 needs a network that takes it.
    clip : bool
        Keep the implied image in [-1, 1] (`NoiseModel`).
    draw_start : callable
        ``(shape, generator)`` to the noise that sampling starts from; unit normal by default.

    Raises
    ------
    ConfigError
        If the sampler or an option is unknown, what it needs is missing, or there are too few
        evaluations for it.
    """
    choice = sampler_choice(sampler)
    entry = declared_samplers()[choice.method]
    device = next(network.parameters()).device
    given = {
        "filters": None if preconditioner is None else preconditioner.to(device),
        "images": None if training_images is None else training_images.to(device, dtype),
    }
    needs = {name: given[name] for name in entry.facts.get("needs", ())}
    for name, value in needs.items():
        if value is None:
            raise ConfigError(f"Sampler {choice.method!r} needs {_NEEDED[name]}.")
    if "snr" in sampler_options(entry):
        choice = SamplerChoice(
            choice.label, choice.method, {"snr": corrector_snr, **choice.options}
        )
    run = make_sampler(choice)
    generator = torch.Generator().manual_seed(seed)
    started = time.perf_counter()
    parts, evaluations, setup = [], 0, 0
    for first in range(0, n_samples, batch_size):
        shape = (min(batch_size, n_samples - first), *image_shape)
        model = NoiseModel(network, levels, clip)
        start = draw_start(shape, generator).to(device, dtype)
        x = run(model, start, function_evaluations, generator, **needs)
        evaluations = max(evaluations, model.evaluations)
        setup += model.setup_evaluations
        parts.append(((x.float() + 1) / 2).clamp(0, 1).cpu())
    seconds = time.perf_counter() - started
    return Samples(torch.cat(parts).contiguous(), evaluations, seconds, setup)
