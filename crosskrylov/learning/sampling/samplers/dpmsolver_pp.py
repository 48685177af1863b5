"""DPM-Solver++ (Lu et al., 2022), through diffusers."""

from crosskrylov.learning.sampling.registry import register
from crosskrylov.learning.sampling.schedulers import sample_with_scheduler


@register(
    "dpmsolver++",
    about="DPM-Solver++ of order 2, multistep, in the image",
    order=2,
    evaluations_per_step=1,
    stochastic=False,
    scheduler="DPMSolverMultistepScheduler",
    arguments={"algorithm_type": "dpmsolver++"},
)
def dpmsolver_pp(model, start, evaluations, generator):
    """Run the scheduler with one network call per step."""
    return sample_with_scheduler("dpmsolver++", model, start, evaluations)
