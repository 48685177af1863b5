"""Restorations from a linear measurement with a model of noised images that knows nothing of it.

A method is a function of a `Problem` and a number of network evaluations.  Each works as published,
in the variance-preserving scale on the model's own levels, and says here where it had to differ.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.inverse.conjugate_gradients import conjugate_gradients
from crosskrylov.learning.inverse.operators import Measurement, chosen
from crosskrylov.learning.inverse.posterior import posterior_weights
from crosskrylov.learning.sampling.model import NoiseModel


@dataclass(frozen=True)
class Problem:
    """Measurements, what made them, and the model of the images.

    Attributes
    ----------
    model : NoiseModel
        Noise predictor; not clipping.
    operator : Measurement
        H.
    measured : tensor, shape (B, C, M)
        b = H x + noise z.
    noise : float
        Standard deviation of the measurement's noise.
    images : tensor, shape (N, C, H, W)
        The data set, for the references alone.
    generator : torch.Generator
        Of whatever a method draws.
    """

    model: NoiseModel
    operator: Measurement
    measured: torch.Tensor
    noise: float
    images: torch.Tensor
    generator: torch.Generator

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return tuple(self.images.shape[2:])

    def draw(self) -> torch.Tensor:
        """Return unit normal noise of the shape of the restorations."""
        shape = (len(self.measured), *self.images.shape[1:])
        return torch.randn(shape, generator=self.generator, dtype=self.measured.dtype)


def exact_sample(problem: Problem, evaluations: int) -> torch.Tensor:
    """Draw from the exact posterior, which no method can do better than; evaluates no network."""
    del evaluations
    weights = posterior_weights(problem.measured, problem.images, problem.operator, problem.noise)
    drawn = torch.multinomial(weights, 1, generator=problem.generator)[:, 0]
    return problem.images.to(problem.measured)[drawn]


def pseudo_inverse(problem: Problem, evaluations: int) -> torch.Tensor:
    """Return the smallest image that fits: what the measurement says without any prior."""
    del evaluations
    return problem.operator.pseudo_inverse(problem.measured, problem.size)


def dds(
    problem: Problem,
    evaluations: int,
    *,
    cg_steps: int = 5,
    gamma: float = 1.0,
    eta: float = 0.85,
    cg_tolerance: float = 1e-5,
) -> torch.Tensor:
    """Decomposed diffusion sampling (Chung, Lee and Ye, 2024): Eq. 32b.

    Each image has inner products of its own, where the published code takes one over its batch of
    a single image.

    Parameters
    ----------
    cg_steps : int
        Iterations of conjugate gradients per evaluation, at least 1.
    gamma : float
        Weight of the measurement beside the posterior mean, >= 0; unused where there is no noise.
    eta : float
        Share of fresh noise, in [0, 1].
    cg_tolerance : float
        Norm of the residual at which they stop.
    """
    _require("dds", "cg_steps", cg_steps, cg_steps >= 1, "at least 1")
    _require("dds", "gamma", gamma, gamma >= 0, "at least 0")
    _require("dds", "eta", eta, 0 <= eta <= 1, "in [0, 1]")
    return _dds(problem, evaluations, problem.draw(), cg_steps, gamma, eta, cg_tolerance)


def _dds(problem, evaluations, x, cg_steps, gamma, eta, cg_tolerance):
    """Run `dds` from a starting noise (B, C, H, W)."""
    operator = problem.operator
    back = operator.adjoint(problem.measured, problem.size)
    for level, following in _descent(problem.model, evaluations):
        signal, noise = _scales(problem.model, level)
        eps = problem.model.at_level(x, level)
        mean = (x - noise * eps) / signal
        mean = data_consistent(operator, mean, back, problem.noise, gamma, cg_steps, cg_tolerance)
        if following is None:
            return mean
        signal, noise = _scales(problem.model, following)
        x = signal * mean + noise * (eta * problem.draw() + math.sqrt(1 - eta**2) * eps)
    raise AssertionError("unreachable: the last level has no following one")


def dds_searched_start(
    problem: Problem,
    evaluations: int,
    *,
    candidates: int = 16,
    references: int = 8,
    cg_steps: int = 5,
    gamma: float = 1.0,
    eta: float = 0.85,
    cg_tolerance: float = 1e-5,
) -> torch.Tensor:
    """Run `dds` from one starting noise for all, the best of some on images that are known.

    What the paper on optimal boundary conditions does, on top of `dds`; its own numbers of
    candidates and of references were not to be had.  The references are images of the data set,
    measured anew; the network evaluations of the search count as made once for all.

    Parameters
    ----------
    candidates : int
        Starting noises that are tried, at least 1.
    references : int
        Images that each is tried on, at least 1.
    cg_steps, gamma, eta, cg_tolerance : int, float
        Of `dds`.
    """
    _require("dds_searched_start", "candidates", candidates, candidates >= 1, "at least 1")
    _require("dds_searched_start", "references", references, references >= 1, "at least 1")
    options = (cg_steps, gamma, eta, cg_tolerance)
    data, generator = problem.images.to(problem.measured), problem.generator
    known = data[torch.randint(len(data), (references,), generator=generator)]
    clean = problem.operator(known)
    error = torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    measured = (clean + problem.noise * error).repeat(candidates, 1, 1)
    trial = replace(problem, measured=measured)
    starts = trial.draw()[:candidates]
    with problem.model.setup():
        restored = _dds(trial, evaluations, starts.repeat_interleave(references, dim=0), *options)
    errors = (restored - known.repeat(candidates, 1, 1, 1)).square().flatten(1).mean(1)
    best = starts[errors.unflatten(0, (candidates, references)).mean(1).argmin()]
    start = best.expand(len(problem.measured), *best.shape)
    return _dds(problem, evaluations, start, *options)


def data_consistent(
    operator: Measurement,
    mean: torch.Tensor,
    back: torch.Tensor,
    noise: float,
    gamma: float,
    steps: int,
    tolerance: float = 0.0,
) -> torch.Tensor:
    """Return what conjugate gradients make of a posterior mean (B, C, H, W), given H' b (Eq. 32b).

    Without noise they go from it towards the images with H x = b, with noise towards
    argmin |u - mean|^2 / 2 + gamma |b - H u|^2 / 2.
    """
    if noise == 0:
        return conjugate_gradients(operator.normal, back, mean, steps, tolerance)[0]

    def shifted(u):
        return u + gamma * operator.normal(u)

    return conjugate_gradients(shifted, mean + gamma * back, mean, steps, tolerance)[0]


def dps(problem: Problem, evaluations: int, *, scale: float = 1.0) -> torch.Tensor:
    """Diffusion posterior sampling (Chung et al., 2023): Eq. 32c.

    Ancestral steps, respaced to the number of evaluations; published with 1,000 and a learned
    variance, for which the posterior's smaller one stands here.

    Parameters
    ----------
    scale : float
        Length of the step along the gradient of the misfit's norm, >= 0.
    """
    _require("dps", "scale", scale, scale >= 0, "at least 0")
    x = problem.draw()
    for level, following in _descent(problem.model, evaluations):
        signal, noise = _scales(problem.model, level)
        with torch.enable_grad():
            x = x.requires_grad_()
            mean = (x - noise * problem.model.differentiable_at_level(x, level)) / signal
            misfit = (problem.measured - problem.operator(mean)).flatten(1)
            norms = torch.linalg.vector_norm(misfit, dim=1)
            (gradient,) = torch.autograd.grad(norms.sum(), x)
        x, mean = x.detach(), mean.detach()
        if following is None:
            return mean - scale * gradient
        signal_next, noise_next = _scales(problem.model, following)
        kept = (signal / signal_next) ** 2
        old = math.sqrt(kept) * (noise_next / noise) ** 2
        new = signal_next * (1 - kept) / noise**2
        spread = math.sqrt(1 - kept) * noise_next / noise
        x = old * x + new * mean + spread * problem.draw() - scale * gradient
    raise AssertionError("unreachable: the last level has no following one")


def red_diff(
    problem: Problem, evaluations: int, *, weight: float = 0.25, rate: float = 0.1
) -> torch.Tensor:
    """RED-diff (Mardani et al., 2024): Adam on one image, with the model as regulariser; Eq. 32d.

    Parameters
    ----------
    weight : float
        Of the regulariser, >= 0.
    rate : float
        Adam's, > 0; its betas are 0.9 and 0.99, as published.
    """
    _require("red_diff", "weight", weight, weight >= 0, "at least 0")
    _require("red_diff", "rate", rate, rate > 0, "above 0")
    operator = problem.operator
    image = operator.pseudo_inverse(problem.measured, problem.size).clone()
    adam = torch.optim.Adam([image], lr=rate, betas=(0.9, 0.99))
    for level, _ in _descent(problem.model, evaluations):
        signal, noise = _scales(problem.model, level)
        z = problem.draw()
        eps = problem.model.at_level(signal * image + noise * z, level)
        misfit = operator(image) - problem.measured
        # means over an image's pixels and over its measurements, as published
        image.grad = operator.adjoint(misfit, problem.size) / misfit[0].numel()
        image.grad += weight * (noise / signal) * (eps - z) / image[0].numel()
        adam.step()
    return image.detach()


#: Restorations by name; the keyword-only arguments are options.
METHODS: dict[str, Callable[..., torch.Tensor]] = {
    "exact_sample": exact_sample,
    "pseudo_inverse": pseudo_inverse,
    "dds": dds,
    "dds_searched_start": dds_searched_start,
    "dps": dps,
    "red_diff": red_diff,
}


def restoration(given: str | Mapping) -> Callable[[Problem, int], torch.Tensor]:
    """Return a configured method, ``restore(problem, evaluations)`` to images (B, C, H, W).

    Raises
    ------
    ConfigError
        If the method or an option is unknown.
    """
    choice = chosen(given, METHODS, "method")
    return partial(METHODS[choice.name], **choice.options)


def _descent(model: NoiseModel, evaluations: int):
    """Yield (level, the following one or None) from the noisiest to the lowest, equally spaced."""
    if evaluations < 2:
        raise ConfigError(
            f"A restoration needs at least 2 network evaluations; found {evaluations}: raise "
            "studies.inverse_problems.evaluations."
        )
    levels = np.linspace(len(model.levels) - 1, 0, evaluations)
    yield from itertools.pairwise([*map(float, levels), None])


def _scales(model: NoiseModel, level: float) -> tuple[float, float]:
    """Return A = sqrt(abar) and S = sqrt(1 - abar) of a level, possibly fractional."""
    sigmas = model.levels.sigmas
    sigma = math.exp(np.interp(level, np.arange(len(sigmas)), np.log(sigmas)))
    signal = 1 / math.sqrt(1 + sigma**2)
    return signal, signal * sigma


def _require(method, option, value, holds, allowed):
    if not holds:
        raise ConfigError(f"The method {method!r}: {option} is {value!r}; it must be {allowed}.")
