"""Controls of DDPM on a single image: what its other levels, and its unclipped start, cost it.

The models without a schedule are trained at the one noise level lambda and start their denoising
from a clipped image; DDPM is trained on a whole schedule, of which its denoising visits some
levels, and starts unclipped. Each of these two takes one more of the differences away.
"""

from crosskrylov.learning.objectives.base import Objective, Setting, register
from crosskrylov.learning.objectives.levels import LevelObjective


@register(
    "ddpm_clipped",
    experiments={"single_image": "linear"},
    clipped=True,
    family="noise_levels",
    elsewhere="the same as 'ddpm' where every sample starts from noise",
)
def clipped_start(setting: Setting) -> Objective:
    """Return DDPM's loss (Eq. 26); the denoising starts from the clipped image."""
    return LevelObjective(setting.images * 2 - 1, setting.levels, setting.batch_size)


@register(
    "ddpm_restricted",
    experiments={"single_image": "linear"},
    restricted=True,
    clipped=True,
    family="visited_levels",
    elsewhere="made for the denoising of a single image, which visits few levels",
)
def visited_levels(setting: Setting) -> Objective:
    """Return DDPM's loss over the levels that the denoising visits; the start is clipped too."""
    return LevelObjective(
        setting.images * 2 - 1, setting.levels, setting.batch_size, drawn=setting.visited
    )
