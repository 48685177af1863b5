"""The noise schedule: one convention for variance-preserving and variance-exploding ones.

A level t has x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) z, with a_t the cumulative alpha of DDPM. Divided
by sqrt(a_t) this is x_0 + sigma_t z with sigma_t = sqrt((1 - a_t) / a_t): a variance-exploding
schedule is a variance-preserving one seen through a change of scale (docs/method.md, Eq. 26a).
Storing a_t therefore serves every objective and every sampler.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from crosskrylov.errors import ConfigError


@dataclass(frozen=True)
class NoiseLevels:
    """A discrete noise schedule.

    Attributes
    ----------
    alphas_cumprod : ndarray, shape (T,), float64
        a_t, decreasing, in (0, 1).
    """

    alphas_cumprod: np.ndarray

    @classmethod
    def linear(cls, count: int = 1000, beta_start=1e-4, beta_end=0.02) -> "NoiseLevels":
        """Return DDPM's schedule: beta linear from ``beta_start`` to ``beta_end``."""
        return cls(np.cumprod(1.0 - np.linspace(beta_start, beta_end, count)))

    @classmethod
    def geometric(
        cls, count: int = 1000, sigma_min: float = 0.02, sigma_max: float = 20.0
    ) -> "NoiseLevels":
        """Return the variance-exploding schedule: sigma geometric between its two ends.

        Parameters
        ----------
        count : int
            Number T of levels.
        sigma_min, sigma_max : float
            Standard deviations of the noise relative to images in [-1, 1].
        """
        if not 0 < sigma_min < sigma_max:
            raise ConfigError(
                f"Noise levels need 0 < sigma_min < sigma_max; found {sigma_min} and {sigma_max}."
            )
        sigma = np.geomspace(sigma_min, sigma_max, count)
        return cls(1.0 / (1.0 + sigma**2))

    @classmethod
    def from_config(cls, kind: str | None, training: Mapping) -> "NoiseLevels | None":
        """Return the schedule that a model declares, sized as the configuration says.

        Parameters
        ----------
        kind : {"linear", "geometric"} or None
            None: the model has no schedule, and neither has the result.
        training : mapping
            Config section, with ``noise_levels``, ``sigma_min`` and ``sigma_max``.
        """
        if kind is None:
            return None
        count = training["noise_levels"]
        if kind == "linear":
            return cls.linear(count)
        if kind == "geometric":
            return cls.geometric(count, training["sigma_min"], training["sigma_max"])
        raise ConfigError(f"Noise schedule kind is {kind!r}; allowed are 'linear' and 'geometric'.")

    def __len__(self) -> int:
        return len(self.alphas_cumprod)

    @property
    def sigmas(self) -> np.ndarray:
        """sigma_t, shape (T,), increasing."""
        return np.sqrt((1.0 - self.alphas_cumprod) / self.alphas_cumprod)

    @property
    def betas(self) -> np.ndarray:
        """beta_t = 1 - a_t / a_{t-1}, shape (T,): what diffusers' schedulers call trained_betas."""
        previous = np.concatenate([[1.0], self.alphas_cumprod[:-1]])
        return 1.0 - self.alphas_cumprod / previous

    def signal_and_noise(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return sqrt(a_t) and sqrt(1 - a_t) as (B, 1, 1, 1) float32 for (B,) integer levels."""
        a = torch.as_tensor(self.alphas_cumprod, device=t.device)[t][:, None, None, None]
        return a.sqrt().float(), (1.0 - a).sqrt().float()

    def nearest_level(self, sigma: float) -> int:
        """Return the level whose sigma is nearest to ``sigma`` in logarithm."""
        return int(np.abs(np.log(self.sigmas) - np.log(sigma)).argmin())
