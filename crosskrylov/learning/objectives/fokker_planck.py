"""Score matching with a penalty on what the network leaves of the Fokker-Planck equation.

Of y = x_0 + sigma z, d log p / d tau = div s + |s|^2 with tau = sigma^2 / 2 (29s).  The gradient
form penalises the residual of its gradient (29t), which a score does not have.  The scalar form is
that of the published code (Lai et al., 2023, arXiv:2210.04296): the right-hand side itself, which
no residual is, since d log p / d tau does not vanish.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.base import Objective, Setting, register
from crosskrylov.learning.objectives.levels import LevelObjective

#: Half the step in log sigma of the central difference.
STEP = 1e-2
FORMS = ("gradient", "scalar")


@register("dsm_fp", experiments={"budget": "geometric"})
def dsm_fp(
    setting: Setting, *, form: str = "gradient", penalty: float = 0.1, states: int = 32
) -> Objective:
    """Return denoising score matching with a Fokker-Planck penalty."""
    return PenalisedObjective(
        setting.images * 2 - 1,
        setting.levels,
        setting.batch_size,
        setting.published_weight,
        form=form,
        penalty=penalty,
        states=states,
    )


class PenalisedObjective(LevelObjective):
    """Denoising score matching plus ``penalty`` times that of `fokker_planck_penalty`.

    Parameters
    ----------
    form : {"gradient", "scalar"}
        What is penalised.
    penalty : float
        Its weight, relative to the mean squared error of the noise; 0 draws nothing for it.
    states : int
        Noised images, drawn anew, that it is taken at, with one random probe each.

    Raises
    ------
    ConfigError
        If the form is unknown or the weight negative.
    """

    def __init__(self, *arguments, form: str, penalty: float, states: int):
        super().__init__(*arguments)
        if form not in FORMS or penalty < 0:
            raise ConfigError(
                f"Model 'dsm_fp': options are form {form!r}, penalty {penalty}; the form is one of "
                f"{', '.join(FORMS)}, the penalty not negative."
            )
        self.form, self.penalty, self.states = form, penalty, states

    def loss(self, network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        """Return the loss of one random batch."""
        fitted = super().loss(network, generator)
        if not self.penalty:
            return fitted
        device = self.images.device
        index = torch.randint(len(self.images), (self.states,), generator=generator).to(device)
        clean = self.images[index]
        bottom, top = np.log(self.levels.sigmas[[0, -1]])
        place = torch.rand(self.states, generator=generator, dtype=torch.float64)
        log_sigma = bottom + STEP + place * (top - bottom - 2 * STEP)
        sigma = log_sigma.exp().to(clean)[:, None, None, None]
        y = clean + sigma * self.noise(clean, generator)
        signs = torch.randint(2, tuple(y.shape), generator=generator) * 2 - 1

        def predict(y, log_sigma):
            levels = np.interp(log_sigma, np.log(self.levels.sigmas), np.arange(len(self.levels)))
            scale = (1 + torch.exp(2 * log_sigma)).sqrt().to(y)[:, None, None, None]
            return network(y / scale, torch.as_tensor(levels).to(y)).sample

        penalty = fokker_planck_penalty(predict, y, log_sigma, signs.to(y)[None], self.form)
        return fitted + self.weight * self.penalty * penalty


def fokker_planck_penalty(
    predict: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    y: torch.Tensor,
    log_sigma: torch.Tensor,
    probes: torch.Tensor,
    form: str,
) -> torch.Tensor:
    """Return a penalty that can be differentiated in the network's weights.

    Parameters
    ----------
    predict : callable
        ``(y, log_sigma)`` to the predicted noise.
    y : tensor, shape (B, C, H, W)
        States x_0 + sigma z.
    log_sigma : tensor, shape (B,), float64
        Their levels.
    probes : tensor, shape (P, B, C, H, W)
        The trace of a Jacobian is taken as the sum of v'Jv over these. With random ones the
        gradient form penalises the variance of the estimate as well, as the published code does.
    form : {"gradient", "scalar"}
        Mean of sigma^6 |R|^2 / D with R of (29t), or root mean square of
        sigma^2 (div s + |s|^2) / D.
    """
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        y = y.detach().requires_grad_()
        sigma = log_sigma.exp().to(y)[:, None, None, None]
        eps = predict(y, log_sigma)
        trace = 0.0
        for v in probes:
            (back,) = torch.autograd.grad(eps, y, v, create_graph=True)
            trace = trace + (back * v).flatten(1).sum(1)
        square = eps.square().flatten(1).sum(1)
        flat = sigma.flatten()
        if form == "scalar":
            return ((square - flat * trace) / y[0].numel()).square().mean().sqrt()
        potential = (flat**2 * trace - flat * square).sum()  # its gradient: two of three terms
        (gradient,) = torch.autograd.grad(potential, y, create_graph=True)
        above, below = (predict(y, log_sigma + h) for h in (STEP, -STEP))
        return (eps - (above - below) / (2 * STEP) + gradient).square().mean()
