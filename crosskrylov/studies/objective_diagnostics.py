"""What the equation says of trained networks, and whether that is what their samples show.

Tables of `crosskrylov.studies.training_objectives`, for networks whose score is that of the noised
images: residual, curl, gauge and dimension by noise level, the distance of samples with and without
noise on the way, and the rank correlations between these.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.sampling.generate import draw_samples
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.registry import declared_samplers, sampler_choice
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.metrics.distances import frechet_distance
from crosskrylov.metrics.gauge import local_dimension, score_gap
from crosskrylov.metrics.neighbours import nearest_training_images
from crosskrylov.metrics.score_diagnostics import diagnose, noised, probes_for

#: The name of the exact model among the networks: everything that is measured has its zero there.
EXACT = "exact"
#: Half the step in log sigma of the residual's difference: in float64 it may be small.
_STEP = 1e-3
#: Offsets of the random streams of states, and of samples, which share no noise.
_STATES, _SAMPLES = 3000, 4000
#: Fewest images of a Fréchet distance.
_FEWEST = 2
#: What is ranked against what: means over the noise levels, and distances.
RELATIONS = (
    ("residual", "error"),
    ("residual", "excess"),
    ("error", "excess"),
    ("gauge", "ode_to_images"),
    ("curl", "ode_to_images"),
    ("error", "ode_to_images"),
    ("dimension", "nearest_ratio"),
)


def check(settings: Mapping[str, Any], levels: Sequence[NoiseLevels]) -> None:
    """Raise if the section asks for what only shows after the training.

    Raises
    ------
    ConfigError
        If a noise level has no levels around it, or the two samplers are not one without and one
        with noise on the way.
    """
    key = "studies.training_objectives"
    low = max(each.sigmas.min() for each in levels) * np.exp(_STEP)
    high = min(each.sigmas.max() for each in levels) * np.exp(-_STEP)
    outside = [sigma for sigma in settings["sigmas"] if not low <= sigma <= high]
    if outside:
        raise ConfigError(
            f"{key}.sigmas has {outside[0]:g}, and the networks' levels reach from {low:.3g} to "
            f"{high:.3g}: choose it between them."
        )
    names = settings["gap_samplers"]
    drawing = [
        declared_samplers()[sampler_choice(name).method].facts["stochastic"] for name in names
    ]
    if drawing != [False, True]:
        raise ConfigError(
            f"{key}.gap_samplers is {list(names)}: name a sampler that draws no noise on the way "
            "and then one that does."
        )


def diagnostics_rows(
    model: NoiseModel, data: torch.Tensor, settings: Mapping[str, Any], seed: int
) -> list[dict]:
    """Return what a model leaves of the equation, a row per noise level.

    Parameters
    ----------
    model : NoiseModel
        In double precision, not clipping.
    data : tensor, shape (N, C, H, W), float64
        In [-1, 1]; the exact score is that of these, noised.
    settings : mapping
        sigmas, diagnosed_states, probes.
    seed : int
        Of states and probes, the same for every model.
    """
    count, probes = settings["diagnosed_states"], settings["probes"]
    rows = []
    for sigma in settings["sigmas"]:
        generator = torch.Generator().manual_seed(seed + _STATES)
        y = noised(data, sigma, count, generator)
        signs = probes_for(y, probes, generator)
        found = diagnose(model, y, sigma, signs, _STEP)
        gap = score_gap(model, data, y, sigma, signs)
        x = data[torch.randperm(len(data), generator=generator)[:count]]
        dimension = local_dimension(model, x, sigma, probes_for(x, probes, generator))
        rows.append(
            {
                "sigma": sigma,
                "residual": found.residual,
                "curl": found.curl,
                "dimension": float(dimension.mean()),
                "pixels": y[0].numel(),
                "error": gap.error,
                "share": gap.share,
                "gauge": gap.gauge,
                "gauge_share": gap.gauge_share,
            }
        )
    return rows


def gap_row(
    network: torch.nn.Module,
    levels: NoiseLevels,
    shape: tuple[int, int, int],
    settings: Mapping[str, Any],
    features: Callable[[torch.Tensor], np.ndarray],
    images: np.ndarray,
    training: np.ndarray,
    seed: int,
) -> dict:
    """Return how far a network's samples without noise on the way end from those with it.

    Nothing is clipped on the way, since the equation is about the network, and no two sets share
    their noise: two sets of one law are as far apart as ``floor`` says.

    Parameters
    ----------
    network : Module
        Noise predictor.
    levels : NoiseLevels
    shape : tuple
        (C, H, W).
    settings : mapping
        gap_samplers, gap_evaluations, n_samples.
    features : callable
        Images (N, C, H, W) in [0, 1] to features (N, D).
    images : ndarray, shape (M, D)
        Features of the training images.
    training : ndarray, shape (M, C, H, W)
        These images, in [0, 1].
    seed : int
    """
    count = settings["n_samples"]
    flow, diffusion = settings["gap_samplers"]
    sets = []
    for offset, sampler in enumerate((flow, diffusion, diffusion)):
        drawn = draw_samples(
            network,
            levels,
            sampler,
            settings["gap_evaluations"],
            count,
            shape,
            seed + _SAMPLES + offset,
            batch_size=count,
            clip=False,
        )
        sets.append((features(drawn.images), drawn.function_evaluations))
        if sampler == flow:
            nearest = nearest_training_images(drawn.images.numpy(), training)
    (ode, ode_made), (first, sde_made), (second, _) = sets
    gap = np.mean([frechet_distance(ode, other, _FEWEST) for other in (first, second)])
    floor = frechet_distance(first, second, _FEWEST)
    to_images = [frechet_distance(each, images, _FEWEST) for each in (first, second)]
    return {
        "ode": flow,
        "sde": diffusion,
        "ode_evaluations": ode_made,
        "sde_evaluations": sde_made,
        "n_samples": count,
        "gap": float(gap),
        "floor": floor,
        "excess": float(gap) - floor,
        "ode_to_images": frechet_distance(ode, images, _FEWEST),
        "sde_to_images": float(np.mean(to_images)),
        "nearest_ratio": float(np.median(nearest.distance) / nearest.data_distance),
    }


def relations(diagnostics: pd.DataFrame, gaps: pd.DataFrame) -> pd.DataFrame:
    """Return Spearman's rank correlations over the trained networks, a row per pair of quantities.

    What is measured by noise level enters with its mean over the levels.  `EXACT` is left out: it
    is a control, and would add a pair of zeros that every correlation likes.
    """
    levels = ["residual", "curl", "gauge", "error", "dimension"]
    means = diagnostics.groupby("model")[levels].mean()
    sampled = ["excess", "ode_to_images", "nearest_ratio"]
    both = means.join(gaps.set_index("model")[sampled], how="left")
    both = both[both.index != EXACT]
    rows = []
    for x, y in RELATIONS:
        pairs = both[[x, y]].dropna()
        value = float("nan")
        if pairs.nunique().min() > 1:
            value = pairs[x].corr(pairs[y], method="spearman")
        rows.append({"x": x, "y": y, "models": len(pairs), "correlation": value})
    return pd.DataFrame(rows)
