"""Score embedding as its first paper trains and tests it: over all times, drawn from pure noise.

The noise of an embedded step grows with its time, and images are drawn by the probability flow
(docs/method.md, Eq. 28e).
"""

import math

import torch

from crosskrylov.learning.objectives.base import Objective, Setting, register, standard_normal
from crosskrylov.learning.schedule import NoiseLevels

#: sigma of the published forward process dx = sigma^t dw, for images of 32 x 32.
SPREAD = 5.0


def noise_at(times: torch.Tensor) -> torch.Tensor:
    """Return lambda(t) = sqrt((sigma^2t - 1) / (2 log sigma)) for images in [0, 1]."""
    return ((SPREAD ** (2 * times) - 1) / (2 * math.log(SPREAD))).sqrt()


class EmbeddingOverTime:
    """E w(t) || eps(x^n(t) + lambda(t) z) - z ||^2 over uniform times t, w = 1 / (2 sigma^2t).

    The network predicts the noise, -lambda times the published network's score (Eq. 26b).

    Parameters
    ----------
    embedded : tensor, shape (N, S, C, H, W), float32
        Embedded images in [-1, 1]; time t in [0, 1] noises step floor(t S).
    levels : NoiseLevels
        What samplers know of the noise: of each lambda(t) the nearest level is taken.
    batch_size : int
        Images (with replacement) per step.
    """

    def __init__(self, embedded: torch.Tensor, levels: NoiseLevels, batch_size: int):
        self.embedded = embedded.float()
        self.levels = levels
        self.batch_size = batch_size
        self.log_sigmas = torch.as_tensor(levels.sigmas).log()

    def to(self, device: torch.device) -> "EmbeddingOverTime":
        """Move the data to ``device``."""
        self.embedded = self.embedded.to(device)
        return self

    def loss(self, network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        """Return the weighted mean squared error of the predicted noise on one random batch."""
        device = self.embedded.device
        index = torch.randint(len(self.embedded), (self.batch_size,), generator=generator)
        times = torch.rand(self.batch_size, generator=generator, dtype=torch.float64)
        steps = (times * self.embedded.shape[1]).long()
        # images in [-1, 1] have twice the noise of those in [0, 1]
        levels = self._nearest_levels(2 * noise_at(times)).to(device)
        clean = self.embedded[index.to(device), steps.to(device)]
        z = standard_normal(tuple(clean.shape), generator, device)
        signal, noise = self.levels.signal_and_noise(levels)
        x = (signal * clean + noise * z).contiguous(memory_format=torch.channels_last)
        weights = (SPREAD ** (-2 * times) / 2).float().to(device)[:, None, None, None]
        return (weights * (network(x, levels).sample - z).square()).mean()

    def _nearest_levels(self, sigmas: torch.Tensor) -> torch.Tensor:
        distances = sigmas.log()[:, None] - self.log_sigmas
        return distances.abs().argmin(dim=1)


@register(
    "score_embedding_from_noise",
    experiments={"single_image": "geometric"},
    scores=True,
    start="noise",
    family="score_over_time",
    elsewhere="the same as 'score_embedding' where every sample starts from noise",
    # lambda(0.001) and lambda(1) over the published start noise of 0.506
    recipe={"single_image": {"sigma_range": (0.0625, 5.4)}},
)
def embedding_over_time(setting: Setting) -> Objective:
    """Return the loss of the score embedding paper over its times (Eq. 28e)."""
    return EmbeddingOverTime(setting.embedded * 2 - 1, setting.levels, setting.batch_size)
