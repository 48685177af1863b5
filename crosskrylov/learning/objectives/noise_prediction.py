"""DDPM: noise prediction over the linear schedule, the baseline of every speed-up."""

from crosskrylov.learning.objectives.base import Objective, Setting, register
from crosskrylov.learning.objectives.levels import LevelObjective


@register(
    "ddpm",
    experiments={"single_image": "linear", "budget": "linear"},
    baseline=True,
    family="noise_levels",
)
# the same training with another test, which is harder and tells nothing about denoising
@register(
    "ddpm_from_noise",
    experiments={"single_image": "linear"},
    start="noise",
    family="noise_levels_drawn",
    elsewhere="the same as 'ddpm' where every sample starts from noise",
)
def noise_prediction(setting: Setting) -> Objective:
    """Return DDPM's loss (Eq. 26)."""
    return LevelObjective(setting.images * 2 - 1, setting.levels, setting.batch_size)
