"""A network for the logarithm of a density of the plane, its equation, training and samples.

For dx = -x dt + dW in two dimensions the density satisfies dp/dt = div(x p) + Lap p / 2; divided by
p, with Phi = log p,

    R = dPhi/dt - 2 - x . grad Phi - |grad Phi|^2 / 2 - Lap Phi / 2 = 0.                        (33)

A network for Phi, with s = grad Phi as its score, is trained by denoising score matching plus a
weight times the mean of R^2 (Deveney et al., 2023, arXiv:2311.15996).
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import torch

from crosskrylov.learning.plane_mixtures import (
    DIMENSION,
    STATIONARY_VARIANCE,
    PlaneMixture,
    noise_level,
)

#: log p, or what stands for it: points (B, 2) and times (B,) to (B,).
Potential = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

#: Offsets of the random streams: points of score matching, points of the residual.
_MATCHING, _RESIDUAL = 100, 200


class PotentialNetwork(torch.nn.Module):
    """Three layers of softplus units and one output, the potential.

    Parameters
    ----------
    units : int
        Of a layer.
    sharpness : float
        beta of softplus(x) = log(1 + e^(beta x)) / beta; 100 is all but max(x, 0).
    seed : int
        Seed of the initial weights; the global random state is left as it was.
    """

    def __init__(self, units: int, sharpness: float, seed: int):
        super().__init__()
        widths = (1 + DIMENSION, units, units, units)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers = []
            for inner, outer in pairwise(widths):
                layers += [torch.nn.Linear(inner, outer), torch.nn.Softplus(beta=sharpness)]
            self.layers = torch.nn.Sequential(*layers, torch.nn.Linear(units, 1))

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return Phi (B,) at points (B, 2) and times (B,)."""
        return self.layers(torch.cat([t[:, None], x], 1))[:, 0]


def score_of(potential: Potential, x: torch.Tensor, t: torch.Tensor, *, training: bool = False):
    """Return the gradient (B, 2) of a potential in x, differentiable in its weights if training."""
    x = x.detach().requires_grad_()
    (score,) = torch.autograd.grad(potential(x, t).sum(), x, create_graph=training)
    return score


def equation_residual(
    potential: Potential, x: torch.Tensor, t: torch.Tensor, *, training: bool = False
) -> torch.Tensor:
    """Return R (B,) of (33) at points (B, 2) and times (B,), by exact derivatives.

    Differentiable in the potential's weights if training.
    """
    x, t = x.detach().requires_grad_(), t.detach().requires_grad_()
    score, in_time = torch.autograd.grad(potential(x, t).sum(), (x, t), create_graph=True)
    laplacian = 0.0
    for k in range(DIMENSION):
        (row,) = torch.autograd.grad(score[:, k].sum(), x, create_graph=training, retain_graph=True)
        laplacian = laplacian + row[:, k]
    transport = (x * score).sum(1) + score.square().sum(1) / 2
    residual = in_time - DIMENSION - transport - laplacian / 2
    return residual if training else residual.detach()


def noised_points(
    data: PlaneMixture, t: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x_t (B, 2) at times (B,) and its unit noise, in the precision of the times."""
    clean = data.draw(len(t), generator).to(t)
    z = torch.randn((len(t), DIMENSION), generator=generator).to(t)
    return torch.exp(-t)[:, None] * clean + noise_level(t)[:, None] * z, z


def draw_collocation(
    count: int, span: tuple[float, float], box: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return points (B, 2) of the square |x_k| <= box and times (B,) of a span, uniform."""
    x = (2 * torch.rand((count, DIMENSION), generator=generator) - 1) * box
    first, last = span
    return x, first + (last - first) * torch.rand(count, generator=generator)


def train_potential(
    data: PlaneMixture, weight: float, settings: Mapping[str, Any], seed: int
) -> PotentialNetwork:
    """Return a network trained by score matching plus ``weight`` times the mean of R^2.

    Times of score matching are Beta(1, 2) over the span, its mean square has no weight over the
    times, and R is taken uniformly in the square and in time: all as published.  The points of
    score matching do not depend on the weight.

    Parameters
    ----------
    data : PlaneMixture
    weight : float
        0 for score matching alone.
    settings : mapping
        units, sharpness, steps and learning_rates (as many: steps at each), batch_size, points,
        span (first and last time), box.
    seed : int
        Of the initial weights and all points.
    """
    network = PotentialNetwork(settings["units"], settings["sharpness"], seed)
    matching = torch.Generator().manual_seed(seed + _MATCHING)
    elsewhere = torch.Generator().manual_seed(seed + _RESIDUAL)
    first, last = settings["span"]
    for rate, steps in zip(settings["learning_rates"], settings["steps"], strict=True):
        optimiser = torch.optim.Adam(network.parameters(), rate)
        for _ in range(steps):
            u = torch.rand(settings["batch_size"], generator=matching)
            t = first + (last - first) * (1 - u.sqrt())  # Beta(1, 2): its quantile of 1 - u
            x, z = noised_points(data, t, matching)
            target = -z / noise_level(t)[:, None]
            loss = (score_of(network, x, t, training=True) - target).square().mean()
            if weight > 0:
                x, t = draw_collocation(
                    settings["points"], settings["span"], settings["box"], elsewhere
                )
                residual = equation_residual(network, x, t, training=True)
                loss = loss + weight * residual.square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return network.requires_grad_(False)


def draw_points(
    potential: Potential,
    count: int,
    steps: int,
    span: tuple[float, float],
    generator: torch.Generator,
    *,
    stochastic: bool,
) -> torch.Tensor:
    """Return points (count, 2) of a potential's score, from the stationary law.

    Euler-Maruyama on dx = -(x + s) dt + dW, or Euler on dx = -(x + s / 2) dt, both backwards in
    time on the times t_k = t_0 + (T - t_0) (k/n)^2, which are denser where there is little noise;
    the last step adds none, as published.  Both have the density exp(Phi) at every time if that
    solves (33).
    """
    x = torch.randn((count, DIMENSION), generator=generator) * STATIONARY_VARIANCE**0.5
    grid = torch.linspace(1, 0, steps + 1, dtype=torch.float64) ** 2
    times = span[0] + (span[1] - span[0]) * grid
    share = 1.0 if stochastic else 0.5
    for k, (t, after) in enumerate(pairwise(times)):
        h = float(t - after)
        s = score_of(potential, x, torch.full((count,), float(t)))
        x = x + h * (x + share * s)
        if stochastic and k < steps - 1:
            x = x + h**0.5 * torch.randn(x.shape, generator=generator)
    return x
