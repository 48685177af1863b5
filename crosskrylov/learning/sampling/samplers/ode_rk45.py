"""The probability flow solved adaptively: scipy's RK45."""

import math

import torch
from scipy.integrate import solve_ivp

from crosskrylov.learning.sampling.registry import register, require_option


@register(
    "ode_rk45",
    about="the probability flow by an adaptive Runge-Kutta pair of order 5(4)",
    order=None,
    evaluations_per_step=6,
    stochastic=False,
    ends="unscaled",
    adaptive=True,
)
def ode_rk45(model, start, evaluations, generator, *, tolerance: float | None = None):
    """Solve dy/dsigma = eps(y, sigma) from the largest to the smallest trained level.

    The number of network evaluations is a result here (``model.evaluations``), not an input.

    Parameters
    ----------
    tolerance : float, optional
        Relative and absolute tolerance per step; default 10 ** (-evaluations / 25).
    """
    if tolerance is None:
        tolerance = 10 ** (-evaluations / 25)
    require_option("ode_rk45", "tolerance", tolerance, tolerance > 0, "positive")
    sigmas = model.levels.sigmas
    scaled = sigmas[-1] * start.cpu()

    def velocity(log_sigma, flat):
        sigma = math.exp(log_sigma)
        x = torch.as_tensor(flat, dtype=start.dtype).reshape(start.shape).to(start.device)
        return (sigma * model.at_sigma(x, sigma)).cpu().double().numpy().ravel()

    # in log sigma, where the flow is equally smooth at all levels
    span = (math.log(sigmas[-1]), math.log(sigmas[0]))
    path = solve_ivp(
        velocity, span, scaled.double().numpy().ravel(), "RK45", rtol=tolerance, atol=tolerance
    )
    return torch.as_tensor(path.y[:, -1], dtype=start.dtype).reshape(start.shape).to(start.device)
