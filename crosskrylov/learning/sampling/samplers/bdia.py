"""BDIA-DDIM: exact inversion by bidirectional integration (Zhang, Lewis and Kleijn, 2024)."""

from crosskrylov.learning.sampling.inversion import TwoStepSampler
from crosskrylov.learning.sampling.registry import register, require_option
from crosskrylov.learning.sampling.steps import signal_of


@register(
    "bdia",
    about="DDIM averaged over the step before it, exactly invertible",
    order=2,
    evaluations_per_step=1,
    stochastic=False,
    fewest=3,
)
class Bdia(TwoStepSampler):
    """z_next = F(z; next) + gamma (z_before - F(z; before)), F the DDIM map (Eq. 29i).

    The recurrence is in the variance-preserving scale z = A y, as published. Its inverse divides by
    gamma at every step: with gamma = 0.5 it loses a bit of precision each.

    Parameters
    ----------
    gamma : float
        In (0, 1]; the authors recommend 0.5 at 10 steps and 1 at 40.
    spacing : str
        See `sigma_steps`.
    """

    name = "bdia"

    def __init__(self, gamma: float = 1.0, spacing: str = "geometric"):
        require_option("bdia", "gamma", gamma, 0 < gamma <= 1, "above 0 and at most 1")
        self.gamma, self.spacing = gamma, spacing

    def forward(self, older, middle, eps, above, here, below):
        """Return F(z; below) + gamma (z_above - F(z; above)), in y."""
        factor = self.gamma * signal_of(above) / signal_of(below)
        missed = older - (middle + (above - here) * eps)
        return middle + (below - here) * eps + factor * missed

    def backward(self, newer, middle, eps, above, here, below):
        """Return the same solved for z_above, in y."""
        factor = self.gamma * signal_of(above) / signal_of(below)
        missed = (newer - (middle + (below - here) * eps)) / factor
        return middle + (above - here) * eps + missed
