"""PFGM++ (Xu et al., 2023, arXiv:2302.04265): diffusion with Student's noise.

Data are lifted to D further dimensions, where a perturbation of size R has the density
R^(N-1) / (R^2 + r^2)^((N+D)/2), r = sigma sqrt(D), in a direction that is uniform on the sphere of
the N pixels.  Divided by sigma that is Student's multivariate law with D degrees of freedom: a unit
normal image over the root of an independent chi^2_D / D.  Loss, network and flow are those of
diffusion, which D = infinity is.
"""

import math

import numpy as np
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.base import Objective, Setting, register
from crosskrylov.learning.objectives.levels import LevelObjective


@register("pfgmpp", experiments={"study": "geometric"}, fits="flow")
def pfgmpp(setting: Setting, *, extra: float = 128) -> Objective:
    """Return noise prediction with Student's noise, its degrees of freedom the extra dimensions."""
    return StudentNoise(
        setting.images * 2 - 1,
        setting.levels,
        setting.batch_size,
        weight=setting.published_weight,
        dimensions=extra,
    )


class StudentNoise(LevelObjective):
    """Noise prediction for Student's noise; the published code cuts its tails, this does not.

    Raises
    ------
    ConfigError
        If the number of dimensions is not positive.
    """

    def __init__(self, *arguments, dimensions: float, **options):
        if not dimensions > 0:
            raise ConfigError(
                f"Model 'pfgmpp': option extra is {dimensions}; it must be positive, .inf for "
                "diffusion."
            )
        super().__init__(*arguments, **options)
        self.dimensions = dimensions

    def noise(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return Student's noise for a batch."""
        return super().noise(clean, generator) * self._scale(len(clean), generator).to(clean)

    def start(self, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
        """Return what sampling starts from: Student's noise as well."""
        return torch.randn(shape, generator=generator) * self._scale(shape[0], generator)

    def exact_noise(self, y: torch.Tensor, sigma: float) -> torch.Tensor:
        """Return the best prediction of the noise in y = x_0 + sigma z on the training images."""
        mean = student_mean(y, self.images.to(y), sigma, self.dimensions)
        return (y - mean) / sigma

    def _scale(self, count: int, generator: torch.Generator) -> torch.Tensor:
        if math.isinf(self.dimensions):  # nothing is drawn: the random stream is that of diffusion
            return torch.ones(())
        seed = int(torch.randint(2**31, (), generator=generator))
        squares = np.random.default_rng(seed).chisquare(self.dimensions, (count, 1, 1, 1))
        return torch.as_tensor(np.sqrt(self.dimensions / squares)).float()


def student_mean(
    y: torch.Tensor, data: torch.Tensor, sigma: float, dimensions: float
) -> torch.Tensor:
    """Return E[x_0 | y] for Student's noise when x_0 is uniform over ``data``.

    The weights are (|y - x_i|^2 + D sigma^2)^(-(N + D) / 2), which are those of the Gaussian
    mixture (Eq. 27) for D to infinity.

    Parameters
    ----------
    y : tensor, shape (B, C, H, W)
        Noised images x_0 + sigma z.
    data : tensor, shape (N, C, H, W)
        The data set.
    sigma : float
        Noise level.
    dimensions : float
        D; infinity for Gaussian noise.
    """
    points, query = data.flatten(1), y.flatten(1)
    squares = torch.cdist(query, points, compute_mode="donot_use_mm_for_euclid_dist").square()
    squares = squares / sigma**2
    if math.isinf(dimensions):
        logs = -squares / 2
    else:
        logs = -(points.shape[1] + dimensions) / 2 * torch.log1p(squares / dimensions)
    return (torch.softmax(logs, dim=1) @ points).reshape(y.shape)
