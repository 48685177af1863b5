"""DC-Solver: UniPC with dynamically compensated outputs (Zhao et al., 2024)."""

import itertools

import numpy as np
import torch

from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.registry import register, require_evaluations, require_option
from crosskrylov.learning.sampling.steps import sigma_steps, signal_of, unipc_step


def compensated(places: list[float], outputs: list[torch.Tensor], ratio) -> torch.Tensor:
    """Return the Lagrange interpolant of the last outputs at t_before + ratio (t - t_before)."""
    at = places[-2] + ratio * (places[-1] - places[-2])
    total = 0
    for i, output in enumerate(outputs):
        weight = 1.0
        for j, place in enumerate(places):
            if j != i:
                weight = weight * (at - place) / (places[i] - place)
        total = total + weight * output
    return total


@register(
    "dc_solver",
    about="UniPC whose outputs are moved along the trajectory by fitted ratios",
    order=None,
    evaluations_per_step=1,
    stochastic=False,
    fewest=4,
)
class DcSolver:
    """UniPC of order 2; from its third step on, the newest image is replaced (Eq. 29q).

    It becomes the interpolant of the last three in the level index at t_before +
    rho (t - t_before), rho one number per step, fitted once per network and number of steps by
    AdamW through one network call: the state after the next predictor and corrector is to come near
    a fine DDIM trajectory. rho = 1 is UniPC. The part for guidance scales needs guidance.

    Parameters
    ----------
    noises : int
        Trajectories that rho is fitted on (published: 10).
    iterations : int
        Optimiser steps per rho (20); each is a network call with its gradient.
    fine_steps : int
        Of the DDIM trajectories.
    rate : float
        Learning rate (0.1).
    bound : float or None
        rho = 1 + bound tanh(p) instead of p (the authors' option: 0.5).
    ratios : list of float, optional
        rho of every step, if known: nothing is fitted.
    seed : int
        Seed of the noises.
    """

    def __init__(
        self,
        noises: int = 10,
        iterations: int = 20,
        fine_steps: int = 200,
        rate: float = 0.1,
        bound: float | None = None,
        ratios: list | None = None,
        seed: int = 0,
    ):
        require_option("dc_solver", "noises", noises, noises >= 1, "at least 1")
        require_option("dc_solver", "iterations", iterations, iterations >= 0, "at least 0")
        require_option("dc_solver", "fine_steps", fine_steps, fine_steps >= 2, "at least 2")
        self.noises, self.iterations, self.fine_steps = noises, iterations, fine_steps
        self.rate, self.bound, self.seed = rate, bound, seed
        self.ratios = ratios

    def __call__(self, model, start, evaluations, generator):
        """Sample; the first call fits the ratios."""
        require_evaluations("dc_solver", evaluations, 4, "three images to interpolate")
        sigmas = sigma_steps(model, evaluations)
        if self.ratios is None:
            with model.setup():
                self.ratios = self._fitted(model, start, sigmas)
        fits = len(self.ratios) == evaluations
        wanted = f"a list of one number per step, {evaluations} here"
        require_option("dc_solver", "ratios", self.ratios, fits, wanted)
        return self._run(model, sigmas[0] * start, sigmas, lambda i, *_: self.ratios[i])

    def _fitted(self, model: NoiseModel, like: torch.Tensor, sigmas: np.ndarray) -> list[float]:
        """Fit rho step by step, each with those before it in use."""
        generator = torch.Generator().manual_seed(self.seed)
        shape = (self.noises, *like.shape[1:])
        y = sigmas[0] * torch.randn(shape, generator=generator).to(like)
        wanted = self._fine(model, y, sigmas)
        ratios = []

        def fit(i, y, lambdas, places, outputs, order):
            def loss(ratio):
                moved = [*outputs[:-1], compensated(places, outputs, ratio)]
                if i == len(sigmas) - 1:
                    return (moved[-1] - wanted[-1]).square().mean()
                target = -np.log(sigmas[i + 1])
                guess = unipc_step(y, lambdas[-2:], moved[-2:], target, order)
                clean = _image(model, guess, sigmas[i + 1])
                state = unipc_step(y, lambdas[-2:], moved[-2:], target, order, clean)
                return (state - wanted[i + 1]).square().mean()

            ratios.append(self._minimised(loss) if i > 1 else 1.0)
            return ratios[-1]

        self._run(model, y, sigmas, fit)
        return ratios

    def _minimised(self, loss) -> float:
        bounded = self.bound is not None
        with torch.enable_grad():
            parameter = torch.tensor(0.0 if bounded else 1.0, dtype=torch.float64)
            parameter.requires_grad_()

            def ratio():
                return 1 + self.bound * torch.tanh(parameter) if bounded else parameter

            optimizer = torch.optim.AdamW([parameter], lr=self.rate)
            for _ in range(self.iterations):
                optimizer.zero_grad()
                loss(ratio()).backward(inputs=[parameter])
                optimizer.step()
            return float(ratio().detach())

    def _fine(self, model, y, sigmas) -> list[torch.Tensor]:
        """Return the fine DDIM trajectory at every level, and its last posterior mean."""
        per_step = max(round(self.fine_steps / (len(sigmas) - 1)), 1)
        states = [y]
        for here, there in itertools.pairwise(sigmas):
            grid = np.geomspace(here, there, per_step + 1)
            for before, after in itertools.pairwise(grid):
                y = y + (after - before) * model.at_sigma(y, before)
            states.append(y)
        return [*states, y - sigmas[-1] * model.at_sigma(y, sigmas[-1])]

    @staticmethod
    def _run(model, y, sigmas, ratio_of) -> torch.Tensor:
        lambdas = -np.log(sigmas)
        outputs, places, before = [], [], None
        for i, sigma in enumerate(sigmas):
            clean = y - sigma * model.at_sigma(y, sigma)
            if before is not None:
                order = min(2, i)
                y = unipc_step(before, lambdas[:i][-2:], outputs[-2:], lambdas[i], order, clean)
            outputs = [*outputs, clean][-3:]
            places = [*places, model.level_of(sigma)][-3:]
            order = min(2, i + 1)
            ratio = ratio_of(i, y, lambdas[: i + 1], places, outputs, order)
            if ratio != 1.0 and len(outputs) == 3:
                outputs = [*outputs[:-1], compensated(places, outputs, ratio)]
            if i == len(sigmas) - 1:
                return outputs[-1]
            before = y
            y = unipc_step(y, lambdas[: i + 1][-2:], outputs[-2:], lambdas[i + 1], order)
        raise AssertionError("the last level returns")


def _image(model: NoiseModel, y: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return the posterior mean, differentiably."""
    x = signal_of(sigma) * y
    return y - sigma * model.differentiable_at_level(x, model.level_of(sigma))
