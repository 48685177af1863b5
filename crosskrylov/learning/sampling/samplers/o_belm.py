"""O-BELM: the most accurate two-step scheme that is exactly invertible (Wang et al., 2024)."""

from crosskrylov.learning.sampling.inversion import TwoStepSampler
from crosskrylov.learning.sampling.registry import register


@register(
    "o_belm",
    about="variable-step leapfrog, order 2, exactly invertible",
    order=2,
    evaluations_per_step=1,
    stochastic=False,
    fewest=3,
)
class OBelm(TwoStepSampler):
    """Leapfrog on unequal steps, h above and h' below the middle level (Eq. 29j).

    y_next = q y_before + (1 - q) y - h' (h + h')/h eps(y), q = (h'/h)^2. A round trip on geometric
    levels multiplies rounding by (first step / last step)^2 on the way up.

    Parameters
    ----------
    spacing : str
        See `sigma_steps`.
    """

    name = "o_belm"

    def __init__(self, spacing: str = "geometric"):
        self.spacing = spacing

    def forward(self, older, middle, eps, above, here, below):
        """Return y at ``below``."""
        h, after = above - here, here - below
        q = (after / h) ** 2
        return q * older + (1 - q) * middle - after * (h + after) / h * eps

    def backward(self, newer, middle, eps, above, here, below):
        """Return the same solved for y at ``above``."""
        h, after = above - here, here - below
        q = (after / h) ** 2
        return (newer - (1 - q) * middle + after * (h + after) / h * eps) / q
