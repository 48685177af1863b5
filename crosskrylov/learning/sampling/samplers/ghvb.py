"""Generalised heavy ball momentum for the probability flow (Wizadwongsa et al., 2023)."""

import itertools
from collections.abc import Sequence

import torch

from crosskrylov.learning.sampling.registry import register, require_evaluations, require_option
from crosskrylov.learning.sampling.steps import denoised, sigma_steps


def momentum_weights(order: int, beta: float) -> list[float]:
    """Return the weights c_j / beta of v_n, v_{n-1}, ... in the step of GHVB (Eq. 29g).

    They are derived for equal steps, sum to one, and are those of Adams-Bashforth for beta = 1.

    Parameters
    ----------
    order : int
        1 to 5.
    beta : float
        Momentum's damping, in (0, 1].
    """
    b = beta
    numerators, denominator = {
        1: ([b], 1),
        2: ([2 + b, -(2 - b)], 2),
        3: ([18 + 5 * b, -(24 - 8 * b), 6 - b], 12),
        4: ([46 + 9 * b, -(78 - 19 * b), 42 - 5 * b, -(10 - b)], 24),
        5: (
            [1650 + 251 * b, -(3420 - 646 * b), 2880 - 264 * b, -(1380 - 106 * b), 270 - 19 * b],
            720,
        ),
    }[order]
    return [value / denominator / b for value in numerators]


def mixed(history: Sequence[torch.Tensor], order: int, beta: float) -> torch.Tensor:
    """Return the weighted sum of the last values, oldest first; the first steps use fewer."""
    weights = momentum_weights(min(order, len(history)), beta)
    return sum(w * value for w, value in zip(weights, reversed(history), strict=False))


@register(
    "ghvb",
    about="generalised heavy ball momentum, order between order - 1 and order on equal steps",
    order=2,
    evaluations_per_step=1,
    stochastic=False,
    fewest=5,
)
def ghvb(
    model,
    start,
    evaluations,
    generator,
    *,
    order: int = 4,
    beta: float = 0.8,
    spacing: str = "geometric",
):
    """Run v_n = (1 - beta) v_{n-1} + beta eps_n, y <- y + (sigma_next - sigma) sum_j c_j v_{n-j}.

    As published, weights for equal steps are used on steps that may not be equal: on the geometric
    levels this costs the orders above two, on ``spacing: uniform`` it does not. The number 3.8 of
    the authors is order 4 with beta 0.8; beta = 1 is Adams-Bashforth (PLMS).

    Parameters
    ----------
    order : int
        1 to 5: number of momenta in a step.
    beta : float
        In (0, 1]; smaller is more stable and less accurate.
    spacing : str
        See `sigma_steps`.
    """
    require_option("ghvb", "order", order, order in range(1, 6), "one of 1 to 5")
    require_option("ghvb", "beta", beta, 0 < beta <= 1, "above 0 and at most 1")
    require_evaluations("ghvb", evaluations, order + 1, f"order {order} and the last step")
    sigmas = sigma_steps(model, evaluations, spacing)
    y, velocity, history = sigmas[0] * start, None, []
    for sigma, following in itertools.pairwise(sigmas):
        eps = model.at_sigma(y, sigma)
        velocity = eps if velocity is None else (1 - beta) * velocity + beta * eps
        history = [*history, velocity][-order:]
        y = y + (following - sigma) * mixed(history, order, beta)
    return denoised(model, y, sigmas[-1])
