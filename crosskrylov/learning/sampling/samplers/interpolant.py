"""Stochastic interpolants: tunable diffusion (Albergo, Boffi and Vanden-Eijnden, 2023)."""

import itertools
import math

from crosskrylov.learning.sampling.registry import register, require_evaluations, require_option
from crosskrylov.learning.sampling.sde import normal_like, sigma_grid


@register(
    "interpolant",
    about="the family with the same marginals: kappa 0 is the flow, 1 reverse diffusion",
    order=None,
    evaluations_per_step=1,
    stochastic=True,
    fewest=2,
)
def interpolant(model, start, evaluations, generator, *, kappa: float = 0.5):
    """Run y <- y + (1 + kappa^2)/2 D s + kappa sqrt(D) z, D = sigma^2 - sigma_next^2 (Eq. 29k).

    kappa = 0 is the Euler step of the flow on the clock sigma^2 / 2 (and draws nothing), kappa = 1
    the step of ``reverse_sde``.

    Parameters
    ----------
    kappa : float
        Amplitude of the noise relative to reverse diffusion, >= 0.
    """
    require_option("interpolant", "kappa", kappa, kappa >= 0, "at least 0")
    require_evaluations("interpolant", evaluations, 2, "one step and the last denoising")
    sigmas = sigma_grid(model, evaluations)
    y = sigmas[0] * start
    for sigma, following in itertools.pairwise(sigmas):
        variance = sigma**2 - following**2
        y = y + (1 + kappa**2) / 2 * variance * model.score(y, sigma)
        if kappa:
            y = y + kappa * math.sqrt(variance) * normal_like(y, generator)
    return y + sigmas[-1] ** 2 * model.score(y, sigmas[-1])
