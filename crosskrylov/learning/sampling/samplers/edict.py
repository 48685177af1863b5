"""EDICT: exact inversion by two coupled states (Wallace, Gokul and Naik, 2023)."""

import itertools

from crosskrylov.learning.sampling.inversion import ReversibleSampler
from crosskrylov.learning.sampling.registry import register, require_option


@register(
    "edict",
    about="two coupled DDIM chains, exactly invertible",
    order=1,
    evaluations_per_step=2,
    stochastic=False,
    fewest=5,
)
class Edict(ReversibleSampler):
    """Two states x, y step in turn, each by DDIM with the other's noise, and are mixed (Eq. 29h).

    At even steps x goes first, at odd ones y; the mixing is x <- p x + (1 - p) y, then
    y <- (1 - p) x + p y. The inverse multiplies a difference of the two by p^-2 per step.

    Parameters
    ----------
    mixing : float
        p, in (0, 1]; 0.93 as published.
    spacing : str
        See `sigma_steps`.
    """

    name = "edict"
    evaluations_per_step = 2

    def __init__(self, mixing: float = 0.93, spacing: str = "geometric"):
        require_option("edict", "mixing", mixing, 0 < mixing <= 1, "above 0 and at most 1")
        self.mixing, self.spacing = mixing, spacing

    def enter(self, model, sigmas, y):
        """Start both at the same state."""
        return y, y

    def leave(self, model, sigmas, y):
        """Start both at the same state."""
        return y, y

    def down(self, model, sigmas, pair):
        """Step both, then mix, at every level."""
        states, p = list(pair), self.mixing
        for i, (here, below) in enumerate(itertools.pairwise(sigmas)):
            for k in (i % 2, 1 - i % 2):
                states[k] = states[k] + (below - here) * model.at_sigma(states[1 - k], here)
            states[0] = p * states[0] + (1 - p) * states[1]
            states[1] = (1 - p) * states[0] + p * states[1]
        return tuple(states)

    def up(self, model, sigmas, pair):
        """Undo the mixing, then the steps, in the opposite order."""
        states, p = list(pair), self.mixing
        for i in range(len(sigmas) - 2, -1, -1):
            here, below = sigmas[i], sigmas[i + 1]
            states[1] = (states[1] - (1 - p) * states[0]) / p
            states[0] = (states[0] - (1 - p) * states[1]) / p
            for k in (1 - i % 2, i % 2):
                states[k] = states[k] - (below - here) * model.at_sigma(states[1 - k], here)
        return tuple(states)

    def image(self, pair):
        """Return x."""
        return pair[0]
