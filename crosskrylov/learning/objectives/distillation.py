"""Progressive distillation (Salimans and Ho, 2022), without guidance.

A step of the student is to do what two DDIM steps of its teacher do; then the student becomes the
teacher of one with half as many steps.  The network predicts the velocity of the straight path,
since a predicted noise says next to nothing of the image where there is almost only noise.
"""

import copy

import numpy as np
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.base import Objective, Setting, register
from crosskrylov.learning.objectives.flow_matching import VelocityAsNoise, VelocityObjective
from crosskrylov.learning.schedule import NoiseLevels


@register("distilled", experiments={"study": "geometric"}, teacher="flow_matching", fits="ddim")
def distilled(
    setting: Setting, *, first_steps: int = 32, last_steps: int = 4, updates: int = 1000
) -> Objective:
    """Return the distance of a step from two of the teacher's, its steps halved on the way."""
    return ProgressiveDistillation(
        setting.images * 2 - 1,
        setting.levels,
        setting.batch_size,
        first_steps=first_steps,
        last_steps=last_steps,
        updates=updates,
    )


class ProgressiveDistillation(VelocityObjective):
    """max(1 / sigma^2, 1) |x~ - x_0^|^2 with x~ the image for which one step ends where two do.

    Parameters
    ----------
    images, levels, batch_size
        As for `VelocityObjective`.
    first_steps, last_steps : int
        Steps of the first teacher and of the last student, a power of two apart.
    updates : int
        Losses between two halvings.

    Attributes
    ----------
    steps : int
        Optimiser steps of the whole distillation.
    evaluations : int
        Network evaluations of a sample that the last student was made for.

    Raises
    ------
    ConfigError
        If the numbers of steps cannot be halved into each other.
    """

    def __init__(self, images, levels, batch_size, *, first_steps, last_steps, updates):
        super().__init__(images, levels, batch_size)
        halvings = np.log2(first_steps / last_steps)
        if halvings < 1 or halvings % 1:
            raise ConfigError(
                f"Model 'distilled': options are first_steps {first_steps}, last_steps "
                f"{last_steps}; the first must be the second times a power of two."
            )
        self.first_steps, self.evaluations, self.updates = first_steps, last_steps, updates
        self.steps = updates * int(halvings)
        self._taken, self._teacher = 0, None

    def loss(self, network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        """Return the loss of one random batch; every ``updates`` losses the steps are halved."""
        if self._taken % self.updates == 0 and self._taken < self.steps:
            self._teacher = copy.deepcopy(network).requires_grad_(False).eval()
        halvings = min(self._taken, self.steps - 1) // self.updates + 1
        self._taken += 1
        fine = step_sigmas(self.levels, self.first_steps // 2 ** (halvings - 1))
        device = self.images.device
        count = self.batch_size
        index = torch.randint(len(self.images), (count,), generator=generator).to(device)
        k = torch.randint(len(fine) // 2, (count,), generator=generator).numpy()
        clean = self.images[index]
        z = torch.randn(tuple(clean.shape), generator=generator).to(device)
        start, middle, end = (
            torch.as_tensor(part).to(clean)[:, None, None, None]
            for part in (fine[2 * k], fine[2 * k + 1], np.append(fine, 0.0)[2 * k + 2])
        )
        y = clean + start * z
        with torch.no_grad():
            between = y + (middle - start) * self._noise(self._teacher, y, start)
            after = between + (end - middle) * self._noise(self._teacher, between, middle)
            target = (start * after - end * y) / (start - end)
        found = y - start * self._noise(network, y, start)
        weight = start.square().reciprocal().clamp(min=1)
        return (weight * (found - target).square()).mean()

    def _noise(self, network, y, sigma):
        places = np.interp(
            np.log(sigma.flatten().cpu().numpy()),
            np.log(self.levels.sigmas),
            np.arange(len(self.levels)),
        )
        predictor = VelocityAsNoise(network, self.levels)
        return predictor(y / (1 + sigma**2).sqrt(), torch.as_tensor(places)).sample


def step_sigmas(levels: NoiseLevels, steps: int) -> np.ndarray:
    """Return the levels that DDIM visits in so many steps, decreasing; the last one ends at 0.

    Every second one of twice the steps, so that a student's steps are pairs of its teacher's.
    """
    indices = np.round(np.arange(1, steps + 1) * len(levels) / steps).astype(int) - 1
    return levels.sigmas[indices[::-1]]
