"""Regression on the exact score of the noised data set, the full-dimensional pre-computation."""

from crosskrylov.learning.objectives.base import Objective, Setting, register
from crosskrylov.learning.objectives.levels import LevelObjective


@register(
    "exact_target",
    experiments={"budget": "geometric"},
    elsewhere="the same as 'dsm' for a single image, whose exact score is the drawn noise",
)
def exact_target(setting: Setting) -> Objective:
    """Return denoising score matching over levels with the exact target (Eq. 26c)."""
    return LevelObjective(
        setting.images * 2 - 1,
        setting.levels,
        setting.batch_size,
        weight=setting.published_weight,
        exact_target=True,
    )
