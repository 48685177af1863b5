"""Denoising MCMC: Langevin-Gibbs chains in image and noise level (Kim and Ye, 2023)."""

import math

import numpy as np
import torch

from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.registry import register, require_evaluations, require_option
from crosskrylov.learning.sampling.sde import normal_like


def level_log_posterior(y: torch.Tensor, images: torch.Tensor, sigmas: np.ndarray) -> torch.Tensor:
    """Return log p(sigma | y) up to a constant, sigma uniform over a grid, for the noised data set.

    Parameters
    ----------
    y : tensor, shape (B, C, H, W)
        x_0 + sigma z.
    images : tensor, shape (N, C, H, W)
        The data set.
    sigmas : ndarray, shape (K,)
        The grid.

    Returns
    -------
    tensor, shape (B, K), float64
    """
    y, images = y.double().flatten(1), images.double().flatten(1)
    distance = torch.cdist(y, images) ** 2
    least = distance.min(dim=1, keepdim=True).values
    excess, weights, columns = distance - least, torch.empty_like(distance), []
    for sigma in sigmas:
        # in place, and off the denormal numbers: the chains spend their time here; e^-80 is lost
        torch.mul(excess, -1 / (2 * sigma**2), out=weights).clamp_(min=-80).exp_()
        nearest = least[:, 0] / (2 * sigma**2)
        columns.append(weights.sum(dim=1).log() - nearest - y.shape[1] * math.log(sigma))
    return torch.stack(columns, dim=1)


def effective_samples(series: np.ndarray) -> float:
    """Return the number of independent samples that chains are worth, for one quantity.

    Parameters
    ----------
    series : ndarray, shape (K, chains)
        The quantity along each chain.
    """
    series = np.asarray(series, dtype=float)
    count, chains = series.shape
    centred = series - series.mean()
    variance = np.mean(centred**2)
    if variance == 0:
        return 1.0
    time = 1.0
    for lag in range(1, count):
        correlation = np.mean(centred[lag:] * centred[:-lag]) / variance
        if correlation <= 0:  # beyond, there is noise only
            break
        time += 2 * correlation
    return count * chains / time


@register(
    "denoising_mcmc",
    about="Langevin-Gibbs chains in image and level, denoised from their smallest levels",
    order=None,
    evaluations_per_step=1,
    stochastic=True,
    needs=["images"],
    fewest=4,
)
class DenoisingMcmc:
    """Chains (y, sigma): a Langevin step at the level, then the level anew (Eq. 29r).

    y <- y + eta/2 s(y, sigma) + sqrt(eta) z; sigma ~ p(sigma | y). Of every ``skip`` steps the
    state of the smallest sigma is kept and denoised by DDIM from there, the rest of the
    evaluations, and the posterior mean at the end. Here p(sigma | y) is that of the noised training
    images, exactly: the authors' classifier approximates it, and they take its arg max. Starting
    the chains costs ``burn_in`` calls twice, counted apart. Samples of one chain are correlated:
    `effective_samples`.

    Parameters
    ----------
    eta : float
        Step; 3.2 for images in [-1, 1] is the published 0.8 for [0, 1].
    skip : int, optional
        Chain steps between two samples; default half of the evaluations.
    chains : int, optional
        Chains run at once; default a quarter of the samples of a batch.
    burn_in : int
        DDIM steps that start a chain, and chain steps after them.
    draw : bool
        Draw sigma; False takes the most probable, as published.
    """

    def __init__(
        self,
        eta: float = 3.2,
        skip: int | None = None,
        chains: int | None = None,
        burn_in: int = 20,
        draw: bool = True,
    ):
        name = "denoising_mcmc"
        require_option(name, "eta", eta, eta > 0, "positive")
        require_option(name, "skip", skip, skip is None or skip >= 1, "at least 1")
        require_option(name, "chains", chains, chains is None or chains >= 1, "at least 1")
        require_option(name, "burn_in", burn_in, burn_in >= 2, "at least 2")
        self.eta, self.skip, self.chains = eta, skip, chains
        self.burn_in, self.draw = burn_in, draw

    def __call__(self, model, start, evaluations, generator, images):
        """Sample."""
        skip = self.skip or evaluations // 2
        why = f"{skip} chain steps, one denoising step and the last posterior mean"
        require_evaluations("denoising_mcmc", evaluations, max(skip + 2, 4), why)
        grid = np.geomspace(model.levels.sigmas[0], model.levels.sigmas[-1], 200)
        chains = min(self.chains or max(len(start) // 4, 1), len(start))

        def level_of(y):
            log_posterior = level_log_posterior(y, images, grid).cpu()
            if self.draw:
                weights = torch.softmax(log_posterior, dim=1)
                chosen = torch.multinomial(weights, 1, generator=generator)[:, 0]
            else:
                chosen = log_posterior.argmax(dim=1)
            return torch.as_tensor(grid)[chosen].to(y)

        def step(y, sigma):
            score = -model.at_sigmas(y, sigma) / sigma[:, None, None, None]
            y = y + self.eta / 2 * score + math.sqrt(self.eta) * normal_like(y, generator)
            return y, level_of(y)

        with model.setup():
            top = torch.full((chains,), grid[-1]).to(start)
            y = self._denoised(model, grid[-1] * start[:chains], top, grid[0], self.burn_in)
            y = y + math.sqrt(self.eta) * normal_like(y, generator)
            sigma = level_of(y)
            for _ in range(self.burn_in):
                y, sigma = step(y, sigma)
        before, parts = model.evaluations, []
        while sum(map(len, parts)) < len(start):
            best, lowest = y, sigma
            for _ in range(skip):
                y, sigma = step(y, sigma)
                better = sigma < lowest
                best = torch.where(better[:, None, None, None], y, best)
                lowest = torch.where(better, sigma, lowest)
            parts.append(self._denoised(model, best, lowest, grid[0], evaluations - skip))
        model.evaluations = before + evaluations  # a call serves the images of one round only
        return torch.cat(parts)[: len(start)]

    @staticmethod
    def _denoised(model: NoiseModel, y, sigma, sigma_min: float, evaluations: int):
        """DDIM from every image's own level to the lowest, and the posterior mean there."""
        for k in range(evaluations - 1):
            after = sigma * (sigma_min / sigma) ** (1 / (evaluations - 1 - k))
            y = y + (after - sigma)[:, None, None, None] * model.at_sigmas(y, sigma)
            sigma = after
        return y - sigma[:, None, None, None] * model.at_sigmas(y, sigma)
