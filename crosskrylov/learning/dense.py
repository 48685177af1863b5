"""A fully connected network for the smallest images: a step takes milliseconds on one core.

What objectives do to each other's score error shows only in networks that have been trained long.
On images of 64 pixels this network takes many times the steps of the U-Net in the same seconds.
"""

import math
from types import SimpleNamespace

import torch

from crosskrylov.learning.unet import TIME_SCALE

#: Periods of the time features over [0, TIME_SCALE]; slow enough to be differentiated in time.
_PERIODS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class DenseNetwork(torch.nn.Module):
    """Residual blocks of two layers, with time features added inside each.

    Parameters
    ----------
    image_shape : tuple
        (C, H, W) of the images and of the output.
    width : int
        Units of a layer.
    blocks : int
        Residual blocks.
    seed : int
        Seed of the initial weights; the global random state is left as it was.
    inputs : int
        Images of the input, concatenated by channel: 2 with a condition.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], width: int, blocks: int, seed: int, inputs: int = 1
    ):
        super().__init__()
        pixels = math.prod(image_shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = torch.nn.Linear(inputs * pixels, width)
            self.time = torch.nn.Linear(2 * len(_PERIODS), width)
            self.blocks = torch.nn.ModuleList(_Block(width) for _ in range(blocks))
            self.last = torch.nn.Linear(width, pixels)

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> SimpleNamespace:
        """Return ``.sample`` for images (B, n C, H, W) at times (B,) in [0, `TIME_SCALE`]."""
        phase = 2 * math.pi / TIME_SCALE * t.to(x)[:, None] * x.new_tensor(_PERIODS)
        times = self.time(torch.cat([phase.sin(), phase.cos()], dim=1))
        h = self.first(x.flatten(1))
        for block in self.blocks:
            h = block(h, times)
        shape = (len(x), -1, *x.shape[2:])
        return SimpleNamespace(sample=self.last(torch.nn.functional.silu(h)).reshape(shape))


class _Block(torch.nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm = torch.nn.LayerNorm(width)
        self.inner, self.outer = torch.nn.Linear(width, width), torch.nn.Linear(width, width)

    def forward(self, h: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        inside = torch.nn.functional.silu(self.inner(self.norm(h)) + times)
        return h + self.outer(inside)
