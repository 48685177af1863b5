"""UniPC (Zhao et al., 2023), through diffusers."""

from crosskrylov.learning.sampling.registry import register
from crosskrylov.learning.sampling.schedulers import sample_with_scheduler


@register(
    "unipc",
    about="UniPC in the image: predictor of order 2, whose corrector adds one",
    order=3,
    evaluations_per_step=1,
    stochastic=False,
    scheduler="UniPCMultistepScheduler",
    arguments={},
)
def unipc(model, start, evaluations, generator):
    """Run the scheduler with one network call per step."""
    return sample_with_scheduler("unipc", model, start, evaluations)
