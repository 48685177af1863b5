"""Denoising diffusion consistent models: InfEdit's sampler (Xu et al., 2024)."""

import itertools
import math

import torch

from crosskrylov.learning.sampling.registry import register, require_evaluations, require_option
from crosskrylov.learning.sampling.sde import normal_like
from crosskrylov.learning.sampling.steps import denoised, sigma_steps, signal_of


@register(
    "ddcm",
    about="posterior mean noised afresh at every step: DDIM of maximal variance",
    order=None,
    evaluations_per_step=1,
    stochastic=True,
    fewest=2,
)
def ddcm(model, start, evaluations, generator, *, eta: float = 1.0, spacing: str = "geometric"):
    """Run x_next = A_next xhat + S_next (sqrt(1 - eta) eps + sqrt(eta) z) (Eq. 29l).

    eta = 1 is the published sampler, the same as multistep consistency sampling with the posterior
    mean; 0 is DDIM.

    Parameters
    ----------
    eta : float
        Share of fresh noise in the variance, in [0, 1].
    spacing : str
        See `sigma_steps`.
    """
    require_option("ddcm", "eta", eta, 0 <= eta <= 1, "in [0, 1]")
    require_evaluations("ddcm", evaluations, 2, "one step and the last denoising")
    sigmas = sigma_steps(model, evaluations, spacing)
    y = sigmas[0] * start
    for sigma, following in itertools.pairwise(sigmas):
        clean = denoised(model, y, sigma)
        noise = math.sqrt(1 - eta) * (y - clean) / sigma
        if eta:
            noise = noise + math.sqrt(eta) * normal_like(y, generator)
        y = clean + following * noise
    return denoised(model, y, sigmas[-1])


def consistent_noise(x: torch.Tensor, image: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return (x - A x_0) / S, with which the chain ends at a known image ("virtual inversion").

    Parameters
    ----------
    x : tensor, shape (B, C, H, W)
        State x = A y at level sigma.
    image : tensor, shape (B, C, H, W)
        x_0, in [-1, 1].
    sigma : float
        The level.
    """
    signal = signal_of(sigma)
    return (x - signal * image) / (signal * sigma)
