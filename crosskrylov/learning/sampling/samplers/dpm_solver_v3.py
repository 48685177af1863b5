"""DPM-Solver-v3: exponential integrator with empirical model statistics (Zheng et al., 2023)."""

import itertools
from dataclasses import dataclass
from math import factorial

import numpy as np
import torch

from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.registry import register, require_evaluations, require_option
from crosskrylov.learning.sampling.steps import signal_of

#: Trapezoid steps per step of the statistics' grid.
REFINEMENT = 8


@dataclass(frozen=True)
class Statistics:
    """Pixel-wise coefficients of the model on a grid of lambda = -log sigma, equal steps.

    Attributes
    ----------
    lambdas : ndarray, shape (K,)
        Increasing.
    linear, slope, offset : tensor, shape (K, C, H, W), float64
        l, s and b.
    """

    lambdas: np.ndarray
    linear: torch.Tensor
    slope: torch.Tensor
    offset: torch.Tensor

    @classmethod
    def constant(cls, lambdas: np.ndarray, shape, linear: float, slope: float) -> "Statistics":
        """Return l and s everywhere the same, b = 0: (0, -1) is DPM-Solver, (1, 0) the ++ one."""
        ones = torch.ones((len(lambdas), *shape), dtype=torch.float64)
        return cls(lambdas, linear * ones, slope * ones, 0 * ones)


def empirical_statistics(
    model: NoiseModel, images: torch.Tensor, count: int, probes: int, seed: int = 0
) -> Statistics:
    """Estimate l, s and b from noised training images (Eq. 29p).

    l = sigma E[v o (J^T v)] with J = d eps / dy and Rademacher v; then, with f = sigma eps - l y
    and f' its derivative along the flow (one step of the grid), s = Cov(f, f') / Var(f) and
    b = E f' - s E f, pixel by pixel. Costs 3 network calls per level, one of them differentiated,
    on a batch of ``probes`` images.

    Parameters
    ----------
    model : NoiseModel
        Noise predictor.
    images : tensor, shape (N, C, H, W)
        Training images in [-1, 1].
    count : int
        Levels of the grid.
    probes : int
        Noised images per level.
    seed : int
        Seed of images, noise and probes.
    """
    sigmas = model.levels.sigmas
    lambdas = np.linspace(-np.log(sigmas[-1]), -np.log(sigmas[0]), count)
    generator = torch.Generator().manual_seed(seed)
    chosen = images[torch.randint(len(images), (probes,), generator=generator).to(images.device)]
    # the same draws at every level, so that the statistics are smooth in lambda: what is expanded
    # afterwards is their remainder
    z = torch.randn(chosen.shape, generator=generator).to(chosen)
    v = 2.0 * torch.randint(2, chosen.shape, generator=generator).to(chosen) - 1
    linear, pairs = [], []
    with model.setup():
        for k, value in enumerate(lambdas):
            sigma = float(np.exp(-value))
            y = chosen + sigma * z
            x = (signal_of(sigma) * y).requires_grad_()
            with torch.enable_grad():
                eps = model.differentiable_at_level(x, model.level_of(sigma))
                (product,) = torch.autograd.grad(eps, x, v)
            eps = eps.detach()
            linear.append((signal_of(sigma) * sigma * (v * product).double()).mean(0))
            if k + 1 < count:  # f at both ends of the grid's next step along the flow
                after = float(np.exp(-lambdas[k + 1]))
                half = y + (np.sqrt(sigma * after) - sigma) * eps
                y_after = y + (after - sigma) * model.at_sigma(half, float(np.sqrt(sigma * after)))
                eps_after = model.at_sigma(y_after, after)
                pairs.append([v.double() for v in (sigma * eps, y, after * eps_after, y_after)])
    linear = torch.stack(linear)
    slopes, offsets = [], []
    for k, (noise, y, noise_after, y_after) in enumerate(pairs):
        f = noise - linear[k] * y
        change = (noise_after - linear[k + 1] * y_after - f) / (lambdas[k + 1] - lambdas[k])
        centred = f - f.mean(0)
        variance = centred.square().mean(0).clamp_min(1e-12)
        slope = (centred * change).mean(0) / variance
        slopes.append(slope)
        offsets.append(change.mean(0) - slope * f.mean(0))
    slopes.append(slopes[-1])
    offsets.append(offsets[-1])
    return Statistics(lambdas, linear, torch.stack(slopes), torch.stack(offsets))


def _running(values: torch.Tensor, step: float) -> torch.Tensor:
    """Return the running trapezoid integral along the first axis, from zero."""
    parts = torch.cumsum((values[1:] + values[:-1]) * (step / 2), 0)
    return torch.cat([torch.zeros_like(parts[:1]), parts])


class _Coefficients:
    """Integrals of the statistics on a refined grid: L, S, B, I and C of Eq. 29p."""

    def __init__(self, statistics: Statistics, refinement: int, device: torch.device):
        lambdas = statistics.lambdas
        count = (len(lambdas) - 1) * refinement + 1
        self.grid = np.linspace(lambdas[0], lambdas[-1], count)
        self.step = self.grid[1] - self.grid[0]
        self.linear, slope, offset = (
            self._refined(values, refinement).to(device)
            for values in (statistics.linear, statistics.slope, statistics.offset)
        )
        self.integral_l = _running(self.linear, self.step)
        self.integral_s = _running(slope, self.step)
        both = torch.exp(self.integral_l + self.integral_s)
        self.offset = _running(torch.exp(-self.integral_s) * offset, self.step)
        self.weight = _running(both, self.step)
        self.forcing = _running(both * self.offset, self.step)

    @staticmethod
    def _refined(values: torch.Tensor, refinement: int) -> torch.Tensor:
        parts = torch.arange(refinement, dtype=torch.float64) / refinement
        parts = parts.reshape(1, -1, *[1] * (values.ndim - 1)).to(values.device)
        steps = values[:-1, None] + parts * (values[1:] - values[:-1])[:, None]
        return torch.cat([steps.flatten(0, 1), values[-1:]])

    def compensated(self, f: torch.Tensor, i: int, k: int) -> torch.Tensor:
        """Return g at place k of the grid, for a step that starts at place i."""
        change = torch.exp(self.integral_s[i]) * (self.offset[k] - self.offset[i])
        return torch.exp(self.integral_s[i] - self.integral_s[k]) * f - change

    def advanced(
        self, y: torch.Tensor, i: int, j: int, first: torch.Tensor, derivatives: list
    ) -> torch.Tensor:
        """Return y at place j, from y at place i, g there and its derivatives in lambda."""
        shrink = torch.exp(self.integral_l[i] - self.integral_l[j])
        weight = self.weight[j] - self.weight[i]
        forced = self.forcing[j] - self.forcing[i] - self.offset[i] * weight
        new = shrink * y - torch.exp(-self.integral_l[j] - self.integral_s[i]) * weight * first
        new = new - torch.exp(-self.integral_l[j]) * forced
        for order, derivative in enumerate(derivatives, start=1):
            new = new - shrink * self._moment(i, j, order) * derivative
        return new

    def _moment(self, i: int, j: int, order: int) -> torch.Tensor:
        """Return E_k, the integral of exp((L + S) - (L + S)_i) (lambda - lambda_i)^k / k!."""
        growth = self.integral_l[i : j + 1] + self.integral_s[i : j + 1]
        powers = torch.as_tensor((self.grid[i : j + 1] - self.grid[i]) ** order / factorial(order))
        powers = powers.reshape(-1, *[1] * (growth.ndim - 1)).to(growth)
        return _running(torch.exp(growth - growth[:1]) * powers, self.step)[-1]


def taylor_derivatives(places: np.ndarray, values: list, pseudo: bool = False) -> list:
    """Return the derivatives at ``places[0]`` of the polynomial through the values.

    Parameters
    ----------
    places : ndarray, shape (n + 1,)
        Distinct.
    values : list of n + 1 tensors
        Values there.
    pseudo : bool
        Divided differences times factorials instead, as published for the corrector.

    Returns
    -------
    list of n tensors
        Of first to n-th order.
    """
    n = len(values) - 1
    if pseudo:
        table, found = list(values), []
        for i in range(1, n + 1):
            table = [
                (table[j] - table[j + 1]) / (places[j] - places[i + j]) for j in range(n - i + 1)
            ]
            found.append(factorial(i) * table[0])
        return found
    powers = (places[1:] - places[0])[:, None] ** np.arange(1, n + 1)
    inverse = np.linalg.inv(powers)
    differences = [value - values[0] for value in values[1:]]
    return [
        factorial(i + 1) * sum(inverse[i, j] * differences[j] for j in range(n)) for i in range(n)
    ]


@register(
    "dpm_solver_v3",
    about="exponential multistep integrator with statistics of the model",
    order=2,  # its first step is of order one, and counts once
    evaluations_per_step=1,
    stochastic=False,
    ends="unscaled",
    needs=["images"],
    fewest=4,
)
class DpmSolverV3:
    """Predictor-corrector in f = (S eps - l x) / A, whose change s f + b is integrated exactly.

    The authors publish statistics, not the code that makes them; they are computed here, once for
    all samples, and the calls counted apart (``setup_evaluations``).

    Parameters
    ----------
    order : int
        1 to 3; lowered at the first and (``lower_order_final``) last steps.
    corrector : bool
        Correct each state with the noise found there, by one order more ("pseudo" derivatives).
    lower_order_final : bool
        As published, for few evaluations; it costs order.
    levels, probes : int
        Grid and noised images of the statistics (published: 250 and 1,024).
    """

    def __init__(
        self,
        order: int = 3,
        corrector: bool = True,
        lower_order_final: bool = True,
        levels: int = 120,
        probes: int = 64,
    ):
        name = "dpm_solver_v3"
        require_option(name, "order", order, order in (1, 2, 3), "1, 2 or 3")
        require_option(name, "levels", levels, levels >= 2, "at least 2")
        require_option(name, "probes", probes, probes >= 2, "at least 2")
        self.order, self.corrector, self.lower_order_final = order, corrector, lower_order_final
        self.levels, self.probes = levels, probes
        self._coefficients = None

    def __call__(self, model, start, evaluations, generator, images):
        """Sample; the first call estimates the statistics."""
        fewest = self.order + 1
        require_evaluations("dpm_solver_v3", evaluations, fewest, f"order {self.order}")
        if self._coefficients is None:
            self.use(empirical_statistics(model, images, self.levels, self.probes), start.device)
        return self.run(model, start, evaluations)

    def use(self, statistics: Statistics, device: torch.device) -> "DpmSolverV3":
        """Use these statistics, for states on ``device``."""
        self._coefficients = _Coefficients(statistics, REFINEMENT, device)
        return self

    @torch.no_grad()
    def run(self, model: NoiseModel, start: torch.Tensor, evaluations: int) -> torch.Tensor:
        """Sample with the statistics at hand; ends at the lowest level."""
        c = self._coefficients
        places = np.round(np.linspace(0, len(c.grid) - 1, evaluations + 1)).astype(int)
        y = np.exp(-c.grid[0]) * start.double()
        states, functions, order = [], [], 0
        for step, (i, j) in enumerate(itertools.pairwise(places), start=1):
            sigma = float(np.exp(-c.grid[i]))
            f = sigma * model.at_sigma(y.to(start), sigma).double() - c.linear[i] * y
            functions.append(f)
            if self.corrector and order:
                y = self._step(states[-1], places, functions, step - 2, i, order + 1, True)
            states.append(y)
            order = min(self.order, step)
            if self.lower_order_final:
                order = min(order, evaluations + 1 - step)
            y = self._step(y, places, functions, step - 1, j, order, False)
        return y.to(start)

    def _step(self, y, places, functions, index, target, order, corrects):
        """Go from places[index] to target with ``order`` values, the newest among them or not."""
        c, i = self._coefficients, places[index]
        chosen = [index, index + 1] if corrects else [index]
        chosen += list(range(index - 1, index - 1 - (order - len(chosen)), -1))
        values = [c.compensated(functions[k], i, places[k]) for k in chosen]
        derivatives = taylor_derivatives(c.grid[places[chosen]], values, corrects)
        return c.advanced(y, i, target, values[0], derivatives)
