"""DDIM (Song, Meng and Ermon, 2021), through diffusers."""

from crosskrylov.learning.sampling.registry import register
from crosskrylov.learning.sampling.schedulers import sample_with_scheduler


@register(
    "ddim",
    about="Euler steps of the probability flow in x / sqrt(a_t)",
    order=1,
    evaluations_per_step=1,
    stochastic=False,
    scheduler="DDIMScheduler",
    arguments={"clip_sample": False},
)
def ddim(model, start, evaluations, generator):
    """Run the scheduler with one network call per step."""
    return sample_with_scheduler("ddim", model, start, evaluations)
