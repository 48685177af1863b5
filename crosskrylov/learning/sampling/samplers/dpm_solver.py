"""DPM-Solver (Lu et al., 2022; the first, in the noise), through diffusers."""

from crosskrylov.learning.sampling.registry import register
from crosskrylov.learning.sampling.schedulers import sample_with_scheduler


@register(
    "dpm_solver",
    about="DPM-Solver with three evaluations, multistep, in the noise",
    order=2,  # `crosskrylov.learning.sampling.steps.exponential_increment` says why
    evaluations_per_step=1,
    stochastic=False,
    scheduler="DPMSolverMultistepScheduler",
    arguments={
        "algorithm_type": "dpmsolver",
        "solver_order": 3,
        "final_sigmas_type": "sigma_min",
        "euler_at_final": True,
    },
    ends="scaled",
)
def dpm_solver(model, start, evaluations, generator):
    """Run the scheduler with one network call per step.

    The noise form has no step to sigma = 0, so that it stops at the lowest level; its last step,
    which goes nowhere, has to be of first order, since higher ones divide by its length.
    """
    return sample_with_scheduler("dpm_solver", model, start, evaluations)
