"""Score embedding over all times, drawn from pure noise, after the score embedding paper.

The noise of an embedded step grows with its time, and images are drawn by the probability flow
(docs/method.md, Eq. 28e, which says what is as published and what is not).
"""

import math

import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.base import Objective, Setting, register, standard_normal
from crosskrylov.learning.schedule import NoiseLevels

#: kappa of the forward process dx = kappa^t dw, as published for one image of CIFAR-10.
SPREAD = 5.0
#: The earliest time that is trained and drawn.
FIRST_TIME = 0.001


def noise_at(times: torch.Tensor) -> torch.Tensor:
    """Return lambda(t) = sqrt((kappa^2t - 1) / (2 ln kappa)) for images in [0, 1]."""
    return ((SPREAD ** (2 * times) - 1) / (2 * math.log(SPREAD))).sqrt()


class EmbeddingOverTime:
    """E w(t) || eps(x^n + lambda(t) z) - z ||^2 over times t, n = floor(t S), w = kappa^-2t / 2.

    The network predicts the noise, -lambda times the published network's score (Eq. 26b).  Times
    are spread over [0, 1]: the k-th of a batch of B is uniform between k / B and (k + 1) / B.

    Parameters
    ----------
    embedded : tensor, shape (N, S, C, H, W), float32
        Embedded images in [-1, 1].
    levels : NoiseLevels
        What samplers know of the noise: of each lambda(t) the nearest level is taken.
    batch_size : int
        Images (with replacement) per step.

    Raises
    ------
    ConfigError
        If the levels do not end where lambda does.
    """

    def __init__(self, embedded: torch.Tensor, levels: NoiseLevels, batch_size: int):
        # images in [-1, 1] have twice the noise of those in [0, 1]
        ends = 2 * noise_at(torch.tensor([FIRST_TIME, 1.0]))
        sigmas = torch.as_tensor(levels.sigmas)
        if not torch.allclose(sigmas[[0, -1]].log(), ends.double().log(), atol=0.05):
            raise ConfigError(
                f"The model draws from noise of {ends[1] / 2:.3g}, but its levels, which are "
                f"multiples of training.single_image.start_noise, end at {sigmas[-1] / 2:.3g}: set "
                "training.single_image.start_noise back to 0.506."
            )
        self.embedded = embedded.float()
        self.levels = levels
        self.batch_size = batch_size
        self.log_sigmas = sigmas.log()

    def to(self, device: torch.device) -> "EmbeddingOverTime":
        """Move the data to ``device``."""
        self.embedded = self.embedded.to(device)
        return self

    def loss(self, network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        """Return the weighted mean squared error of the predicted noise on one random batch."""
        device = self.embedded.device
        index = torch.randint(len(self.embedded), (self.batch_size,), generator=generator)
        places = torch.rand(self.batch_size, generator=generator, dtype=torch.float64)
        times = (torch.arange(self.batch_size) + places) / self.batch_size
        steps = (times * self.embedded.shape[1]).long()
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
    """Return the loss of the score embedding paper over its times (Eq. 28e), scaled (Eq. 25a)."""
    return EmbeddingOverTime(setting.embedded * 2 - 1, setting.levels, setting.batch_size)
