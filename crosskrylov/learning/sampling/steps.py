"""What samplers in the unscaled coordinates y = x_0 + sigma z share: levels, multistep weights."""

from collections.abc import Sequence

import numpy as np
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.sampling.model import NoiseModel

SPACINGS = ("geometric", "uniform", "levels")


def sigma_steps(model: NoiseModel, count: int, spacing: str = "geometric") -> np.ndarray:
    """Return ``count`` sigmas, decreasing, from the largest to the smallest trained one.

    Parameters
    ----------
    model : NoiseModel
        Its schedule gives the ends.
    count : int
        At least two.
    spacing : {"geometric", "uniform", "levels"}
        Equal steps of log sigma, of sigma, or of the schedule's levels.

    Raises
    ------
    ConfigError
        For another spacing.
    """
    sigmas = model.levels.sigmas
    if spacing == "geometric":
        return np.geomspace(sigmas[-1], sigmas[0], count)
    if spacing == "uniform":
        return np.linspace(sigmas[-1], sigmas[0], count)
    if spacing == "levels":
        places = np.linspace(len(sigmas) - 1, 0, count)
        return np.exp(np.interp(places, np.arange(len(sigmas)), np.log(sigmas)))
    raise ConfigError(f"Spacing is {spacing!r}; allowed are {', '.join(SPACINGS)}.")


def signal_of(sigma: float) -> float:
    """Return A = sqrt(abar) of the level sigma: x = A y in the variance-preserving scale."""
    return float(1 / np.sqrt(1 + sigma**2))


def denoised(model: NoiseModel, y: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return the posterior mean y - sigma eps(y, sigma): one network call."""
    return y - sigma * model.at_sigma(y, sigma)


def exponential_increment(
    sigmas: Sequence[float],
    outputs: Sequence[torch.Tensor],
    target: float,
    order: int,
    exact: bool = False,
) -> torch.Tensor:
    """Return the step of DPM-Solver (noise form, multistep) in y: y_target = y + increment.

    With lambda = -log sigma and h = lambda_target - lambda_0, the noise is expanded to the given
    order in lambda from its last values, and integrated exactly against e^-lambda.

    Parameters
    ----------
    sigmas : sequence of float
        Levels of the last evaluations, oldest first; the last one is where y stands.
    outputs : sequence of tensor
        The predicted noises there.
    target : float
        Level to go to.
    order : int
        1 to 3; lowered to the number of evaluations at hand.
    exact : bool
        Integrate the Taylor polynomial exactly. The published multistep formula (and that of
        diffusers) has h (e^h - 1) / 2 for the integral of order two, and half of the curvature
        term of order three, which leaves that at order two.
    """
    order = min(order, len(outputs))
    lambdas = -np.log(np.asarray(sigmas[-order:], dtype=float))[::-1]
    newest = list(outputs)[::-1]
    h = -np.log(target) - lambdas[0]
    grown = np.expm1(h)
    increment = -grown * newest[0]
    if order > 1:
        first = h / (lambdas[0] - lambdas[1]) * (newest[0] - newest[1])
        if order == 2:
            increment = increment - (grown / h - 1 if exact else 0.5 * grown) * first
        else:
            r0 = (lambdas[0] - lambdas[1]) / h
            r1 = (lambdas[1] - lambdas[2]) / h
            change = first - (newest[1] - newest[2]) / r1
            slope, curvature = first + r0 / (r0 + r1) * change, change / (r0 + r1)
            increment = increment - (grown / h - 1) * slope
            increment = increment - (1 + exact) * ((grown - h) / h**2 - 0.5) * curvature
    return target * increment


def unipc_step(
    y: torch.Tensor,
    lambdas: Sequence[float],
    outputs: Sequence[torch.Tensor],
    target: float,
    order: int,
    found: torch.Tensor | None = None,
    form: str = "image",
) -> torch.Tensor:
    """Return one step of UniPC (bh2) in y: predictor, or corrector with ``found``.

    The outputs are interpolated in lambda = -log sigma and integrated exactly, but for a single
    difference, which has the published weight 1/2: the predictor of order 1 is DDIM in either form,
    that of order 2 DPM-Solver++ (image) or DPM-Solver (noise).

    Parameters
    ----------
    y : tensor, shape (B, C, H, W)
        State at ``lambdas[-1]``.
    lambdas : sequence of float
        -log sigma of the last outputs, oldest first.
    outputs : sequence of tensor
        Predicted images there, or noises.
    target : float
        lambda to go to.
    order : int
        At least 1; lowered to the number of outputs at hand.
    found : tensor, optional
        Output at the target, predicted from the state of the predictor.
    form : {"image", "noise"}
        What the outputs are.
    """
    newest, h = outputs[-1], target - lambdas[-1]
    differences, backs = [], []
    for k in range(2, min(order, len(outputs)) + 1):
        backs.append((lambdas[-k] - lambdas[-1]) / h)
        differences.append((outputs[-k] - newest) / backs[-1])
    if found is not None:
        backs.append(1.0)
        differences.append(found - newest)
    signed = h if form == "noise" else -h
    grown = np.expm1(signed)
    if form == "noise":
        scale = np.exp(-target) * grown
        new = y - scale * newest
    else:
        scale = grown
        new = np.exp(-h) * y - scale * newest
    for weight, difference in zip(_unipc_weights(backs, signed), differences, strict=True):
        new = new - scale * weight * difference
    return new


def _unipc_weights(backs: Sequence[float], signed: float) -> Sequence[float]:
    """Return the weights of differences at ``backs``, in steps from the newest output."""
    if len(backs) < 2:
        return [0.5] * len(backs)
    moments, grown = [], np.expm1(signed)
    moment, factorial = grown / signed - 1, 1.0
    for k in range(1, len(backs) + 1):
        moments.append(factorial * moment / grown)
        factorial *= k + 1
        moment = moment / signed - 1 / factorial
    powers = np.vander(backs, increasing=True).T
    return np.linalg.solve(powers, moments)
