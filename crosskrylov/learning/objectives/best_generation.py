"""The fastest way to samples of many small images that we found, and it less one ingredient each.

The loss is that of `best`, over levels drawn about sigma = 1, and against the exact score of the
noised data set instead of the noise that was drawn.
"""

import torch

from crosskrylov.learning.objectives.base import Objective, Setting, register, standard_normal
from crosskrylov.learning.objectives.best import WeightedLevels
from crosskrylov.learning.objectives.mixture import mixture_noise
from crosskrylov.learning.schedule import NoiseLevels

#: Mean and standard deviation of log sigma, from short runs on digits.
LOG_SIGMA = (0.0, 1.4)
#: Those of Karras et al. 2022, Table 1.
LOG_SIGMA_KARRAS = (-1.2, 1.2)


class LogNormalLevels(WeightedLevels):
    """E_p w(sigma_t) || eps(x_t, t) - e(x_t, t) ||^2, e exact or drawn (Eqs. 28c, 28f).

    Parameters
    ----------
    images, levels, batch_size, parametrisation
        See `WeightedLevels`.
    log_sigma : pair of float, or None
        Mean and standard deviation of the normal density that levels are drawn by, in log sigma;
        None: all are drawn alike.
    exact_target : bool
        e = E[z | x_t], the exact score of the noised data set up to a factor (`mixture_noise`);
        else the noise that was drawn. The minimiser is the same.
    """

    def __init__(
        self,
        images: torch.Tensor,
        levels: NoiseLevels,
        batch_size: int,
        parametrisation: str,
        log_sigma: tuple[float, float] | None = LOG_SIGMA,
        exact_target: bool = True,
    ):
        super().__init__(images, levels, batch_size, parametrisation)
        self.exact_target = exact_target
        sigmas = torch.as_tensor(levels.sigmas)
        self.density = torch.ones_like(sigmas)
        if log_sigma is not None:
            mean, std = log_sigma
            self.density = torch.exp(-((sigmas.log() - mean) ** 2) / (2 * std**2))

    def loss(self, network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        """Return the weighted mean squared error of the predicted noise on one random batch."""
        device = self.images.device
        index = torch.randint(len(self.images), (self.batch_size,), generator=generator).to(device)
        t = torch.multinomial(self.density, self.batch_size, replacement=True, generator=generator)
        t = t.to(device)  # levels are drawn on the CPU, as everything is
        clean = self.images[index]
        z = standard_normal(tuple(clean.shape), generator, device)
        signal, noise = self.levels.signal_and_noise(t)
        x = (signal * clean + noise * z).contiguous(memory_format=torch.channels_last)
        target = mixture_noise(x, self.images, signal, noise) if self.exact_target else z
        return (self.weights[t] * (network(x, t).sample - target).square()).mean()


@register(
    "best_generation",
    experiments={"budget": "geometric"},
    elsewhere="made for samples of many images; for a single image there is 'best'",
    recipe={
        "budget": {
            "parametrisation": "edm",
            "learning_rate": 6e-3,
            "warm_up_steps": 50,
            "annealed": True,
            "channels": (16, 32, 32),
        },
    },
)
@register(
    "best_generation_noise",
    experiments={"budget": "geometric"},
    varies="best_generation",
    recipe={"budget": {"parametrisation": "noise"}},
)
@register(
    "best_generation_constant",
    experiments={"budget": "geometric"},
    varies="best_generation",
    recipe={"budget": {"annealed": False}},
)
@register(
    "best_generation_slow",
    experiments={"budget": "geometric"},
    varies="best_generation",
    recipe={"budget": {"learning_rate": None}},
)
@register(
    "best_generation_wide",
    experiments={"budget": "geometric"},
    varies="best_generation",
    recipe={"budget": {"channels": None}},
)
def best_generation(setting: Setting) -> Objective:
    """Return the loss of Eq. 28f, weighted as the recipe's network asks."""
    return LogNormalLevels(**_shared(setting))


@register(
    "best_generation_uniform",
    experiments={"budget": "geometric"},
    varies="best_generation",
)
def uniform_levels(setting: Setting) -> Objective:
    """Return the loss of Eq. 28f with all levels drawn alike."""
    return LogNormalLevels(**_shared(setting), log_sigma=None)


@register(
    "best_generation_karras",
    experiments={"budget": "geometric"},
    varies="best_generation",
)
def levels_of_karras(setting: Setting) -> Objective:
    """Return the loss of Eq. 28f with levels drawn as Karras et al. 2022 do."""
    return LogNormalLevels(**_shared(setting), log_sigma=LOG_SIGMA_KARRAS)


@register(
    "best_generation_drawn",
    experiments={"budget": "geometric"},
    varies="best_generation",
)
def drawn_target(setting: Setting) -> Objective:
    """Return the loss of Eq. 28f with the noise that was drawn for a target."""
    return LogNormalLevels(**_shared(setting), exact_target=False)


def _shared(setting: Setting) -> dict:
    return {
        "images": setting.images * 2 - 1,
        "levels": setting.levels,
        "batch_size": setting.batch_size,
        "parametrisation": setting.recipe.parametrisation,
    }
