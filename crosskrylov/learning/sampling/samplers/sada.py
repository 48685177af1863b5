"""SADA, its step-wise half: calls spared where the trajectory is stable (Jiang et al., 2025)."""

import math

import torch

from crosskrylov.learning.sampling.registry import register, require_evaluations, require_option
from crosskrylov.learning.sampling.steps import sigma_steps, signal_of


def flow_slope(y: torch.Tensor, eps: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return dx/d log sigma = S eps - S^2 x of x = A y along the flow."""
    signal = signal_of(sigma)
    noise = signal * sigma
    return noise * eps - noise**2 * signal * y


def predicted(x: torch.Tensor, slopes: list[torch.Tensor], step: float) -> torch.Tensor:
    """Return the predictor of x one step further down, from the last three slopes, newest first."""
    return x - step * (0.625 * slopes[0] + 0.75 * slopes[1] - 0.375 * slopes[2])


@register(
    "sada",
    about="DPM-Solver++ of order 2 that skips evaluations where the trajectory is stable",
    order=None,
    evaluations_per_step=1,
    stochastic=False,
    fewest=5,
    adaptive=True,
)
def sada(
    model,
    start,
    evaluations,
    generator,
    *,
    max_skips: int = 4,
    first: float = 0.2,
    last: float = 0.94,
    skip: bool = True,
    spacing: str = "geometric",
):
    """Take ``evaluations`` steps and spare some of their network calls (Eq. 29n).

    With f = dx/d log sigma along the flow (x = A y) and d the step of log sigma, the published
    predictor x_n - d (5/8 f_n + 3/4 f_{n-1} - 3/8 f_{n-2}), whose weights sum to one but match no
    higher order, is compared with the solver's x_{n+1}. Where the mean of (x_{n+1} - predictor)
    times the second difference of f is not positive, the next call is spared: its image comes from
    the predictor and the noise at hand. The mean is over the whole batch, as in the authors' code,
    so that images depend a little on their neighbours. Their code writes f in the units of one
    training level, not of a step; and its token-wise half needs a transformer.

    Parameters
    ----------
    max_skips : int
        Most calls spared in a row.
    first, last : float
        Part of the steps where calls may be spared (published: steps 10 to 47 of 50).
    skip : bool
        False is the solver alone.
    spacing : str
        See `sigma_steps`.
    """
    require_option("sada", "max_skips", max_skips, max_skips >= 1, "at least 1")
    require_option("sada", "first", first, 0 <= first < last <= 1, "at least 0 and below last <= 1")
    require_evaluations("sada", evaluations, 5, "three slopes, a step and the last denoising")
    sigmas = sigma_steps(model, evaluations, spacing)
    y, slopes, spared, in_a_row, older = sigmas[0] * start, [], None, 0, None
    for i, sigma in enumerate(sigmas):
        if spared is None:
            eps = model.at_sigma(y, sigma)
            clean = y - sigma * eps
        else:
            clean, spared = spared, None
        if i == len(sigmas) - 1:
            return clean
        step = math.log(sigma / sigmas[i + 1])
        slopes = [flow_slope(y, eps, sigma), *slopes][:3]
        following, drift = y, clean
        if older is not None:  # order 2
            drift = clean + 0.5 * step / math.log(sigmas[i - 1] / sigma) * (clean - older)
        ratio = sigmas[i + 1] / sigma
        following = ratio * y + (1 - ratio) * drift
        if skip and len(slopes) == 3:
            guess = predicted(signal_of(sigma) * y, slopes, step) / signal_of(sigmas[i + 1])
            curvature = slopes[0] - 2 * slopes[1] + slopes[2]
            stable = float(torch.mean((following - guess) * curvature)) <= 0
            allowed = max(first * len(sigmas), 3) <= i < last * len(sigmas)
            if in_a_row >= max_skips or not (stable and allowed):
                in_a_row = 0
            else:
                in_a_row += 1
                spared = guess - sigmas[i + 1] * eps
        older, y = clean, following
    raise AssertionError("the last level returns")
