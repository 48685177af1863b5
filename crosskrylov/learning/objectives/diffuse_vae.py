"""DiffuseVAE (Pandey et al., 2022, arXiv:2201.00308), second form: diffusion around a VAE's image.

x_t = A x_0 + v + S z with v the reconstruction of a variational autoencoder that was trained
before; sampling starts at N(v, 1) with v decoded from the prior.  The network sees x_t and v.
Less v, x_t is the x_t of diffusion and so are the steps, which is how samplers get it here.
"""

from types import SimpleNamespace

import torch

from crosskrylov.learning.objectives.base import Objective, Setting, register
from crosskrylov.learning.objectives.levels import LevelObjective

_RATE = 1e-3
_BATCH = 128


@register("diffuse_vae", experiments={"study": "geometric"}, condition=True)
def diffuse_vae(
    setting: Setting, *, latent: int = 8, width: int = 256, updates: int = 3000
) -> Objective:
    """Return noise prediction beside the reconstruction of an autoencoder, trained first."""
    images = setting.images * 2 - 1
    coder = Autoencoder(tuple(images.shape[1:]), latent, width, setting.seed)
    coder.fit(images.float(), updates, torch.Generator().manual_seed(setting.seed))
    return ConditionedNoise(
        images, setting.levels, setting.batch_size, setting.published_weight, coder=coder
    )


class Autoencoder(torch.nn.Module):
    """A variational autoencoder with a hidden layer on either side.

    Parameters
    ----------
    image_shape : tuple
        (C, H, W).
    latent, width : int
        Latent variables, and units of a hidden layer.
    seed : int
        Seed of the initial weights.
    """

    #: Variance of a pixel around its reconstruction, for images in [-1, 1].
    NOISE = 0.1

    def __init__(self, image_shape: tuple[int, int, int], latent: int, width: int, seed: int):
        super().__init__()
        self.image_shape, self.latent = image_shape, latent
        pixels = int(torch.Size(image_shape).numel())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            linear = torch.nn.Linear
            self.encoder = torch.nn.Sequential(
                linear(pixels, width), torch.nn.SiLU(), linear(width, 2 * latent)
            )
            self.decoder = torch.nn.Sequential(
                linear(latent, width), torch.nn.SiLU(), linear(width, pixels), torch.nn.Tanh()
            )

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """Return images (B, C, H, W) of latent variables (B, L)."""
        return self.decoder(latent).reshape(-1, *self.image_shape)

    def reconstructed(self, images: torch.Tensor, generator: torch.Generator):
        """Return reconstructions by drawn latent variables, and the divergence from the prior."""
        mean, log_variance = self.encoder(images.flatten(1)).chunk(2, dim=1)
        z = torch.randn(tuple(mean.shape), generator=generator).to(images)
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(1) / 2
        return self.decode(mean + (log_variance / 2).exp() * z), divergence

    def fit(self, images: torch.Tensor, updates: int, generator: torch.Generator) -> None:
        """Train by the evidence's lower bound; afterwards the weights are fixed."""
        optimiser = torch.optim.Adam(self.parameters(), lr=_RATE)
        for _ in range(updates):
            batch = images[torch.randint(len(images), (_BATCH,), generator=generator)]
            made, divergence = self.reconstructed(batch, generator)
            squares = (made - batch).square().flatten(1).sum(1)
            loss = (squares / (2 * self.NOISE) + divergence).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        self.requires_grad_(False)


class ConditionedNoise(LevelObjective):
    """Noise prediction from x_t and the reconstruction v, side by side."""

    def __init__(self, *arguments, coder: Autoencoder):
        super().__init__(*arguments)
        self.coder = coder

    def to(self, device: torch.device) -> "ConditionedNoise":
        """Move the data and the autoencoder to ``device``."""
        self.coder.to(device)
        return super().to(device)

    def loss(self, network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        """Return the loss of one random batch."""
        clean, t, z = self.draw(generator)
        v, _ = self.coder.reconstructed(clean, generator)
        signal, noise = self.levels.signal_and_noise(t)
        found = Conditioned(network, v)(signal * clean + noise * z, t).sample
        return (found - z).square().mean() * self.weight

    def predictor(self, network, count, generator) -> "Conditioned":
        """Return the network with images decoded from the prior, one for each sample."""
        latent = torch.randn((count, self.coder.latent), generator=generator)
        return Conditioned(network, self.coder.decode(latent.to(self.images)))


class Conditioned(torch.nn.Module):
    """A network of x_t and v as a noise predictor of x_t - v, ``v`` (B, C, H, W) fixed."""

    def __init__(self, network: torch.nn.Module, v: torch.Tensor):
        super().__init__()
        self.network = network
        self.v = v

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> SimpleNamespace:
        """Return the expected noise in x = x_t - v."""
        return self.network(torch.cat([x + self.v, self.v], dim=1), t)
