"""Polyak's heavy ball on multistep steps of the flow (Wizadwongsa et al., 2023)."""

import itertools

from crosskrylov.learning.sampling.registry import register, require_evaluations, require_option
from crosskrylov.learning.sampling.samplers.ghvb import mixed
from crosskrylov.learning.sampling.steps import denoised, sigma_steps


@register(
    "heavy_ball",
    about="Adams-Bashforth with Polyak's momentum: stabler, of first order",
    order=1,
    evaluations_per_step=1,
    stochastic=False,
    fewest=5,
)
def heavy_ball(
    model,
    start,
    evaluations,
    generator,
    *,
    order: int = 4,
    beta: float = 0.8,
    spacing: str = "geometric",
):
    """Run v_n = (1 - beta) v_{n-1} + beta AB(eps_n, ...), y <- y + (sigma_next - sigma) v_n (29g).

    Parameters
    ----------
    order : int
        1 to 5: that of the Adams-Bashforth combination, with weights of equal steps.
    beta : float
        In (0, 1]; 1 switches the momentum off.
    spacing : str
        See `sigma_steps`.
    """
    require_option("heavy_ball", "order", order, order in range(1, 6), "one of 1 to 5")
    require_option("heavy_ball", "beta", beta, 0 < beta <= 1, "above 0 and at most 1")
    require_evaluations("heavy_ball", evaluations, order + 1, f"order {order} and the last step")
    sigmas = sigma_steps(model, evaluations, spacing)
    y, velocity, history = sigmas[0] * start, None, []
    for sigma, following in itertools.pairwise(sigmas):
        eps = model.at_sigma(y, sigma)
        history = [*history, eps][-order:]
        velocity = eps if velocity is None else velocity
        velocity = (1 - beta) * velocity + beta * mixed(history, order, 1.0)
        y = y + (following - sigma) * velocity
    return denoised(model, y, sigmas[-1])
