"""How far a sampler is from the probability flow that it solves, with the exact model.

The reference is the flow dy/dsigma = eps(y, sigma) solved in float64, in log sigma, by SciPy's
DOP853 (order 8) with relative and absolute tolerance 1e-10.  A sampler gets the same starting point
and works in float64 too; nothing is clipped, since clipping makes eps non-smooth and hides every
order above one.  All of them stop at the same lowest level, and what is compared is the posterior
mean there: a sampler that ends with the noised state has it taken, and the evaluation counted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.integrate import solve_ivp

from crosskrylov.errors import ConfigError
from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.registry import (
    SamplerChoice,
    declared_samplers,
    make_sampler,
    sampler_choice,
)
from crosskrylov.learning.schedule import NoiseLevels

TOLERANCE = 1e-10


def flow_solution(
    model: NoiseModel, start: torch.Tensor, sigmas: Sequence[float], tolerance: float = TOLERANCE
) -> list[torch.Tensor]:
    """Solve the probability flow and return the unscaled state y at each of ``sigmas``.

    Parameters
    ----------
    model : NoiseModel
        Noise predictor; not clipping.
    start : tensor, shape (B, C, H, W), float64
        y at ``sigmas[0]``.
    sigmas : sequence of float
        Decreasing (denoising) or increasing (towards noise), at least two.
    tolerance : float
        Relative and absolute, of DOP853.

    Returns
    -------
    list of tensor, shape (B, C, H, W), float64
    """

    def velocity(log_sigma, flat):
        sigma = math.exp(log_sigma)
        y = torch.as_tensor(flat).reshape(start.shape).to(start.device)
        return sigma * model.at_sigma(y, sigma).cpu().numpy().ravel()

    places = np.log(np.asarray(sigmas, dtype=float))
    path = solve_ivp(
        velocity,
        (places[0], places[-1]),
        start.double().cpu().numpy().ravel(),
        "DOP853",
        t_eval=places,
        rtol=tolerance,
        atol=tolerance,
    )
    return [torch.as_tensor(y).reshape(start.shape).to(start.device) for y in path.y.T]


@dataclass(frozen=True)
class Deviation:
    """Where a sampler ended, less where the flow does.

    Attributes
    ----------
    difference : tensor, shape (B, C, H, W), float64
    evaluations : int
        Network evaluations that were made.
    setup_evaluations : int
        Those made once for all samples, on batches of their own.
    """

    difference: torch.Tensor
    evaluations: int
    setup_evaluations: int


class ExactReference:
    """The exact model on a data set, a batch of starting points, and where the flow takes them.

    Parameters
    ----------
    images : tensor, shape (N, C, H, W)
        The data set, in [-1, 1]; small.
    sigma_min, sigma_max : float
        Lowest and highest level. A mixture of points turns into jumps at small sigma, so that an
        order shows only down to a level where its components still overlap.
    n_samples : int
        Number of starting points.
    seed : int
        Seed of them.
    """

    def __init__(
        self,
        images: torch.Tensor,
        *,
        sigma_min: float = 2.0,
        sigma_max: float = 20.0,
        n_samples: int = 16,
        seed: int = 0,
    ):
        self.images = images.double()
        self.sigma_min, self.sigma_max = sigma_min, sigma_max
        generator = torch.Generator().manual_seed(seed)
        shape = (n_samples, *images.shape[1:])
        self.start = torch.randn(shape, generator=generator, dtype=torch.float64)

    def model(self, count: int = 100) -> NoiseModel:
        """Return the exact model on ``count`` levels, geometric, without clipping."""
        levels = NoiseLevels.geometric(count, self.sigma_min, self.sigma_max)
        return NoiseModel(ExactNetwork(self.images, levels), levels, clip=False)

    @cached_property
    def lowest(self) -> torch.Tensor:
        """The reference's y at ``sigma_min``."""
        ends = (self.sigma_max, self.sigma_min)
        return flow_solution(self.model(), self.sigma_max * self.start, ends)[-1]

    def solution(self) -> torch.Tensor:
        """Return the posterior mean where the flow reaches the lowest level."""
        return self._posterior_mean(self.model(), self.lowest)

    def _posterior_mean(self, model: NoiseModel, lowest: torch.Tensor) -> torch.Tensor:
        """Return the posterior mean of a state y at the lowest level."""
        return lowest - self.sigma_min * model.at_sigma(lowest, self.sigma_min)

    def run(
        self,
        sampler: str | Mapping | SamplerChoice,
        evaluations: int,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> tuple[torch.Tensor, int]:
        """Return what a sampler makes of the starting points, and its number of evaluations."""
        found, model = self._drawn(sampler_choice(sampler), evaluations, dtype, seed)
        return found, model.evaluations

    def deviation(
        self, sampler: str | Mapping | SamplerChoice, evaluations: int, dtype=torch.float64
    ) -> "Deviation":
        """Return how far a sampler ends from the flow, for each of the starting points.

        That is the distance of posterior means. A sampler that ends with the state itself
        (``ends``) gets one evaluation less, for its posterior mean.

        Raises
        ------
        ConfigError
            For a stochastic sampler: it follows no solution of the flow.
        """
        choice = sampler_choice(sampler)
        facts = declared_samplers()[choice.method].facts
        if facts["stochastic"]:
            raise ConfigError(
                f"Sampler {choice.method!r} is stochastic: it has no discretisation error against "
                "the probability flow."
            )
        ends = facts.get("ends", "zero")
        if ends == "zero":
            found, model = self._drawn(choice, evaluations, dtype, 0)
        else:
            fewest = facts.get("fewest", 1)
            lowest, model = self._drawn(choice, max(evaluations - 1, fewest), dtype, 0)
            scale = math.sqrt(1 + self.sigma_min**2) if ends == "scaled" else 1.0
            found = self._posterior_mean(model, scale * lowest)
        difference = found.double() - self.solution()
        return Deviation(difference, model.evaluations, model.setup_evaluations)

    def _drawn(self, choice: SamplerChoice, evaluations: int, dtype: torch.dtype, seed: int):
        facts = declared_samplers()[choice.method].facts
        # just the levels that a scheduler of diffusers visits: it must end where the reference does
        model = self.model(max(-(-evaluations // facts["evaluations_per_step"]) - 1, 3))
        start = self.start
        if "scheduler" in facts and self._starts_at_unit_variance(choice.method, model):
            start = start * self.sigma_max / math.sqrt(1 + self.sigma_max**2)
        generator = torch.Generator().manual_seed(seed)
        needs = {"images": self.images.to(dtype)} if "images" in facts.get("needs", ()) else {}
        made = make_sampler(choice)(model, start.to(dtype), evaluations, generator, **needs)
        return made, model

    @staticmethod
    def _starts_at_unit_variance(method: str, model: NoiseModel) -> bool:
        """Whether a scheduler takes N(0, 1) for x_T, whose variance is a little smaller."""
        from crosskrylov.learning.sampling.schedulers import scheduler_for

        scheduler, _ = scheduler_for(method, model.levels, len(model.levels))
        return float(scheduler.init_noise_sigma) == 1.0


def discretisation_error(
    reference: ExactReference,
    sampler: str | Mapping | SamplerChoice,
    evaluations: int,
    dtype: torch.dtype = torch.float64,
) -> tuple[float, int]:
    """Return RMS(x_0 - x_0 of the reference), and the network evaluations that were made (29f).

    Raises
    ------
    ConfigError
        For a stochastic sampler: it follows no solution of the flow.
    """
    found = reference.deviation(sampler, evaluations, dtype)
    return float(found.difference.square().mean().sqrt()), found.evaluations


def observed_order(
    reference: ExactReference,
    sampler: str | Mapping | SamplerChoice,
    evaluations: Sequence[int],
) -> float:
    """Return minus the slope of log error against log evaluations, by least squares."""
    found = [discretisation_error(reference, sampler, n) for n in evaluations]
    return _slope(found)


def _slope(found: Sequence[tuple[float, int]]) -> float:
    errors, made = zip(*found, strict=True)
    return float(-np.polyfit(np.log(made), np.log(errors), 1)[0])


def order_table(
    reference: ExactReference,
    samplers: Sequence[str | Mapping | SamplerChoice],
    evaluations: Sequence[int],
) -> list[dict]:
    """Return a row per sampler and number of evaluations, for tables and figures.

    Each has ``sampler`` (its label), ``function_evaluations`` (made), ``error`` (29f),
    ``declared_order`` and ``observed_order``, the slope over all its evaluations; a stochastic
    sampler has no row.
    """
    rows = []
    for given in samplers:
        choice = sampler_choice(given)
        facts = declared_samplers()[choice.method].facts
        if facts["stochastic"]:
            continue
        found = [discretisation_error(reference, choice, n) for n in evaluations]
        rows += [
            {
                "sampler": choice.label,
                "function_evaluations": made,
                "error": error,
                "declared_order": facts["order"],
                "observed_order": _slope(found),
            }
            for error, made in found
        ]
    return rows
