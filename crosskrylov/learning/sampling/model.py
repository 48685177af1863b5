"""A trained noise predictor as a function of image and noise level."""

from contextlib import contextmanager

import numpy as np
import torch

from crosskrylov.learning.schedule import NoiseLevels


class NoiseModel:
    """Noise prediction eps(x_t, t) with clipping and a count of function evaluations.

    Parameters
    ----------
    network : Module
        ``network(x, t).sample`` predicts the noise in x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) z.
    levels : NoiseLevels
        The schedule that it was trained on.
    clip : bool
        Replace the prediction by the one whose implied x_0 lies in [-1, 1]. Done here once, so that
        every sampler gets it alike.

    Attributes
    ----------
    evaluations : int
        Network calls so far: what a sample costs.
    setup_evaluations : int
        Calls made once for all samples (statistics, searches), on batches of their own.
    """

    def __init__(self, network: torch.nn.Module, levels: NoiseLevels, clip: bool = True):
        self.network = network
        self.levels = levels
        self.clip = clip
        self.evaluations = 0
        self.setup_evaluations = 0
        self._log_sigmas = np.log(levels.sigmas)

    @contextmanager
    def setup(self):
        """Count the calls inside as made once for all samples."""
        before = self.evaluations
        try:
            yield
        finally:
            self.setup_evaluations += self.evaluations - before
            self.evaluations = before

    @torch.no_grad()
    def at_level(self, x: torch.Tensor, level: float) -> torch.Tensor:
        """Return the predicted noise in ``x`` (B, C, H, W) at a level, possibly fractional."""
        return self.differentiable_at_level(x, level)

    def differentiable_at_level(self, x: torch.Tensor, level: float) -> torch.Tensor:
        """Return what `at_level` returns, for a sampler that takes derivatives of it in ``x``."""
        self.evaluations += 1
        log_sigma = np.interp(level, np.arange(len(self.levels)), self._log_sigmas)
        # float64 states are for order studies, where a rounded level would be an error of its own
        precision = torch.float64 if x.dtype == torch.float64 else torch.float32
        t = torch.full((len(x),), float(level), device=x.device, dtype=precision)
        x = x.contiguous(memory_format=torch.channels_last)
        eps = self.network(x, t).sample.to(precision)
        if not self.clip:
            return eps
        signal = float(1 / np.sqrt(1 + np.exp(2 * log_sigma)))
        noise = signal * float(np.exp(log_sigma))
        clean = ((x - noise * eps) / signal).clamp(-1, 1)
        return (x - signal * clean) / noise

    def at_sigma(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        """Return the predicted noise in ``x`` = x_0 + sigma z (no signal scaling)."""
        return self.at_level(x / np.sqrt(1 + sigma**2), self.level_of(sigma))

    def level_of(self, sigma: float) -> float:
        """Return the level, possibly fractional, whose noise is ``sigma``."""
        return float(np.interp(np.log(sigma), self._log_sigmas, np.arange(len(self.levels))))

    @torch.no_grad()
    def at_sigmas(self, x: torch.Tensor, sigmas: torch.Tensor) -> torch.Tensor:
        """Return the predicted noise in ``x`` = x_0 + sigma z, with a sigma (B,) for each image."""
        self.evaluations += 1
        sigmas = sigmas.to(x)[:, None, None, None]
        logs = np.log(sigmas.flatten().cpu().double().numpy())
        places = np.interp(logs, self._log_sigmas, np.arange(len(self.levels)))
        scaled = (x / (1 + sigmas**2).sqrt()).contiguous(memory_format=torch.channels_last)
        eps = self.network(scaled, torch.as_tensor(places).to(x)).sample.to(x)
        if not self.clip:
            return eps
        return (x - (x - sigmas * eps).clamp(-1, 1)) / sigmas

    def score(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        """Return the score of the density noised by ``sigma``: minus the noise over sigma."""
        return -self.at_sigma(x, sigma) / sigma
