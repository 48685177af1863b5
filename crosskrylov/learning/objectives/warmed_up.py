"""DDPM with the warm-up of its learning rate that the score embedding paper's baseline has.

The published configuration of 32 x 32 trains for 1,200 steps of a warm-up over 5,000: a control of
what that alone does to the time to a target.
"""

from crosskrylov.learning.objectives.base import Objective, Setting, register
from crosskrylov.learning.objectives.levels import LevelObjective


@register(
    "ddpm_warmed_up",
    experiments={"single_image": "linear"},
    start="noise",
    family="noise_levels_drawn",
    elsewhere="the same as 'ddpm', with a warm-up that is published for a single image",
    recipe={"single_image": {"warm_up_steps": 5000}},
)
def warmed_up(setting: Setting) -> Objective:
    """Return DDPM's loss (Eq. 26)."""
    return LevelObjective(setting.images * 2 - 1, setting.levels, setting.batch_size)
