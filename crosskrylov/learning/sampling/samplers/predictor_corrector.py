"""Reverse diffusion with Langevin corrections (Song et al., 2021), plain and preconditioned."""

from crosskrylov.learning.sampling.registry import register, require_option
from crosskrylov.learning.sampling.sde import sample_reverse_sde


@register(
    "pds_predictor_corrector",
    about="predictor-corrector preconditioned by PDS",
    order=None,
    evaluations_per_step=2,
    stochastic=True,
    needs=["filters"],
)
@register(
    "predictor_corrector",
    about="reverse diffusion with a Langevin step at every level",
    order=None,
    evaluations_per_step=2,
    stochastic=True,
)
def predictor_corrector(model, start, evaluations, generator, *, filters=None, snr: float = 0.16):
    """Run Eqs. 29b and 29c by turns.

    Parameters
    ----------
    snr : float
        Signal-to-noise ratio that sets the corrector's step.
    """
    require_option("predictor_corrector", "snr", snr, snr > 0, "positive")
    return sample_reverse_sde(model, start, evaluations, generator, filters, corrector_snr=snr)
