"""Heun's method on the probability flow (Karras et al., 2022), through diffusers."""

from crosskrylov.learning.sampling.registry import register
from crosskrylov.learning.sampling.schedulers import sample_with_scheduler


@register(
    "heun",
    about="Heun's method on the probability flow in sigma",
    order=2,
    evaluations_per_step=2,
    stochastic=False,
    scheduler="HeunDiscreteScheduler",
    arguments={},
)
def heun(model, start, evaluations, generator):
    """Run the scheduler with two network calls per step, but for the last, which takes one."""
    return sample_with_scheduler("heun", model, start, (evaluations + 1) // 2)
