"""Rectified diffusion (Wang et al., 2024): the unchanged loss on pairs.

Noises z_i are taken along the flow of a trained network to images x_i, and the network is trained
on with image i always noised by z_i.  Nothing becomes straight: what is to improve is that the
noise is constant along a trajectory.
"""

import torch

from crosskrylov.learning.objectives.base import Objective, Setting, register
from crosskrylov.learning.objectives.levels import LevelObjective


@register("rectified", experiments={"study": "geometric"}, teacher="dsm", fits="flow")
def rectified(setting: Setting, *, pairs: int = 5000) -> Objective:
    """Return noise prediction on pairs of noise and the image that a trained flow makes of it."""
    generator = torch.Generator().manual_seed(setting.seed)
    z = torch.randn((pairs, *setting.images.shape[1:]), generator=generator)
    made = setting.flow(z)
    return PairedNoise(made, setting.levels, setting.batch_size, setting.published_weight, noises=z)


class PairedNoise(LevelObjective):
    """Noise prediction where every image has a noise of its own, ``noises[i]`` for image i."""

    def __init__(self, *arguments, noises: torch.Tensor):
        super().__init__(*arguments)
        self.noises = noises.float()

    def to(self, device: torch.device) -> "PairedNoise":
        """Move the data to ``device``."""
        self.noises = self.noises.to(device)
        return super().to(device)

    def draw(self, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return images, levels and the images' own noises."""
        device = self.images.device
        index = torch.randint(len(self.images), (self.batch_size,), generator=generator).to(device)
        t = torch.randint(len(self.levels), (self.batch_size,), generator=generator).to(device)
        return self.images[index], t, self.noises[index]
