"""What the error of a learned score does to the density: the gauge residual.

With s + r in place of the score s, the flow dy/dsigma = -sigma (s + r) carries the density p_sigma
of y = x_0 + sigma z exactly if and only if r moves no mass, div(p r) = 0; divided by p,

    G = div r + r . s = 0                                                                     (29y)

(Horvat and Pfister 2024, arXiv:2402.03845).  A rotation along the level sets of p is such an error:
it is no gradient, and harmless.
"""

from dataclasses import dataclass

import torch

from crosskrylov.learning.objectives.mixture import mixture_noise
from crosskrylov.learning.sampling.model import NoiseModel

#: An error of the noise, whose size is one, that is nothing but rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class ScoreGap:
    """Error r of a score at one noise level, a value for each of B noised images.

    Everything is in units of the noise: with d = eps - E[z|y] = -sigma r, d the error of the
    predicted noise,

        sigma^2 G = d . E[z|y] - sigma tr(dd/dy).

    Attributes
    ----------
    gauge_squares : tensor, shape (B,)
        sigma^4 G^2 / D; with random probes an unbiased estimate, that may be negative, as
        `score_diagnostics.Diagnostics.residual_squares`.
    error_squares, exact_squares : tensor, shape (B,)
        |d|^2 / D and |E[z|y]|^2 / D.
    """

    gauge_squares: torch.Tensor
    error_squares: torch.Tensor
    exact_squares: torch.Tensor

    @property
    def gauge(self) -> float:
        """Root mean square of sigma^2 G / sqrt(D), zero for an error that moves no mass."""
        return float(self.gauge_squares.mean().clamp(min=0).sqrt())

    @property
    def error(self) -> float:
        """Root mean square error of the predicted noise."""
        return float(self.error_squares.mean().sqrt())

    @property
    def share(self) -> float:
        """Size of r over that of s."""
        return float((self.error_squares.mean() / self.exact_squares.mean()).sqrt())

    @property
    def gauge_share(self) -> float:
        """Gauge residual over error, sigma RMS(G) / RMS|r|; NaN where there is no error.

        For a normal density E (sigma G)^2 = E |r|^2 + sigma^2 E tr(J_r^2), so that a constant
        error has 1, a scaled score sqrt(2) and a rotation 0.
        """
        return self.gauge / self.error if self.error > _ROUNDING else float("nan")


def score_gap(
    model: NoiseModel, data: torch.Tensor, y: torch.Tensor, sigma: float, probes: torch.Tensor
) -> ScoreGap:
    """Return the error of a model's score against the exact one of noised data, and its gauge.

    Parameters
    ----------
    model : NoiseModel
        Not clipping.
    data : tensor, shape (N, C, H, W)
        The data set, in the units of y.
    y : tensor, shape (B, C, H, W)
        Noised images of it, in the precision to compute in.
    sigma : float
    probes : tensor, shape (2, P, B, C, H, W)
        Of `score_diagnostics.probes_for`.
    """
    with torch.enable_grad():
        y = y.detach().requires_grad_()
        exact = mixture_noise(y, data.to(y), y.new_ones(1), y.new_full((1,), sigma))
        gap = _noise(model, y, sigma) - exact
        traces = _traces(gap, y, probes)
    gap, exact = gap.detach(), exact.detach()
    along = (gap * exact).flatten(1).sum(1)
    first, second = (along - sigma * trace for trace in traces)
    size = y[0].numel()
    return ScoreGap(
        gauge_squares=first * second / size,
        error_squares=gap.square().flatten(1).mean(1),
        exact_squares=exact.square().flatten(1).mean(1),
    )


def local_dimension(
    model: NoiseModel, x: torch.Tensor, sigma: float, probes: torch.Tensor
) -> torch.Tensor:
    """Return D + sigma^2 (div s + |s|^2) at images (B,), as `score_diagnostics.diagnose` does.

    Without its second derivatives, which are most of its time.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        eps = _noise(model, x, sigma)
        traces = _traces(eps, x, probes)
    squares = eps.detach().square().flatten(1).sum(1)
    return x[0].numel() - sigma * sum(traces) / 2 + squares


def _noise(model: NoiseModel, y: torch.Tensor, sigma: float) -> torch.Tensor:
    return model.differentiable_at_level(y / (1 + sigma**2) ** 0.5, model.level_of(sigma))


def _traces(output: torch.Tensor, y: torch.Tensor, probes: torch.Tensor) -> list[torch.Tensor]:
    """Return tr(d output / dy), a tensor (B,) by each of the two sets of probes."""
    sets = probes[:1] if torch.equal(probes[0], probes[1]) else probes
    found = []
    for vectors in sets:
        backs = (torch.autograd.grad(output, y, v, retain_graph=True)[0] * v for v in vectors)
        found.append(sum(back.flatten(1).sum(1) for back in backs))
    return [found[0], found[-1]]
