"""Score embedding: the published loss on images transported along their pre-computed scores."""

from crosskrylov.learning.objectives.base import Objective, Setting, register
from crosskrylov.learning.objectives.levels import LevelObjective
from crosskrylov.learning.objectives.single_level import SingleLevelObjective


@register(
    "score_embedding",
    experiments={"single_image": None, "budget": "geometric"},
    scores=True,
    ablation="published",
    family="score",
)
@register(
    "score_embedding_scaled",
    experiments={"single_image": None},
    scores=True,
    scaled=True,
    family="scaled_score",
    elsewhere="the same as 'score_embedding' over a schedule of levels",
)
# a control: what is left of the difference from DDPM when both have its noise levels
@register(
    "score_embedding_linear",
    experiments={"budget": "linear"},
    scores=True,
    elsewhere="without a schedule there it would be 'score_embedding'",
)
def score_embedding(setting: Setting) -> Objective:
    """Return the published loss (Eq. 25); over a schedule, level t noises an embedded step.

    The published loss has a single noise level and cannot generate; that it runs over a schedule of
    levels for generation is our choice (docs/method.md, section 5).
    """
    if setting.levels is not None:
        return LevelObjective(
            setting.images * 2 - 1,
            setting.levels,
            setting.batch_size,
            weight=setting.published_weight,
            embedded=setting.embedded * 2 - 1,
        )
    return SingleLevelObjective.from_setting(setting.embedded, setting)
