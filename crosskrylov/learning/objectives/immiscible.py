"""Immiscible diffusion (Li et al., 2024): noise is assigned to near images.

Everything else is denoising score matching.  The target becomes E[z | x_t] of a coupled pair
(x_0, z): still the velocity of a flow from noise to data, but no longer -sigma times the score of
the noised images.
"""

import torch
from scipy.optimize import linear_sum_assignment

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.base import Objective, Setting, register, standard_normal
from crosskrylov.learning.objectives.levels import LevelObjective


@register("immiscible", experiments={"budget": "geometric"})
def immiscible(setting: Setting) -> Objective:
    """Return denoising score matching with the noises of a batch assigned to its images."""
    return AssignedNoise(
        setting.images * 2 - 1,
        setting.levels,
        setting.batch_size,
        weight=setting.published_weight,
    )


@register("immiscible_knn", experiments={"budget": "geometric"})
def immiscible_knn(setting: Setting, *, candidates: int = 4) -> Objective:
    """Return denoising score matching with the nearest of several noises for every image.

    The published number of candidates is 4 for flow matching on CIFAR-10.
    """
    return NearestNoise(
        setting.images * 2 - 1,
        setting.levels,
        setting.batch_size,
        weight=setting.published_weight,
        candidates=candidates,
    )


class AssignedNoise(LevelObjective):
    """The noises of a batch, permuted: the multiset, and so the law of a noise, stays."""

    def noise(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the noises in the order of the least sum of distances to the images."""
        z = super().noise(clean, generator)
        distances = torch.cdist(clean.flatten(1), z.flatten(1))
        _, columns = linear_sum_assignment(distances.cpu().numpy())
        return z[torch.as_tensor(columns, device=z.device)]


class NearestNoise(LevelObjective):
    """Of ``candidates`` noises per image the nearest: a noise is no longer unit normal.

    Raises
    ------
    ConfigError
        If there is no candidate.
    """

    def __init__(self, *arguments, candidates: int, **options):
        if candidates < 1:
            raise ConfigError(
                f"Model 'immiscible_knn': option candidates is {candidates}; it must be at least 1."
            )
        super().__init__(*arguments, **options)
        self.candidates = candidates

    def noise(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the nearest candidate of every image."""
        shape = (len(clean), self.candidates, *clean.shape[1:])
        z = standard_normal(shape, generator, clean.device)
        nearest = (z - clean[:, None]).flatten(2).norm(dim=2).argmin(1)
        return z[torch.arange(len(z), device=z.device), nearest]
