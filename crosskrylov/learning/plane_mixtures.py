"""Laws of points of the plane whose noised density is known at every time, and their noising.

Points are noised by dx = -x dt + dW, so that x_t = e^(-t) x_0 + sigma z with
sigma^2 = (1 - e^(-2t)) / 2, and the stationary law is N(0, 1/2).  A Gaussian mixture stays one.
"""

import math
from collections.abc import Callable

import torch

from crosskrylov.errors import ConfigError
from crosskrylov.runtime.declared import did_you_mean

DIMENSION = 2
#: Variance per coordinate of what every law ends in.
STATIONARY_VARIANCE = 0.5


def noise_level(t: torch.Tensor) -> torch.Tensor:
    """Return sigma(t) of x_t = e^(-t) x_0 + sigma z."""
    return (-torch.expm1(-2 * t) / 2).sqrt()


class PlaneMixture(torch.nn.Module):
    """A mixture of round Gaussians, and the logarithm of its density at every time.

    Parameters
    ----------
    means : tensor, shape (K, 2), float64
    variance : float
        Of every component and coordinate at time zero.
    weights : tensor, shape (K,), optional
        Equal by default.
    """

    def __init__(self, means: torch.Tensor, variance: float, weights: torch.Tensor | None = None):
        super().__init__()
        weights = torch.ones(len(means)) if weights is None else weights
        self.register_buffer("means", means.double())
        self.register_buffer("weights", weights.double() / weights.sum())
        self.variance = variance

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return log p (B,) at points x (B, 2) and times t (B,), exact up to rounding."""
        variance = torch.exp(-2 * t) * self.variance + noise_level(t) ** 2
        gap = x[:, None] - torch.exp(-t)[:, None, None] * self.means
        exponent = self.weights.log() - gap.square().sum(2) / (2 * variance[:, None])
        return torch.logsumexp(exponent, 1) - torch.log(2 * math.pi * variance)

    def draw(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Return independent points (count, 2) of time zero, in the precision of the means."""
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        noise = torch.randn((count, DIMENSION), generator=generator).to(self.means)
        return self.means[chosen] + math.sqrt(self.variance) * noise


def nine_gaussians() -> PlaneMixture:
    """Return the published nine Gaussians: at the origin, and in two squares around it."""
    corners = [(a, b) for a in (-2.0, 2.0) for b in (-2.0, 2.0)]
    edges = [(4.0, 0.0), (-4.0, 0.0), (0.0, 4.0), (0.0, -4.0)]
    scale = 0.65
    return PlaneMixture(scale * torch.tensor([(0.0, 0.0), *corners, *edges]), 0.2 * scale**2)


def two_rings() -> PlaneMixture:
    """Return two rings of the published radii and width, of half the points each.

    Each is made of Gaussians no further apart than they are wide, the sum of which is even along
    the ring to one in 10^7; the published ones have a normal radius instead.
    """
    width = 0.2
    rings, weights = [], []
    for radius in (1.3, 2.8):
        count = math.ceil(2 * math.pi * radius / width)
        angle = 2 * math.pi / count * torch.arange(count)
        rings.append(radius * torch.stack([angle.cos(), angle.sin()], 1))
        weights.append(torch.full((count,), 1 / count))
    return PlaneMixture(torch.cat(rings), width**2, torch.cat(weights))


#: Laws by name.
DATA_SETS: dict[str, Callable[[], PlaneMixture]] = {
    "nine_gaussians": nine_gaussians,
    "two_rings": two_rings,
}


def plane_mixture(name: str) -> PlaneMixture:
    """Return the law of a name.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if name not in DATA_SETS:
        raise ConfigError(
            f"studies.potential_gap.data_sets names {name!r}{did_you_mean(name, DATA_SETS)}; "
            f"available are {', '.join(DATA_SETS)}."
        )
    return DATA_SETS[name]()
