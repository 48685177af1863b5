"""DEIS (Zhang and Chen, 2023), through diffusers."""

from crosskrylov.learning.sampling.registry import register
from crosskrylov.learning.sampling.schedulers import sample_with_scheduler


@register(
    "deis",
    about="exponential multistep integrator in the noise, order 2",
    order=2,
    evaluations_per_step=1,
    stochastic=False,
    scheduler="DEISMultistepScheduler",
    arguments={},
    ends="scaled",
)
def deis(model, start, evaluations, generator):
    """Run the scheduler with one network call per step."""
    return sample_with_scheduler("deis", model, start, evaluations)
