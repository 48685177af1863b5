"""What the equation says of networks: Fokker-Planck residual, curl and local dimension by level."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.ready_made.loading import load_ready_made
from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.metrics.intervals import Interval, median_interval
from crosskrylov.metrics.score_diagnostics import diagnose, noised, probes_for
from crosskrylov.studies.register import register

#: The name of the exact model among the networks: everything that is measured has its zero there.
EXACT = "exact"


def diagnosed_model(name: str, images: torch.Tensor) -> tuple[NoiseModel, torch.dtype]:
    """Return a model and its precision: the exact one of ``images``, or a ready-made network.

    Raises
    ------
    ConfigError
        If a ready-made network is for images of another shape, or there is none of the name.
    """
    if name == EXACT:
        levels = NoiseLevels.linear()
        return NoiseModel(ExactNetwork(images, levels), levels, clip=False), torch.float64
    made = load_ready_made(name)
    if made.image_shape != tuple(images.shape[1:]):
        raise ConfigError(
            f"studies.score_diagnostics.networks has {name!r}, made for images of shape "
            f"{made.image_shape}; these are {tuple(images.shape[1:])}: take another image set."
        )
    return NoiseModel(made.network.eval(), made.drawing.levels(), clip=False), torch.float32


def diagnostics_table(
    images: torch.Tensor,
    networks: Sequence[str],
    sigmas: Sequence[float],
    n_states: int,
    groups: int,
    probes: int | None,
    seed: int,
) -> pd.DataFrame:
    """Return the diagnostics of networks on noised images, and their local dimension in images.

    Parameters
    ----------
    images : tensor, shape (N, C, H, W)
        In [-1, 1].
    networks : sequence of str
        `EXACT` and names of ready-made networks.
    sigmas : sequence of float
        Noise levels.
    n_states : int
        Noised images, and images, of a group.
    groups : int
        Independent draws; the intervals are over these.
    probes : int or None
        Of `probes_for`.
    seed : int

    Returns
    -------
    DataFrame
        A row per network and level: network, precision, sigma, pixels, and residual, curl,
        dimension with _low and _high.
    """
    rows = []
    for name in networks:
        model, dtype = diagnosed_model(name, images.double())
        for sigma in sigmas:
            values = {"residual": [], "curl": [], "dimension": []}
            for group in range(groups):
                generator = torch.Generator().manual_seed(seed + group)
                y = noised(images.double(), sigma, n_states, generator).to(dtype)
                found = diagnose(model, y, sigma, probes_for(y, probes, generator))
                values["residual"].append(found.residual)
                values["curl"].append(found.curl)
                x = images[torch.randperm(len(images), generator=generator)[:n_states]].to(dtype)
                found = diagnose(model, x, sigma, probes_for(x, probes, generator))
                values["dimension"].append(float(found.dimension.mean()))
            row = {"network": name, "precision": str(dtype).split(".")[-1], "sigma": sigma}
            row["pixels"] = images[0].numel()
            for kind, of_groups in values.items():
                row |= dict(
                    zip((kind, f"{kind}_low", f"{kind}_high"), _typical(of_groups), strict=True)
                )
            rows.append(row)
    return pd.DataFrame(rows)


def _typical(values: Sequence[float]) -> Interval:
    """Return median and interval; the interval needs positive values, which zero is not."""
    if min(values) > 0:
        return median_interval(values)
    return Interval(float(np.median(values)), float("nan"), float("nan"))


@register(
    "score_diagnostics",
    needs=["images"],
    tables={
        "diagnostics": "What networks leave of the equation that a score satisfies, by noise "
        "level, on noised images: the Fokker-Planck residual (docs/method.md, 29t), the "
        "antisymmetric share of the Jacobian (curl), and, in the images themselves, the local "
        "dimension (29u). Medians over draws with 95 % intervals. *exact*, the exact posterior "
        "mean of the same images, has neither residual nor curl: what it shows with random probes "
        "is the noise of the estimate, below which no network can be told from it.",
    },
    torch=True,
)
def study_score_diagnostics(data, networks, sigmas, n_images, n_states, groups, probes):
    """Hold networks against the equation."""
    images = torch.as_tensor(data.images[:n_images]) * 2 - 1
    table = diagnostics_table(images, networks, sigmas, n_states, groups, probes, data.seed)
    return {"diagnostics": table}
