"""Samplers that can be run backwards, from image to noise, and how exactly they come back.

Such a scheme carries a pair of states down the levels, and a step of it can be solved for the
older pair without an implicit equation.  "Exactly" holds in exact arithmetic only: an inverse that
multiplies by more than one per step multiplies the rounding of the state with it.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.registry import require_evaluations
from crosskrylov.learning.sampling.steps import denoised, sigma_steps

Pair = tuple[torch.Tensor, torch.Tensor]


class ReversibleSampler:
    """A scheme on pairs of states y = x_0 + sigma z, with its inverse.

    Called like any sampler: it ends with the posterior mean at the lowest level, which is no part
    of the invertible map.
    """

    name = ""
    spacing = "geometric"
    evaluations_per_step = 1

    def __call__(self, model, start, evaluations, generator):
        """Sample."""
        sigmas = self.sigmas(model, evaluations)
        pair = self.down(model, sigmas, self.enter(model, sigmas, sigmas[0] * start))
        return denoised(model, self.image(pair), sigmas[-1])

    def sigmas(self, model: NoiseModel, evaluations: int) -> np.ndarray:
        """Return the levels that so many evaluations visit, the last one for the posterior mean."""
        fewest = 2 * self.evaluations_per_step + 1
        require_evaluations(self.name, evaluations, fewest, "two steps and the last denoising")
        return sigma_steps(model, (evaluations - 1) // self.evaluations_per_step + 1, self.spacing)

    def enter(self, model: NoiseModel, sigmas: np.ndarray, y: torch.Tensor) -> Pair:
        """Return the first pair, from y at the highest level."""
        raise NotImplementedError

    def down(self, model: NoiseModel, sigmas: np.ndarray, pair: Pair) -> Pair:
        """Return the last pair, from the first."""
        raise NotImplementedError

    def leave(self, model: NoiseModel, sigmas: np.ndarray, y: torch.Tensor) -> Pair:
        """Return a last pair, from y at the lowest level."""
        raise NotImplementedError

    def up(self, model: NoiseModel, sigmas: np.ndarray, pair: Pair) -> Pair:
        """Return the first pair, from the last: the inverse of `down`."""
        raise NotImplementedError

    def noise(self, pair: Pair) -> torch.Tensor:
        """Return the state at the highest level, from the first pair."""
        return pair[0]

    def image(self, pair: Pair) -> torch.Tensor:
        """Return the state at the lowest level, from the last pair."""
        return pair[1]


class TwoStepSampler(ReversibleSampler):
    """A two-step recurrence: the pair holds the states of two neighbouring levels.

    A scheme says how the next state follows from two (`forward`), and the older from two
    (`backward`), given the noise predicted at the middle one.
    """

    def enter(self, model, sigmas, y):
        """Take one Euler step down."""
        return y, y + (sigmas[1] - sigmas[0]) * model.at_sigma(y, sigmas[0])

    def leave(self, model, sigmas, y):
        """Take one Euler step up."""
        return y + (sigmas[-2] - sigmas[-1]) * model.at_sigma(y, sigmas[-1]), y

    def down(self, model, sigmas, pair):
        """Apply `forward` at every level between the first and the last."""
        older, newer = pair
        for around in zip(sigmas[:-2], sigmas[1:-1], sigmas[2:], strict=True):
            eps = model.at_sigma(newer, around[1])
            older, newer = newer, self.forward(older, newer, eps, *around)
        return older, newer

    def up(self, model, sigmas, pair):
        """Apply `backward` at the same levels in turn."""
        older, newer = pair
        for around in zip(sigmas[-3::-1], sigmas[-2:0:-1], sigmas[:1:-1], strict=True):
            eps = model.at_sigma(older, around[1])
            older, newer = self.backward(newer, older, eps, *around), older
        return older, newer

    def forward(self, older, middle, eps, above, here, below):
        """Return the state at sigma ``below``."""
        raise NotImplementedError

    def backward(self, newer, middle, eps, above, here, below):
        """Return the state at sigma ``above``."""
        raise NotImplementedError


class NaiveInversion(ReversibleSampler):
    """DDIM and what is commonly called its inversion: Euler steps up with the noise seen below.

    The yardstick: it comes back with an error of first order, whatever the precision.
    """

    name = "ddim inversion"

    def enter(self, model, sigmas, y):
        """Nothing to prepare."""
        return y, y

    def leave(self, model, sigmas, y):
        """Nothing to prepare."""
        return y, y

    def down(self, model, sigmas, pair):
        """Take Euler steps down."""
        return self._euler(model, sigmas, pair[0])

    def up(self, model, sigmas, pair):
        """Take Euler steps up."""
        return self._euler(model, sigmas[::-1], pair[0])

    @staticmethod
    def _euler(model, sigmas, y):
        for here, there in itertools.pairwise(sigmas):
            y = y + (there - here) * model.at_sigma(y, here)
        return y, y


@dataclass(frozen=True)
class RoundTrip:
    """There and back.

    Attributes
    ----------
    error : float
        RMS difference of what came back.
    latent : tensor, shape (B, C, H, W)
        What stood at the other end: recovered noise (divided by the largest sigma), or images.
    """

    error: float
    latent: torch.Tensor


def image_round_trip(
    sampler: ReversibleSampler, model: NoiseModel, images: torch.Tensor, evaluations: int
) -> RoundTrip:
    """Go from images to noise and back; the noise is a pair of states, and both are kept.

    Parameters
    ----------
    sampler : ReversibleSampler
        The scheme.
    model : NoiseModel
        Noise predictor.
    images : tensor, shape (B, C, H, W)
        In [-1, 1], taken for states of the lowest level; their precision is that of the trip.
    evaluations : int
        As for sampling.
    """
    sigmas = sampler.sigmas(model, evaluations)
    first = sampler.up(model, sigmas, sampler.leave(model, sigmas, images))
    back = sampler.image(sampler.down(model, sigmas, first))
    return RoundTrip(_rms(back - images), sampler.noise(first) / sigmas[0])


def noise_round_trip(
    sampler: ReversibleSampler, model: NoiseModel, start: torch.Tensor, evaluations: int
) -> RoundTrip:
    """Go from unit normal noise to images and back; see `image_round_trip`."""
    sigmas = sampler.sigmas(model, evaluations)
    last = sampler.down(model, sigmas, sampler.enter(model, sigmas, sigmas[0] * start))
    back = sampler.noise(sampler.up(model, sigmas, last)) / sigmas[0]
    return RoundTrip(_rms(back - start), sampler.image(last))


def invert(
    sampler: ReversibleSampler | Callable, model: NoiseModel, images: torch.Tensor, evaluations: int
) -> torch.Tensor:
    """Return the noise, of unit variance where it fits the model, that images come from."""
    return image_round_trip(sampler, model, images, evaluations).latent


def moments(noise: torch.Tensor) -> dict[str, float]:
    """Return mean, variance and excess kurtosis of recovered noise: 0, 1 and 0 if it is normal."""
    values = noise.double().flatten()
    centred = values - values.mean()
    variance = float(centred.square().mean())
    return {
        "mean": float(values.mean()),
        "variance": variance,
        "kurtosis": float(centred.pow(4).mean()) / variance**2 - 3,
    }


def _rms(difference: torch.Tensor) -> float:
    return float(difference.double().square().mean().sqrt())
