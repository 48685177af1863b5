"""PNDM's linear multistep method (Liu et al., 2022), through diffusers."""

import torch

from crosskrylov.learning.sampling.model import NoiseModel
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
def pndm(model, start, evaluations, generator, *, denoise_last: bool = False):
    """Run the scheduler; its second step takes two calls, and its order needs four steps.

    Parameters
    ----------
    denoise_last : bool
        End with the posterior mean at the lowest level. The scheduler takes its multistep weights
        for the last step, too, from the lowest level to none; where that level is far from none
        the step has an error of order one, whatever the weights.
    """
    steps = max(evaluations - 1, 4)
    if not denoise_last:
        return sample_with_scheduler("pndm", model, start, steps)
    seen = _LastCall(model)
    sample_with_scheduler("pndm", seen, start, steps)
    return seen.posterior_mean()


class _LastCall:
    """A model that remembers what it was last asked, and its answer."""

    def __init__(self, model: NoiseModel):
        self.model, self.levels = model, model.levels
        self.last: tuple[torch.Tensor, float, torch.Tensor] | None = None

    def at_level(self, x: torch.Tensor, level: float) -> torch.Tensor:
        """Return the model's prediction for the scaled state (B, C, H, W) at a level."""
        eps = self.model.at_level(x, level)
        self.last = x, level, eps
        return eps

    def posterior_mean(self) -> torch.Tensor:
        """Return the posterior mean of the last state."""
        x, level, eps = self.last
        a = float(self.levels.alphas_cumprod[round(level)])
        return (x - (1 - a) ** 0.5 * eps) / a**0.5
