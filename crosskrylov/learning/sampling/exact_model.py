"""The model that training would end at: the exact posterior mean of the noised data set.

It has the signature of a trained network, and stands wherever one does.  A sampler then has no
network error, so that all that is left is its own: docs/method.md, Eq. 29f.
"""

from types import SimpleNamespace

import numpy as np
import torch

from crosskrylov.errors import DataError
from crosskrylov.learning.objectives.mixture import mixture_noise
from crosskrylov.learning.schedule import NoiseLevels


class ExactNetwork(torch.nn.Module):
    """Noise predictor of the mixture that a noised data set is (Eq. 26c), ``network(x, t).sample``.

    Smooth in x and in t, also at fractional levels, where log sigma is interpolated linearly as
    `NoiseModel` does; differentiable twice.  Computes in the precision of x.

    Parameters
    ----------
    images : tensor, shape (N, C, H, W)
        The data set, in [-1, 1].
    levels : NoiseLevels
        The schedule that t counts.

    Raises
    ------
    DataError
        If there is no image.
    """

    def __init__(self, images: torch.Tensor, levels: NoiseLevels):
        super().__init__()
        if not len(images):
            raise DataError("The exact model needs at least one image; found none.")
        # a parameter, as those of a trained network: samplers read the device off it
        self.images = torch.nn.Parameter(images.detach().double(), requires_grad=False)
        self.levels = levels
        self._log_sigmas = np.log(levels.sigmas)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.images.device

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> SimpleNamespace:
        """Return the expected noise in ``x`` (B, C, H, W) at levels ``t`` (B,) as ``.sample``."""
        places = t.detach().cpu().double().numpy()
        log_sigma = np.interp(places, np.arange(len(self.levels)), self._log_sigmas)
        sigma = torch.as_tensor(np.exp(log_sigma)).to(x)[:, None, None, None]
        signal = 1 / torch.sqrt(1 + sigma**2)
        return SimpleNamespace(sample=mixture_noise(x, self.images.to(x), signal, signal * sigma))
