"""Reverse diffusion (Euler-Maruyama), plain and preconditioned (PDS)."""

from crosskrylov.learning.sampling.registry import register
from crosskrylov.learning.sampling.sde import sample_reverse_sde


@register(
    "pds_reverse_sde",
    about="reverse diffusion preconditioned by PDS",
    order=None,
    evaluations_per_step=1,
    stochastic=True,
    needs=["filters"],
)
@register(
    "reverse_sde",
    about="Euler-Maruyama on the reverse diffusion",
    order=None,
    evaluations_per_step=1,
    stochastic=True,
)
def reverse_sde(model, start, evaluations, generator, *, filters=None):
    """Run Eq. 29b."""
    return sample_reverse_sde(model, start, evaluations, generator, filters)
