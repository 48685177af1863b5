"""LML: DPM-Solver with Levenberg-Marquardt-Langevin corrected increments (Wang et al., 2025)."""

import itertools

import numpy as np
import torch

from crosskrylov.learning.sampling.registry import register, require_evaluations, require_option
from crosskrylov.learning.sampling.steps import exponential_increment, sigma_steps, signal_of

#: Damping of the authors' script for CIFAR-10 by number of evaluations.
PUBLISHED_DAMPING = {
    5: 8e-4,
    6: 8e-4,
    7: 1e-3,
    8: 1e-3,
    9: 1e-3,
    10: 8e-4,
    12: 1e-3,
    15: 1e-3,
    20: 5e-4,
    30: 3e-4,
    50: 1e-4,
    100: 5e-5,
}


def corrected(
    increment: torch.Tensor, previous: torch.Tensor | None, damping: float, kappa: float
) -> torch.Tensor:
    """Return the increment turned away from a running mean m, at its own length (Eq. 29m).

    m = kappa e_previous + (1 - kappa) e;  e' = e - m (e.m) / (damping + |m|^2), rescaled to |e|,
    image by image. With kappa = 0, m = e and e' is parallel to e: the rescaling returns e, and what
    is left is the rounding of a difference of nearly equal numbers.
    """

    def dot(a, b):
        return (a * b).flatten(1).sum(1)[:, None, None, None]

    mean = increment if previous is None else kappa * previous + (1 - kappa) * increment
    turned = increment - mean * (dot(increment, mean) / (damping + dot(mean, mean)))
    length = dot(turned, turned).sqrt()
    # an increment of zero has no direction; the authors divide by it
    scale = torch.where(length > 0, dot(increment, increment).sqrt() / length, 0.0)
    return turned * scale


@register(
    "lml",
    about="DPM-Solver with Levenberg-Marquardt-Langevin increments",
    order=2,  # that of the published third-order step, see `exponential_increment`
    evaluations_per_step=1,
    stochastic=False,
    fewest=4,
    ends="unscaled",
)
def lml(
    model,
    start,
    evaluations,
    generator,
    *,
    order: int = 3,
    kappa: float = 0.0,
    damping: float | None = None,
    correct: bool = True,
    spacing: str = "geometric",
):
    """Run DPM-Solver's multistep noise form, each increment corrected in the scale x = A y.

    Parameters
    ----------
    order : int
        1 to 3, of the solver.
    kappa : float
        Weight of the increment before, in [0, 1). 0 is what the published scripts run, and is the
        solver without correction up to rounding.
    damping : float, optional
        lambda, positive; default that of the authors' CIFAR-10 script for the nearest number of
        evaluations.
    correct : bool
        False is the solver alone.
    spacing : str
        See `sigma_steps`.
    """
    require_option("lml", "order", order, order in (1, 2, 3), "1, 2 or 3")
    require_option("lml", "kappa", kappa, 0 <= kappa < 1, "at least 0 and below 1")
    if damping is None:
        counts = np.array(list(PUBLISHED_DAMPING))
        damping = PUBLISHED_DAMPING[int(counts[np.abs(counts - evaluations).argmin()])]
    require_option("lml", "damping", damping, damping > 0, "positive")
    require_evaluations("lml", evaluations, order + 1, f"order {order}")
    sigmas = sigma_steps(model, evaluations + 1, spacing)
    y, outputs, previous = sigmas[0] * start, [], None
    for i, (sigma, following) in enumerate(itertools.pairwise(sigmas)):
        outputs = [*outputs, model.at_sigma(y, sigma)][-order:]
        increment = exponential_increment(sigmas[: i + 1], outputs, following, order)
        if correct:
            signal = signal_of(following)
            scaled = signal * increment
            increment = corrected(scaled, previous, damping, kappa) / signal
            previous = scaled
        y = y + increment
    return y
