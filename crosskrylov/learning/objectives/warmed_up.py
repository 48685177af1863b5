"""DDPM with a learning rate that grows over 5,000 steps, to the rate that the others have.

The public configuration of the score embedding paper's baseline for one image of CIFAR-10 has a
warm-up of that length (to 0.0002) and trains for 1,200 steps: a control of what a warm-up does.
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
