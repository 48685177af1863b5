"""A small convolutional network that proposes search directions, and its training (Eq. 22e)."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from crosskrylov.equation.stencil import FivePointStencil

#: As published: most of a right-hand side's weight is on this share of the modes, the smooth ones,
#: by this factor.
SMOOTH_SHARE, SMOOTH_WEIGHT = 0.5, 9.0


class DirectionNetwork(nn.Module):
    """Residual of unit norm to direction: convolutions on two levels with residual links.

    Takes the residual and the five coefficient arrays of its matrix, relative to the mean diagonal.
    The last layer starts at zero and is added to the residual, so that an untrained network returns
    the residual itself.

    Parameters
    ----------
    channels : int
        Width of all layers.
    """

    def __init__(self, channels: int):
        super().__init__()

        def layer(n_in):
            return nn.Conv2d(n_in, channels, 3, padding=1)

        self.first = layer(6)
        self.fine = nn.ModuleList([layer(channels) for _ in range(2)])
        self.coarse = nn.ModuleList([layer(channels) for _ in range(6)])
        self.last = nn.Conv2d(channels, 1, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, residual: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
        """Return directions (B, H, W) for residuals (B, H, W), coefficients (B, 5, H, W)."""
        scaled = residual[:, None] * residual[0].numel() ** 0.5  # of RMS one
        fine = torch.relu(self.first(torch.cat([scaled, coefficients], dim=1)))
        fine = fine + torch.relu(self.fine[0](fine))
        coarse = nn.functional.avg_pool2d(fine, 2, ceil_mode=True)
        for one, other in zip(self.coarse[::2], self.coarse[1::2], strict=True):
            coarse = coarse + torch.relu(other(torch.relu(one(coarse))))
        up = nn.functional.interpolate(coarse, size=fine.shape[2:], mode="nearest")
        fine = fine + up
        fine = fine + torch.relu(self.fine[1](fine))
        return (scaled + self.last(fine))[:, 0]


def train_directions(
    matrix: FivePointStencil,
    modes: tuple[np.ndarray, np.ndarray],
    *,
    channels: int,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    energy: bool = False,
) -> Callable[[FivePointStencil, np.ndarray], np.ndarray]:
    """Return directions(matrix, residuals), trained so that one step leaves little of a residual.

    Parameters
    ----------
    matrix : FivePointStencil
        NumPy coefficients, shape (B, H, W): the family.
    modes : (ndarray, ndarray)
        Smooth to rough modes along rows (H, H) and columns (W, W), as columns; right-hand sides are
        their random combinations.
    channels, steps, batch_size : int
    learning_rate : float
    seed : int
        The random state of torch is left as it was.
    energy : bool
        Whether a step minimises the energy norm of the error, for symmetric matrices, or the
        residual; the loss is what it leaves of the squared residual.
    """
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DirectionNetwork(channels)
    optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate)
    height, width = matrix.shape[-2:]
    order = np.add.outer(np.arange(height) / height, np.arange(width) / width)
    smooth = order <= np.quantile(order, SMOOTH_SHARE)
    weights = np.where(smooth, SMOOTH_WEIGHT, 1.0)
    for _ in range(steps):
        amplitudes = weights * rng.standard_normal((batch_size, height, width))
        rhs = modes[0] @ amplitudes @ modes[1].T
        rhs /= np.linalg.norm(rhs, axis=(1, 2), keepdims=True)
        chosen = matrix.take(rng.integers(matrix.shape[0], size=batch_size))
        coefficients = _relative(chosen)
        b = _tensor(rhs)
        q = network(b, coefficients)
        product = FivePointStencil(*coefficients.unbind(1)).apply(q)
        against = q if energy else product
        length = (against * b).sum((1, 2)) / (against * product).sum((1, 2))
        loss = (b - length[:, None, None] * product).square().sum((1, 2)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval()

    @torch.no_grad()
    def directions(of: FivePointStencil, residuals: np.ndarray) -> np.ndarray:
        unit = residuals / np.linalg.norm(residuals, axis=(1, 2), keepdims=True)
        return network(_tensor(unit), _relative(of)).double().numpy()

    return directions


def _relative(matrix: FivePointStencil) -> torch.Tensor:
    """Return the coefficients (B, 5, H, W), divided by each matrix's mean diagonal."""
    arrays = np.stack(matrix.arrays(), axis=1)
    return _tensor(arrays / matrix.center.mean(axis=(1, 2))[:, None, None, None])


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.ascontiguousarray(array), dtype=torch.float32)
