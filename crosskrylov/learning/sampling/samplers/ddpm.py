"""DDPM's ancestral sampling (Ho, Jain and Abbeel, 2020), through diffusers."""

from crosskrylov.learning.sampling.registry import register
from crosskrylov.learning.sampling.schedulers import sample_with_scheduler


@register(
    "ddpm",
    about="ancestral sampling of the discrete chain",
    order=None,
    evaluations_per_step=1,
    stochastic=True,
    scheduler="DDPMScheduler",
    arguments={"clip_sample": False},
)
def ddpm(model, start, evaluations, generator):
    """Run the scheduler with one network call per step."""
    return sample_with_scheduler("ddpm", model, start, evaluations, generator)
