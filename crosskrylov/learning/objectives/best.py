"""The fastest way to denoise one image that we found, and the same less one ingredient each.

What the recipe changes is in its declaration; the loss is noise prediction over geometric levels,
weighted so that the network's own output counts alike at each.
"""

import torch

from crosskrylov.learning.objectives.base import Objective, Setting, register, standard_normal
from crosskrylov.learning.preconditioned import loss_weight
from crosskrylov.learning.schedule import NoiseLevels


class WeightedLevels:
    """E w(sigma_t) || eps(x_t, t) - z ||^2 over uniform levels, w = (sigma / c_out)^2 (Eq. 28c).

    Parameters
    ----------
    images : tensor, shape (N, C, H, W)
        Clean images, in [-1, 1].
    levels : NoiseLevels
        Schedule.
    batch_size : int
        Images (with replacement) per step.
    parametrisation : {"noise", "edm", "image"}
        That of the network, which gives c_out.
    """

    def __init__(
        self, images: torch.Tensor, levels: NoiseLevels, batch_size: int, parametrisation: str
    ):
        self.images = images.float()
        self.levels = levels
        self.batch_size = batch_size
        sigmas = torch.as_tensor(levels.sigmas)
        self.weights = loss_weight(sigmas, parametrisation).float()[:, None, None, None]

    def to(self, device: torch.device) -> "WeightedLevels":
        """Move the data to ``device``."""
        self.images = self.images.to(device)
        self.weights = self.weights.to(device)
        return self

    def loss(self, network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        """Return the weighted mean squared error of the predicted noise on one random batch."""
        device = self.images.device
        index = torch.randint(len(self.images), (self.batch_size,), generator=generator).to(device)
        t = torch.randint(len(self.levels), (self.batch_size,), generator=generator).to(device)
        clean = self.images[index]
        z = standard_normal(tuple(clean.shape), generator, device)
        signal, noise = self.levels.signal_and_noise(t)
        error = network(signal * clean + noise * z, t).sample - z
        return (self.weights[t] * error.square()).mean()


@register(
    "best",
    experiments={"single_image": "geometric"},
    elsewhere="made for a single image; for generation there is 'best_generation'",
    recipe={
        "single_image": {
            "parametrisation": "image",
            "position_features": 64,
            "sigma_range": (0.3, 1.0),
            "learning_rate": 1e-2,
            "warm_up_steps": 10,
            "ema_decay": 0.9,
            "batch_size": 4,
            "channels": (16, 32),
            "attention": False,
        },
    },
)
@register(
    "best_edm",
    experiments={"single_image": "geometric"},
    varies="best",
    recipe={"single_image": {"parametrisation": "edm"}},
)
@register(
    "best_noise",
    experiments={"single_image": "geometric"},
    varies="best",
    recipe={"single_image": {"parametrisation": "noise"}},
)
@register(
    "best_without_position",
    experiments={"single_image": "geometric"},
    varies="best",
    recipe={"single_image": {"position_features": 0}},
)
@register(
    "best_all_levels",
    experiments={"single_image": "geometric"},
    varies="best",
    recipe={"single_image": {"sigma_range": None}},
)
@register(
    "best_slow",
    experiments={"single_image": "geometric"},
    varies="best",
    recipe={"single_image": {"learning_rate": None}},
)
@register(
    "best_without_warm_up",
    experiments={"single_image": "geometric"},
    varies="best",
    recipe={"single_image": {"warm_up_steps": 0}},
)
@register(
    "best_long_average",
    experiments={"single_image": "geometric"},
    varies="best",
    recipe={"single_image": {"ema_decay": None}},
)
@register(
    "best_batch_10",
    experiments={"single_image": "geometric"},
    varies="best",
    recipe={"single_image": {"batch_size": 10}},
)
@register(
    "best_wide",
    experiments={"single_image": "geometric"},
    varies="best",
    recipe={"single_image": {"channels": None}},
)
@register(
    "best_deep",
    experiments={"single_image": "geometric"},
    varies="best",
    recipe={"single_image": {"channels": (16, 32, 64)}},
)
def best(setting: Setting) -> Objective:
    """Return noise prediction over geometric levels, weighted as the recipe's network asks."""
    return WeightedLevels(
        setting.images * 2 - 1,
        setting.levels,
        setting.batch_size,
        setting.recipe.parametrisation,
    )
