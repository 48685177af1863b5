"""Denoising score matching on the images themselves: score embedding without its embedding."""

from crosskrylov.learning.objectives.base import Objective, Setting, register
from crosskrylov.learning.objectives.levels import LevelObjective
from crosskrylov.learning.objectives.single_level import SingleLevelObjective


@register(
    "dsm",
    experiments={"single_image": None, "budget": "geometric"},
    ablation="no_embedding",
    family="score",
)
@register(
    "dsm_scaled",
    experiments={"single_image": None},
    scaled=True,
    family="scaled_score",
    elsewhere="the same as 'dsm' over a schedule of levels",
)
# what a network gains by being trained on alone: the control of those that start from it
@register("dsm_continued", experiments={"study": "geometric"}, teacher="dsm")
def denoising_score_matching(setting: Setting) -> Objective:
    """Return the published loss on the images (Eq. 25), or over a schedule of levels (Eq. 26b)."""
    if setting.levels is not None:
        return LevelObjective(
            setting.images * 2 - 1,
            setting.levels,
            setting.batch_size,
            weight=setting.published_weight,
        )
    # as many copies as score embedding has embedded steps, so that batches are of one size
    copies = setting.images[:, None].expand(-1, len(setting.times), -1, -1, -1)
    return SingleLevelObjective.from_setting(copies, setting)
