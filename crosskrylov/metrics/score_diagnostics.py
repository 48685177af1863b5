"""What a score must satisfy to be one, measured on a network: Fokker-Planck, symmetry, dimension.

For y = x_0 + sigma z with density p and tau = sigma^2 / 2 the heat equation d p / d tau = Lap p
holds; divided by p it is the project's own equation, in D dimensions instead of two:

    d log p / d tau = div s + |s|^2,   s = grad log p.                                        (30a)

A network has s = -eps / sigma.  Its gradient form, its symmetry and its right-hand side are three
things that can be measured without knowing p; with the exact posterior mean they hold.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from crosskrylov.errors import ConfigError
from crosskrylov.learning.sampling.model import NoiseModel

#: Half the step in log sigma of the central difference.
STEP = 1e-2


@dataclass(frozen=True)
class Diagnostics:
    """What was found at one noise level, a value for each of B noised images.

    Attributes
    ----------
    residual : tensor, shape (B,)
        sigma^3 |R| / sqrt(D), R what is left of the gradient of (30a); zero for a score.
    antisymmetric, symmetric : tensor, shape (B,)
        E |(J - J') v|^2 and E |(J + J') v|^2 over the probes, J = d eps / dy; the first is zero for
        a gradient.
    dimension : tensor, shape (B,)
        D + sigma^2 (div s + |s|^2) = D + d log p / d log sigma, by (30a). At an image of a smooth
        d-dimensional set log p goes like (d - D) log sigma, so that this is d (Kamkari et al. 2024,
        arXiv:2406.03537). At noised images its mean is D, whatever the data: E div s = -E |s|^2.
    """

    residual: torch.Tensor
    antisymmetric: torch.Tensor
    symmetric: torch.Tensor
    dimension: torch.Tensor

    @property
    def curl(self) -> float:
        """Antisymmetric part of the Jacobian over its symmetric one, mean squares; 1 at most."""
        return float(self.antisymmetric.mean() / self.symmetric.mean())


def probes_for(images: torch.Tensor, count: int | None, generator: torch.Generator):
    """Return what a trace is taken with: signs drawn at random, or all unit vectors.

    Parameters
    ----------
    images : tensor, shape (B, C, H, W)
        Their shape, precision and device are those of the probes.
    count : int or None
        Random probes (Hutchinson: the trace is a mean, with a variance); None for the D unit
        vectors, which give it exactly.

    Returns
    -------
    tensor, shape (P, B, C, H, W)
        Scaled so that the trace of M is the sum of v'Mv.
    """
    if count is None:
        units = torch.eye(images[0].numel(), dtype=images.dtype, device=images.device)
        return units.reshape(-1, 1, *images.shape[1:]).expand(-1, len(images), -1, -1, -1)
    if count < 1:
        raise ConfigError(f"A trace needs at least one probe; found {count}.")
    signs = torch.randint(2, (count, *images.shape), generator=generator) * 2 - 1
    return signs.to(images) / count**0.5


def diagnose(
    model: NoiseModel, y: torch.Tensor, sigma: float, probes: torch.Tensor, step: float = STEP
) -> Diagnostics:
    """Return the diagnostics of a model at states y = x_0 + sigma z.

    With s = -eps / sigma the residual of the gradient of (30a) is

        R = (1/sigma) d s / d sigma - grad(div s) - 2 J_s' s,                                  (30b)

    the derivative in sigma a central difference in log sigma at fixed y, the others exact
    derivatives of the network.

    Parameters
    ----------
    model : NoiseModel
        Not clipping: clipping is no part of the network, and not smooth.
    y : tensor, shape (B, C, H, W)
        In the precision to compute in; at small sigma the difference needs float64.
    sigma : float
        Inside the model's levels, by ``step`` at least.
    probes : tensor, shape (P, B, C, H, W)
        Of `probes_for`.
    step : float
        Half the difference's step in log sigma.

    Raises
    ------
    ConfigError
        If the model clips, or sigma is not inside its levels.
    """
    lowest, highest = model.levels.sigmas[[0, -1]]
    if model.clip:
        raise ConfigError("Diagnostics need a model that does not clip: set clip=False.")
    if not lowest * np.exp(step) <= sigma <= highest * np.exp(-step):
        raise ConfigError(
            f"Diagnostics at sigma {sigma:g} need levels around it; the model's are {lowest:g} to "
            f"{highest:g}."
        )
    above, below = (model.at_sigma(y, sigma * float(np.exp(h))) for h in (step, -step))
    with torch.enable_grad(), _twice_differentiable():
        y = y.detach().requires_grad_()
        eps = _noise(model, y, sigma)
        trace, antisymmetric, symmetric = 0.0, 0.0, 0.0
        gradient = torch.zeros_like(y)
        for v in probes:
            back = _pulled_back(eps, v, y)  # J'v
            forward = _pushed_forward(eps, v, y)
            antisymmetric = antisymmetric + _square(forward - back).detach()
            symmetric = symmetric + _square(forward + back).detach()
            quadratic = (back * v).flatten(1).sum(1)  # v'Jv
            trace = trace + quadratic.detach()
            if quadratic.requires_grad:  # not where eps is linear
                (slope,) = torch.autograd.grad(
                    quadratic.sum(), y, retain_graph=True, allow_unused=True
                )
                gradient = gradient + (0 if slope is None else slope)
        drift = _pulled_back(eps, eps.detach(), y).detach()  # J'eps
    eps, y = eps.detach(), y.detach()
    # the three terms of (30b) times sigma^3, s = -eps / sigma
    in_time = eps - (above - below) / (2 * step)
    residual = in_time + sigma**2 * gradient - 2 * sigma * drift
    size = y[0].numel()
    return Diagnostics(
        residual=(_square(residual) / size).sqrt(),
        antisymmetric=antisymmetric,
        symmetric=symmetric,
        dimension=size - sigma * trace + _square(eps),
    )


def noised(images: torch.Tensor, sigma: float, count: int, generator: torch.Generator):
    """Return ``count`` states y = x_0 + sigma z of images drawn with replacement."""
    index = torch.randint(len(images), (count,), generator=generator)
    noise = torch.randn((count, *images.shape[1:]), generator=generator, dtype=torch.float64)
    return images[index] + sigma * noise.to(images)


def levels_between(model: NoiseModel, count: int, lowest: float, highest: float) -> Iterator[float]:
    """Yield levels, geometric between two, inside those of the model by a step."""
    inside = model.levels.sigmas[[0, -1]] * np.exp([1.01 * STEP, -1.01 * STEP])
    yield from map(float, np.geomspace(*np.clip((lowest, highest), *inside), count))


def _noise(model: NoiseModel, y: torch.Tensor, sigma: float) -> torch.Tensor:
    return model.differentiable_at_level(y / np.sqrt(1 + sigma**2), model.level_of(sigma))


def _pulled_back(output: torch.Tensor, v: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return J'v, differentiable."""
    return torch.autograd.grad(output, y, v, create_graph=True)[0]


def _pushed_forward(output: torch.Tensor, v: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return Jv as the derivative of J'w in w, since not every layer has a forward derivative."""
    w = torch.zeros_like(output, requires_grad=True)
    back = torch.autograd.grad(output, y, w, create_graph=True)[0]
    return torch.autograd.grad(back, w, v, retain_graph=True)[0].detach()


def _square(values: torch.Tensor) -> torch.Tensor:
    return values.detach().square().flatten(1).sum(1)


@contextmanager
def _twice_differentiable():
    """Let attention take the one path of torch that can be differentiated twice."""
    with sdpa_kernel(SDPBackend.MATH):
        yield
