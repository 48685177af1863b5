"""MMD fine-tuning (Aiello et al., 2023, arXiv:2301.07969): few DDIM steps trained as a generator.

The whole chain of a few steps is differentiated, and the loss is the squared kernel distance of the
features of what it draws from those of training images.  The features are those of fixed random
convolutions, so that no metric of the tables is trained on.
"""

import itertools

import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.base import Objective, Setting, register
from crosskrylov.learning.objectives.distillation import step_sigmas
from crosskrylov.learning.schedule import NoiseLevels

#: Seed of the random convolutions: features are the same whatever a run's seed.
_FEATURES_SEED = 11


@register("mmd", experiments={"study": "geometric"}, teacher="dsm", fits="ddim")
def mmd(setting: Setting, *, chain: int = 5) -> Objective:
    """Return the kernel distance of samples of a few DDIM steps from training images."""
    return KernelDistance(setting.images * 2 - 1, setting.levels, setting.batch_size, chain)


class KernelDistance:
    """Unbiased squared MMD with the kernel (x y / d + 1)^3 on `random_features`, in float64.

    Parameters
    ----------
    images : tensor, shape (N, C, H, W)
        In [-1, 1].
    levels : NoiseLevels
        Schedule.
    batch_size : int
        Samples, and training images, per step.
    chain : int
        DDIM steps that are differentiated through.

    Attributes
    ----------
    evaluations : int
        Network evaluations of a sample that it was made for.
    clip : bool
        Whether samples are kept in [-1, 1] on the way: the chain that is trained is not.

    Raises
    ------
    ConfigError
        If there is no step.
    """

    clip = False

    def __init__(self, images: torch.Tensor, levels: NoiseLevels, batch_size: int, chain: int):
        if chain < 1:
            raise ConfigError(f"Model 'mmd': option chain is {chain}; it must be at least 1.")
        self.images = images.float()
        self.levels = levels
        self.batch_size = batch_size
        self.evaluations = chain
        self.features = random_features(images.shape[1])

    def to(self, device: torch.device) -> "KernelDistance":
        """Move the data to ``device``."""
        self.images = self.images.to(device)
        self.features.to(device)
        return self

    def loss(self, network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        """Return the loss of one random batch."""
        index = torch.randint(len(self.images), (self.batch_size,), generator=generator)
        real = self.images[index.to(self.images.device)]
        z = torch.randn(tuple(real.shape), generator=generator).to(real)
        drawn = self.features(self.sample(network, z)).double()
        return unbiased_mmd(drawn, self.features(real).double())

    def sample(self, network: torch.nn.Module, z: torch.Tensor) -> torch.Tensor:
        """Return what DDIM makes of unit noises in ``evaluations`` steps, differentiable."""
        sigmas = [*step_sigmas(self.levels, self.evaluations), 0.0]
        x = z  # of unit variance at the first level, as DDIM starts
        y = x * (1 + sigmas[0] ** 2) ** 0.5
        for sigma, lower in itertools.pairwise(sigmas):
            level = torch.full((len(y),), float(self.levels.nearest_level(sigma)), device=y.device)
            eps = network(y / (1 + sigma**2) ** 0.5, level).sample
            y = y + (lower - sigma) * eps
        return y


def random_features(channels: int) -> torch.nn.Module:
    """Return fixed random convolutions of images: pooled activations of two layers, 64 values."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_FEATURES_SEED)
        network = torch.nn.Sequential(
            torch.nn.Conv2d(channels, 16, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(16, 16, 3, stride=2, padding=1),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(2),
            torch.nn.Flatten(),
        )
    return network.requires_grad_(False)


def unbiased_mmd(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the unbiased squared MMD of two sets of features (B, d), kernel (x y / d + 1)^3."""

    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def off_diagonal(a):
        k = kernel(a, a)
        return (k.sum() - k.trace()) / (len(a) * (len(a) - 1))

    return off_diagonal(x) + off_diagonal(y) - 2 * kernel(x, y).mean()
