"""A U-Net whose output is scaled to the noise level, and which knows where in the image it is.

Outwardly it is a noise predictor like every other network here, so that samplers, checkpoints and
measures need not know of it.
"""

import math

import torch

# isort: off
import crosskrylov.runtime.torchvision_compat  # noqa: F401  (must come before diffusers)
from diffusers import ConfigMixin, ModelMixin, UNet2DModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.unets.unet_2d import UNet2DOutput

# isort: on

#: Standard deviation of the data that `coefficients` assume, for images in [-1, 1].
DATA_STD = 0.5
#: What F is told of the noise: this times log sigma, which spreads over the range that sinusoidal
#: time features are made for.
NOISE_SCALE = 250.0
#: Typical number of waves along a side of the image in `position_waves`.
WAVES_PER_SIDE = 5.0


def coefficients(
    sigma: torch.Tensor, parametrisation: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return c_skip, c_out and c_in of the denoiser D = c_skip y + c_out F(c_in y) (Eq. 28a, 28b).

    Parameters
    ----------
    sigma : tensor
        Noise of y = x_0 + sigma z.
    parametrisation : {"edm", "image"}
        ``edm``: those of Karras et al. 2022, Table 1, for which input and target of F have unit
        variance and the error of F is amplified least; ``image``: F is the image itself, over
        `DATA_STD`.
    """
    total = sigma**2 + DATA_STD**2
    c_in = total.rsqrt()
    if parametrisation == "image":
        return torch.zeros_like(sigma), torch.full_like(sigma, DATA_STD), c_in
    return DATA_STD**2 / total, sigma * DATA_STD * c_in, c_in


def loss_weight(sigma: torch.Tensor, parametrisation: str) -> torch.Tensor:
    """Return (sigma / c_out)^2: by it |eps - z|^2 is the squared error of F itself (Eq. 28c)."""
    if parametrisation == "noise":
        return torch.ones_like(sigma)
    return (sigma / coefficients(sigma, parametrisation)[1]) ** 2


def position_waves(size: int, count: int) -> torch.Tensor:
    """Return sqrt(2) cos(2 pi b.p + c) of the place p for ``count`` random waves (Eq. 28d).

    Rows and columns of p are counted in units of the image's side, from the centre of a pixel. The
    frequencies b have standard deviation `WAVES_PER_SIDE` along both; they are the same in every
    run, and know nothing of any image.

    Returns
    -------
    tensor, shape (1, count, size, size)
    """
    generator = torch.Generator().manual_seed(0)
    frequency = torch.randn((count, 2, 1, 1), generator=generator) * WAVES_PER_SIDE
    phase = torch.rand((count, 1, 1), generator=generator)
    at = (torch.arange(size) + 0.5) / size
    turns = frequency[:, 0] * at[:, None] + frequency[:, 1] * at + phase
    return (math.sqrt(2) * torch.cos(2 * math.pi * turns))[None]


class PreconditionedUNet(ModelMixin, ConfigMixin):
    """A UNet2DModel F inside a noise predictor: eps(x_t, t) = (y - D(y)) / sigma_t.

    y = x_t / sqrt(a_t) is the image with noise sigma_t, D the denoiser of `coefficients`.

    Parameters
    ----------
    sample_size, in_channels : int
        Side in pixels and channels of the images.
    network : dict
        Further arguments of UNet2DModel.
    parametrisation : {"noise", "edm", "image"}
        See `coefficients`; ``noise``: F is the noise itself, and sees x_t.
    position_features : int
        Number of `position_waves` that F sees as channels beside the image.
    sigma_min, sigma_max, noise_levels : float, float, int
        The geometric schedule that levels t belong to.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int,
        in_channels: int,
        network: dict,
        parametrisation: str,
        position_features: int,
        sigma_min: float,
        sigma_max: float,
        noise_levels: int,
    ):
        super().__init__()
        waves = position_waves(sample_size, position_features)
        self.unet = UNet2DModel(
            sample_size=sample_size,
            in_channels=in_channels + waves.shape[1],
            out_channels=in_channels,
            **network,
        )
        self.register_buffer("waves", waves)
        self.log_ratio = math.log(sigma_max / sigma_min) / (noise_levels - 1)

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> UNet2DOutput:
        """Return the predicted noise in ``x`` (B, C, H, W) at levels ``t`` (B,) as ``sample``."""
        sigma = self.config.sigma_min * torch.exp(self.log_ratio * t.float())[:, None, None, None]
        if self.config.parametrisation == "noise":
            return UNet2DOutput(sample=self._network(x, sigma))
        y = x * (1 + sigma**2).sqrt()
        c_skip, c_out, c_in = coefficients(sigma, self.config.parametrisation)
        # (1 - c_skip) and c_out are divided by sigma one by one: their difference would cancel
        return UNet2DOutput(
            sample=(1 - c_skip) / sigma * y - c_out / sigma * self._network(c_in * y, sigma)
        )

    def _network(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        waves = self.waves.to(x.dtype).expand(len(x), -1, -1, -1)
        inputs = torch.cat([x, waves], dim=1).contiguous(memory_format=torch.channels_last)
        return self.unet(inputs, NOISE_SCALE * sigma.log().flatten()).sample
