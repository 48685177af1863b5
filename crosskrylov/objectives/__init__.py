"""What a network is trained on: the only thing, besides its inputs, that differs between models."""

from crosskrylov.objectives.base import Objective
from crosskrylov.objectives.levels import LevelObjective
from crosskrylov.objectives.mixture import mixture_noise, posterior_mean
from crosskrylov.objectives.noise import NoiseLevels
from crosskrylov.objectives.published import PublishedScoreObjective
from crosskrylov.objectives.registry import OBJECTIVES, budget_objective, single_image_objective

__all__ = [
    "OBJECTIVES",
    "LevelObjective",
    "NoiseLevels",
    "Objective",
    "PublishedScoreObjective",
    "budget_objective",
    "mixture_noise",
    "posterior_mean",
    "single_image_objective",
]
