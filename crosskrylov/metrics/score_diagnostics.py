"""What a score must satisfy to be one, measured on a network: Fokker-Planck, symmetry, dimension.

For y = x_0 + sigma z with density p and tau = sigma^2 / 2 the heat equation d p / d tau = Lap p
holds; divided by p it is the project's own equation, in D dimensions instead of two:

    d log p / d tau = div s + |s|^2,   s = grad log p.                                        (29s)

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
    residual_squares : tensor, shape (B,)
        sigma^6 |R|^2 / D, R what is left of the gradient of (29s), see `residual`. With random
        probes an unbiased estimate, that may be negative: the product of R by one half of the
        probes and R by the other.
    antisymmetric, symmetric : tensor, shape (B,)
        E |(J - J') v|^2 and E |(J + J') v|^2 over the probes, J = d eps / dy; the first is zero for
        a gradient.
    dimension : tensor, shape (B,)
        D + sigma^2 (div s + |s|^2) = D + d log p / d log sigma, by (29s). At an image of a smooth
        d-dimensional set log p goes like (d - D) log sigma, so that this is d (Kamkari et al. 2024,
        arXiv:2406.03537). At noised images its mean is D, whatever the data: E div s = -E |s|^2.
    """

    residual_squares: torch.Tensor
    antisymmetric: torch.Tensor
    symmetric: torch.Tensor
    dimension: torch.Tensor

    @property
    def residual(self) -> float:
        """Root mean square of sigma^3 |R| / sqrt(D), zero for a score."""
        return float(self.residual_squares.mean().clamp(min=0).sqrt())

    @property
    def curl(self) -> float:
        """Antisymmetric part of the Jacobian over its symmetric one, mean squares."""
        return float(self.antisymmetric.mean() / self.symmetric.mean())


def probes_for(images: torch.Tensor, count: int | None, generator: torch.Generator | None):
    """Return what a trace is taken with: signs drawn at random, or all unit vectors.

    Parameters
    ----------
    images : tensor, shape (B, C, H, W)
        Their shape, precision and device are those of the probes.
    count : int or None
        Random probes (Hutchinson: the trace is a mean, with a variance), an even number; None for
        the D unit vectors, which give it exactly.
    generator : torch.Generator, optional

    Returns
    -------
    tensor, shape (2, P, B, C, H, W)
        Two sets, of which either estimates the trace of M as the sum of v'Mv; the same twice if
        exact.

    Raises
    ------
    ConfigError
        If the number is odd or below two.
    """
    if count is None:
        units = torch.eye(images[0].numel(), dtype=images.dtype, device=images.device)
        units = units.reshape(1, -1, 1, *images.shape[1:])
        return units.expand(2, -1, len(images), -1, -1, -1)
    if count < 2 or count % 2:
        raise ConfigError(f"Diagnostics need an even number of random probes; found {count}.")
    signs = torch.randint(2, (2, count // 2, *images.shape), generator=generator) * 2 - 1
    return signs.to(images) / (count // 2) ** 0.5


def diagnose(
    model: NoiseModel, y: torch.Tensor, sigma: float, probes: torch.Tensor, step: float = STEP
) -> Diagnostics:
    """Return the diagnostics of a model at states y = x_0 + sigma z.

    With s = -eps / sigma the residual of the gradient of (29s) is

        R = (1/sigma) d s / d sigma - grad(div s) - 2 J_s' s,                                  (29t)

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
    probes : tensor, shape (2, P, B, C, H, W)
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
        # unit vectors are the same twice
        sets = probes[:1] if torch.equal(probes[0], probes[1]) else probes
        found = [_second_order(eps, of_set, y) for of_set in sets]
        drift = _pulled_back(eps, eps.detach(), y).detach()  # J'eps
    eps, y = eps.detach(), y.detach()
    # the three terms of (29t) times sigma^3, s = -eps / sigma
    in_time = eps - (above - below) / (2 * step)
    first = in_time - 2 * sigma * drift
    residuals = [first + sigma**2 * gradient for gradient, *_ in found]
    size = y[0].numel()
    trace, antisymmetric, symmetric = (
        torch.stack(values).mean(0) for values in list(zip(*found, strict=True))[1:]
    )
    return Diagnostics(
        residual_squares=(residuals[0] * residuals[-1]).flatten(1).sum(1) / size,
        antisymmetric=antisymmetric,
        symmetric=symmetric,
        dimension=size - sigma * trace + _square(eps),
    )


def _second_order(eps: torch.Tensor, probes: torch.Tensor, y: torch.Tensor) -> tuple:
    """Return grad tr J, tr J, and the squares of the two parts of J, by a set of probes."""
    trace, antisymmetric, symmetric = 0.0, 0.0, 0.0
    gradient = torch.zeros_like(y)
    for v in probes:
        back = _pulled_back(eps, v, y)  # J'v
        forward = _pushed_forward(eps, v, y)
        antisymmetric = antisymmetric + _square(forward - back)
        symmetric = symmetric + _square(forward + back)
        quadratic = (back * v).flatten(1).sum(1)  # v'Jv
        trace = trace + quadratic.detach()
        if quadratic.requires_grad:  # not where eps is linear
            (slope,) = torch.autograd.grad(quadratic.sum(), y, retain_graph=True, allow_unused=True)
            gradient = gradient + (0 if slope is None else slope)
    return gradient, trace, antisymmetric, symmetric


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
