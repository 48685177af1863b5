"""The smoothed density (Eq. 9) of a batch of fields, as dense products along the two axes.

`crosskrylov.equation.density` holds the reference, image by image; tests compare the two.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from crosskrylov.equation.density import scott_bandwidth

#: Where the reference cuts its Gaussian off, in standard deviations.
_TRUNCATE = 6.0


class SmoothedDensity(torch.nn.Module):
    """Density of a batch of intensity fields; differentiable, with buffers and no parameters.

    Parameters
    ----------
    height, width : int
    spacing : float
        Grid spacing h.
    options : mapping
        Of `crosskrylov.equation.density.density_options`.
    dtype : torch.dtype
        Of the arithmetic.
    """

    def __init__(
        self,
        height: int,
        width: int,
        spacing: float,
        options: Mapping[str, Any],
        dtype: torch.dtype,
    ):
        super().__init__()
        self._spacing, self._options = spacing, options
        factor = options["bandwidth"]
        self._factor = scott_bandwidth(options["n_samples"]) if factor is None else float(factor)
        # no image's positions vary by more than half the longer side
        widest = math.sqrt(self._factor**2 * (0.25 + options["jitter"] ** 2)) + options["jitter"]
        reach = int(_TRUNCATE * widest / spacing + 1.5)
        for name, n in (("row", height), ("col", width)):
            node = np.arange(n)
            offsets = np.arange(max(n, reach + 1))
            for key, values in (("nodes", node * spacing), ("squares", offsets**2)):
                tensor = torch.as_tensor(values, dtype=dtype)
                self.register_buffer(f"{name}_{key}", tensor, persistent=False)
            distances = torch.as_tensor(abs(node[:, None] - node[None, :]))
            self.register_buffer(f"{name}_distances", distances, persistent=False)

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        """Return the density of every field, shape (N, H, W); sum(p) h^2 = 1."""
        weights = fields + self._options["intensity_offset"]
        weights = weights / weights.sum((1, 2), keepdim=True)
        jitter, smoothed = self._options["jitter"], weights
        for axis, name in ((2, "row"), (1, "col")):
            nodes = getattr(self, f"{name}_nodes")
            marginal = weights.sum(axis)
            mean = (marginal * nodes).sum(1, keepdim=True)
            variance = (marginal * (nodes - mean) ** 2).sum(1)
            variance = self._factor**2 * (variance + jitter**2) + jitter**2
            kernel = self._kernel(variance / self._spacing**2, name)
            smoothed = kernel @ smoothed if name == "row" else smoothed @ kernel
        density = smoothed.clamp_min(self._options["floor"])
        return density / (density.sum((1, 2), keepdim=True) * self._spacing**2)

    def _kernel(self, variance: torch.Tensor, name: str) -> torch.Tensor:
        """Return the symmetric matrices that smooth along an axis; ``variance`` (N,) in pixels."""
        squares = getattr(self, f"{name}_squares")
        reach = torch.floor(_TRUNCATE * torch.sqrt(variance) + 0.5)[:, None]
        values = torch.exp((-0.5 / variance)[:, None] * squares) * (squares <= reach**2)
        values = values / (2.0 * values.sum(1, keepdim=True) - 1.0)  # both sides, and the middle
        return values[:, getattr(self, f"{name}_distances")]
