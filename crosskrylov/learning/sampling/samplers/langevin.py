"""Annealed Langevin dynamics (Song and Ermon, 2019), plain and preconditioned."""

from crosskrylov.learning.sampling.registry import register, require_option
from crosskrylov.learning.sampling.sde import sample_langevin


@register(
    "pds_langevin",
    about="annealed Langevin dynamics preconditioned by PDS",
    order=None,
    evaluations_per_step=1,
    stochastic=True,
    needs=["filters"],
)
@register(
    "langevin",
    about="annealed Langevin dynamics",
    order=None,
    evaluations_per_step=1,
    stochastic=True,
)
def langevin(
    model,
    start,
    evaluations,
    generator,
    *,
    filters=None,
    snr: float = 0.16,
    steps_per_level: int = 2,
):
    """Run Eq. 29c at every level of a geometric ladder.

    Parameters
    ----------
    snr : float
        Signal-to-noise ratio that sets the step at each level.
    steps_per_level : int
        Langevin steps at each level.
    """
    require_option("langevin", "snr", snr, snr > 0, "positive")
    require_option("langevin", "steps_per_level", steps_per_level, steps_per_level > 0, "positive")
    return sample_langevin(
        model, start, evaluations, generator, filters, snr=snr, steps_per_level=steps_per_level
    )
