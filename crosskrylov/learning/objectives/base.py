"""What a model's module needs: the protocol of an objective, what it is built from, `register`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch

from crosskrylov.learning.schedule import NoiseLevels

Builder = TypeVar("Builder", bound=Callable)


class Objective(Protocol):
    """One training objective with the data that it needs."""

    def to(self, device: torch.device) -> "Objective":
        """Move the data to ``device`` and return the objective."""
        ...

    def loss(self, network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        """Return the scalar loss of one random batch; every draw comes from ``generator``.

        The generator lives on the CPU whatever the device, so that a run sees the same random
        numbers everywhere.
        """
        ...


@dataclass(frozen=True)
class Setting:
    """What an experiment gives to a model for its objective.

    Attributes
    ----------
    images : tensor, shape (N, C, H, W)
        Training images in [0, 1].
    times : tensor, shape (S,)
        Embedded times; empty where the experiment has a noise schedule and no times.
    embedded : tensor, shape (N, S, C, H, W), or None
        Embedded images in [0, 1], for models that declare ``scores``.
    levels : NoiseLevels or None
        The schedule that the model declares for the experiment; None: the single level ``noise``.
    visited : tensor of int, shape (V,), or None
        For models that declare ``restricted``: the levels that denoising visits; None: all.
    batch_size : int
        Noised images per optimiser step.
    noise : float
        lambda, the noise of the single level, intensity units.
    diffusion : float
        g of the published loss.
    final_time : float
        T, the end of ``times``.
    scaled : bool
        The network's output is lambda times the score, as the model declares.
    flow : callable or None
        Unit noises (N, C, H, W) to the images, in [-1, 1], that the flow of the network makes of
        them which a model with a ``teacher`` starts from.
    seed : int
        Of what is drawn or trained before the first step.
    """

    images: torch.Tensor
    times: torch.Tensor
    embedded: torch.Tensor | None
    levels: NoiseLevels | None
    batch_size: int
    noise: float
    diffusion: float
    final_time: float
    scaled: bool
    visited: torch.Tensor | None = None
    flow: Callable[[torch.Tensor], torch.Tensor] | None = None
    seed: int = 0

    @property
    def published_weight(self) -> float:
        """The constant factor 1 / (2 g^2) of the published loss."""
        return 1 / (2 * self.diffusion**2)


def register(name: str, **facts) -> Callable[[Builder], Builder]:
    """Declare a model: the decorated function builds its objective from a `Setting`.

    The declaration is read from the file's text (`crosskrylov.learning.objectives.index`), so that
    its arguments must be literals. Several declarations above one function are models of the same
    training that differ in what they declare.

    Parameters
    ----------
    name : str
        Name of the model in the configuration and in every table.
    **facts
        Attributes of `crosskrylov.learning.objectives.index.Model`.
    """
    return lambda build: build


def noise_predictor(
    objective: Objective,
    network: torch.nn.Module,
    count: int = 1,
    generator: torch.Generator | None = None,
) -> torch.nn.Module:
    """Return the noise predictor that a network trained on ``objective`` is for samplers.

    That is the network itself, unless the objective has a method ``predictor(network, count,
    generator)``: its network's output is no noise, or needs a condition for each sample.
    """
    make = getattr(objective, "predictor", None)
    return network if make is None else make(network, count, generator)


def standard_normal(
    shape: tuple[int, ...], generator: torch.Generator, device: torch.device
) -> torch.Tensor:
    """Return N(0, 1) noise of ``shape``, drawn on the CPU and moved to ``device``."""
    return torch.randn(shape, generator=generator).to(device)
