"""Objectives over a schedule of noise levels, for generation from noise.

With s = -eps / lambda the published loss || s lambda + z ||^2 / (2 g^2) becomes
|| eps - z ||^2 / (2 g^2): at one level, and for a constant g, denoising score matching *is* noise
prediction (Eq. 26b). What can differ between models is the schedule, the images that noise is added
to, and the target: exactly the arguments of `LevelObjective`.
"""

import torch

from crosskrylov.errors import ShapeError
from crosskrylov.learning.objectives.base import standard_normal
from crosskrylov.learning.objectives.mixture import mixture_noise
from crosskrylov.learning.schedule import NoiseLevels


class LevelObjective:
    """Noise prediction at random levels: E || eps(x_t, t) - target ||^2, times a constant weight.

    Parameters
    ----------
    images : tensor, shape (N, C, H, W), float32
        Clean images, in [-1, 1].
    levels : NoiseLevels
        Schedule; levels are drawn uniformly, from all or from ``drawn``.
    batch_size : int
        Images (with replacement) per step.
    weight : float
        Constant factor of the loss, 1 / (2 g^2) for the score models and 1 for DDPM.
    embedded : tensor, shape (N, S, C, H, W), or None
        Embedded images in [-1, 1]: level t of T noises embedded step floor(t S / T) in place of the
        clean image.
    exact_target : bool
        Regress on the exact score of the noised data set (`mixture_noise`) instead of on the drawn
        noise.
    drawn : tensor of int, shape (V,), optional
        Levels that are drawn, all of the schedule by default.
    """

    def __init__(
        self,
        images: torch.Tensor,
        levels: NoiseLevels,
        batch_size: int,
        weight: float = 1.0,
        embedded: torch.Tensor | None = None,
        exact_target: bool = False,
        drawn: torch.Tensor | None = None,
    ):
        if embedded is not None and (
            embedded.ndim != 5
            or embedded.shape[0] != images.shape[0]
            or embedded.shape[2:] != images.shape[1:]
        ):
            raise ShapeError(
                f"Embedded images have shape {tuple(embedded.shape)}; images of shape "
                f"{tuple(images.shape)} need (N, S, C, H, W) of the same N, C, H, W."
            )
        self.images = images.float()
        self.embedded = None if embedded is None else embedded.float()
        self.levels = levels
        self.batch_size = batch_size
        self.weight = weight
        self.exact_target = exact_target
        self.drawn = drawn

    def to(self, device: torch.device) -> "LevelObjective":
        """Move the data to ``device``."""
        self.images = self.images.to(device)
        if self.embedded is not None:
            self.embedded = self.embedded.to(device)
        return self

    def noise(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the noise of a batch; where it depends on the images, objectives differ here."""
        return standard_normal(tuple(clean.shape), generator, clean.device)

    def draw(self, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return clean images (B, C, H, W), levels (B,) and noise of one random batch."""
        device = self.images.device
        index = torch.randint(len(self.images), (self.batch_size,), generator=generator).to(device)
        n_drawn = len(self.levels) if self.drawn is None else len(self.drawn)
        t = torch.randint(n_drawn, (self.batch_size,), generator=generator)
        t = (t if self.drawn is None else self.drawn[t]).to(device)
        if self.embedded is None:
            clean = self.images[index]
        else:
            clean = self.embedded[index, t * self.embedded.shape[1] // len(self.levels)]
        return clean, t, self.noise(clean, generator)

    def loss(self, network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        """Return the weighted mean squared error of the predicted noise on one random batch."""
        clean, t, z = self.draw(generator)
        signal, noise = self.levels.signal_and_noise(t)
        x = (signal * clean + noise * z).contiguous(memory_format=torch.channels_last)
        target = mixture_noise(x, self.images, signal, noise) if self.exact_target else z
        return (network(x, t).sample - target).square().mean() * self.weight
