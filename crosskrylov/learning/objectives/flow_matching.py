"""Flow matching on the straight path from image to noise (Lipman et al., 2023).

x_t = (1 - t) x_0 + t z, and the network's output is the velocity z - x_0.  Every Gaussian path is
the same process on another clock and scale: x_t = y / (1 + sigma) with y = x_0 + sigma z and
sigma = t / (1 - t), so that the network is a noise predictor too.
"""

from types import SimpleNamespace

import numpy as np
import torch

from crosskrylov.learning.objectives.base import Objective, Setting, register, standard_normal
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.learning.unet import TIME_SCALE


@register("flow_matching", experiments={"study": "geometric"})
def flow_matching(setting: Setting) -> Objective:
    """Return the velocity's mean squared error at times that are uniform in [0, 1]."""
    return VelocityObjective(setting.images * 2 - 1, setting.levels, setting.batch_size)


class VelocityObjective:
    """E |v(x_t, t) - (z - x_0)|^2 on the straight path.

    Parameters
    ----------
    images : tensor, shape (N, C, H, W)
        In [-1, 1].
    levels : NoiseLevels
        The schedule that samplers see the network through.
    batch_size : int
        Images (with replacement) per step.
    """

    def __init__(self, images: torch.Tensor, levels: NoiseLevels, batch_size: int):
        self.images = images.float()
        self.levels = levels
        self.batch_size = batch_size

    def to(self, device: torch.device) -> "VelocityObjective":
        """Move the data to ``device``."""
        self.images = self.images.to(device)
        return self

    def loss(self, network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        """Return the loss of one random batch."""
        device = self.images.device
        index = torch.randint(len(self.images), (self.batch_size,), generator=generator).to(device)
        t = torch.rand(self.batch_size, generator=generator).to(device)
        clean = self.images[index]
        z = standard_normal(tuple(clean.shape), generator, device)
        place = t[:, None, None, None]
        x = (1 - place) * clean + place * z
        return (network(x, TIME_SCALE * t).sample - (z - clean)).square().mean()

    def predictor(self, network, count=1, generator=None) -> "VelocityAsNoise":
        """Return the network as a noise predictor over ``levels``."""
        return VelocityAsNoise(network, self.levels)


class VelocityAsNoise(torch.nn.Module):
    """A velocity network of the straight path, seen as ``network(x, t).sample`` of noise.

    Parameters
    ----------
    network : Module
        ``network(x_t, 1000 t).sample`` is the velocity.
    levels : NoiseLevels
        The schedule that t counts here, fractional levels too.
    """

    def __init__(self, network: torch.nn.Module, levels: NoiseLevels):
        super().__init__()
        self.network = network
        self.levels = levels
        self._log_sigmas = np.log(levels.sigmas)

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> SimpleNamespace:
        """Return the expected noise in x = (x_0 + sigma z) / sqrt(1 + sigma^2)."""
        places = t.detach().cpu().double().numpy()
        logs = np.interp(places, np.arange(len(self.levels)), self._log_sigmas)
        sigma = torch.as_tensor(np.exp(logs)).to(x)[:, None, None, None]
        on_path = x * torch.sqrt(1 + sigma**2) / (1 + sigma)
        time = (sigma / (1 + sigma)).flatten()
        velocity = self.network(on_path, TIME_SCALE * time).sample
        return SimpleNamespace(sample=on_path + velocity / (1 + sigma))  # 1 - t = 1 / (1 + sigma)
