"""PNDM's linear multistep method (Liu et al., 2022), through diffusers."""

from crosskrylov.learning.sampling.registry import register
from crosskrylov.learning.sampling.schedulers import sample_with_scheduler


@register(
    "pndm",
    about="Adams-Bashforth with coefficients of equal steps (PLMS)",
    order=1,
    evaluations_per_step=1,
    stochastic=False,
    scheduler="PNDMScheduler",
    arguments={"skip_prk_steps": True, "set_alpha_to_one": True},
)
def pndm(model, start, evaluations, generator):
    """Run the scheduler; its second step takes two calls, and its order needs four steps."""
    return sample_with_scheduler("pndm", model, start, max(evaluations - 1, 4))
