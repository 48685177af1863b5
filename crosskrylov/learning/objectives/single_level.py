"""Single-level denoising score matching: the published loss at its one noise level."""

import torch

from crosskrylov.errors import ShapeError
from crosskrylov.learning.objectives.base import Setting, standard_normal
from crosskrylov.learning.unet import TIME_SCALE


class SingleLevelObjective:
    """E || s(x_eps, t) lambda + z ||^2 / (2 g^2) with x_eps = x^n + lambda z (Eq. 25).

    All embedded steps of an image form one batch: the published loop takes one step at a time,
    which leaves a processor idle and changes nothing else. The norm is a mean over pixels, which
    Adam cannot tell from a sum.

    Parameters
    ----------
    embedded : tensor, shape (N, S, C, H, W), float32
        Embedded images in [0, 1]; S copies of the image itself give plain denoising score matching.
    times : tensor, shape (S,)
        Embedded times in [0, final_time].
    final_time : float
        Length of the time interval; the network sees times scaled to [0, 1000].
    noise : float
        lambda.
    diffusion : float
        g.
    images_per_batch : int
        Images whose S steps make one batch.
    scaled : bool
        The network's output is lambda times the score (Eq. 25a), not the score itself: it then has
        the size of z, where the published output has to grow to 1 / lambda first.
    """

    def __init__(
        self,
        embedded: torch.Tensor,
        times: torch.Tensor,
        final_time: float = 1.0,
        noise: float = 0.1,
        diffusion: float = 0.5,
        images_per_batch: int = 1,
        scaled: bool = False,
    ):
        if embedded.ndim != 5 or embedded.shape[1] != len(times):
            raise ShapeError(
                f"Embedded images have shape {tuple(embedded.shape)} and there are {len(times)} "
                "times; expected (N, S, C, H, W) with S times."
            )
        self.embedded = embedded.float()
        self.network_times = (times / final_time * TIME_SCALE).float()
        self.noise = noise
        self.diffusion = diffusion
        self.images_per_batch = min(images_per_batch, len(embedded))
        self.scaled = scaled

    @classmethod
    def from_setting(cls, embedded: torch.Tensor, setting: Setting) -> "SingleLevelObjective":
        """Return the objective on ``embedded`` with everything else as an experiment gives it."""
        return cls(
            embedded,
            setting.times,
            final_time=setting.final_time,
            noise=setting.noise,
            diffusion=setting.diffusion,
            images_per_batch=setting.batch_size // len(setting.times),
            scaled=setting.scaled,
        )

    def to(self, device: torch.device) -> "SingleLevelObjective":
        """Move the data to ``device``."""
        self.embedded = self.embedded.to(device)
        self.network_times = self.network_times.to(device)
        return self

    def loss(self, network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        """Return the loss over every embedded step of the drawn images."""
        chosen = torch.randperm(len(self.embedded), generator=generator)[: self.images_per_batch]
        x = self.embedded[chosen.to(self.embedded.device)]  # (B, S, C, H, W)
        times = self.network_times.repeat(len(x))  # (B * S,)
        x = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        z = standard_normal(tuple(x.shape), generator, x.device)
        output = network(x + self.noise * z, times).sample
        scaled_score = output if self.scaled else output * self.noise
        return (scaled_score + z).square().mean() / (2 * self.diffusion**2)
