"""The gap between ODE and SDE samples of potentials of the plane, against their residual.

After Deveney et al. (2023, arXiv:2311.15996), in a tenth of the published steps and with smaller
batches, on a law whose score is known at every time: the exact model stands beside the networks.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.plane_mixtures import PlaneMixture, noise_level, plane_mixture
from crosskrylov.learning.plane_potential import (
    Potential,
    draw_collocation,
    draw_points,
    equation_residual,
    noised_points,
    score_of,
    train_potential,
)
from crosskrylov.metrics.distances import energy_distance, wasserstein_distance
from crosskrylov.studies.register import register

#: The name of the exact model among the networks.
EXACT = "exact"
#: Offsets of the random streams: samples, and states that errors are taken at.
_SAMPLING, _STATES = 1000, 2000


def gap_rows(
    potential: Potential, data: PlaneMixture, settings: Mapping[str, Any], seed: int
) -> list[dict]:
    """Return distances between samples of a potential and the data, a row per group.

    Parameters
    ----------
    potential : callable
        In single precision.
    data : PlaneMixture
    settings : mapping
        n_samples, groups, sampling_steps, span, truncation.
    seed : int
        Of starts, noise and data; the same for every potential.

    Returns
    -------
    list of dict
        group, samples (of each set), gap, floor, ode_data, sde_data, of the first two the energy
        distances energy_gap and energy_floor as well, and the shares ode_outside and
        sde_outside of samples outside the truncation, which are left out of the distances; these
        are NaN where less than half of a set is inside.
    """
    generator = torch.Generator().manual_seed(seed + _SAMPLING)
    count, groups = settings["n_samples"], settings["groups"]
    arguments = (settings["sampling_steps"], settings["span"], generator)
    sde = draw_points(potential, 2 * groups * count, *arguments, stochastic=True)
    ode = draw_points(potential, groups * count, *arguments, stochastic=False)
    clean = data.draw(groups * count, generator).float()
    rows = []
    sets = zip(*(points.split(count) for points in (ode, clean)), strict=True)
    for group, (of_ode, of_data) in enumerate(sets):
        first, second = sde.split(count)[2 * group : 2 * group + 2]
        kept = [inside(p, settings["truncation"]) for p in (of_ode, first, second, of_data)]
        least = min(map(len, kept))
        of_ode, first, second, of_data = (points[:least].numpy() for points in kept)
        pairs = {
            "gap": (of_ode, first),
            "floor": (first, second),
            "ode_data": (of_ode, of_data),
            "sde_data": (first, of_data),
        }
        enough = 2 * least >= count
        rows.append(
            {
                "group": group,
                "samples": count,
                **{
                    name: wasserstein_distance(*pair) if enough else float("nan")
                    for name, pair in pairs.items()
                },
                **{
                    f"energy_{name}": energy_distance(*pairs[name]) if enough else float("nan")
                    for name in ("gap", "floor")
                },
                "ode_outside": 1 - len(kept[0]) / count,
                "sde_outside": 1 - len(kept[1]) / count,
            }
        )
    return rows


def inside(points: torch.Tensor, half_side: float) -> torch.Tensor:
    """Return the points with both coordinates at most ``half_side`` in absolute value."""
    return points[(points.abs() <= half_side).all(1)]  # not those that are no number


def error_rows(
    potential: Potential, data: PlaneMixture, settings: Mapping[str, Any], seed: int
) -> list[dict]:
    """Return what a potential leaves of its equation, and the error of its score, a row per time.

    Parameters
    ----------
    potential : callable
        In double precision.
    data : PlaneMixture
        In double precision.
    settings : mapping
        times, n_states.
    seed : int
        Of the noised points; the same for every potential.

    Returns
    -------
    list of dict
        time; residual, the RMS of sigma^2 R over noised points; score_residual, that of sigma^2 R
        less its mean; score_error, the RMS of sigma times the error of a coordinate of the score.
    """
    generator = torch.Generator().manual_seed(seed + _STATES)
    rows = []
    for time in settings["times"]:
        t = torch.full((settings["n_states"],), time, dtype=torch.float64)
        x, _ = noised_points(data, t, generator)
        sigma = noise_level(t)
        residual = sigma**2 * equation_residual(potential, x, t)
        error = sigma[:, None] * (score_of(potential, x, t) - score_of(data, x, t))
        rows.append(
            {
                "time": time,
                "residual": _rms(residual),
                "score_residual": _rms(residual - residual.mean()),
                "score_error": _rms(error),
            }
        )
    return rows


def _rms(values: torch.Tensor) -> float:
    return float(values.square().mean().sqrt())


def penalty(potential: Potential, settings: Mapping[str, Any], seed: int) -> float:
    """Return the mean of R^2 where the training takes it, of a potential in double precision."""
    generator = torch.Generator().manual_seed(seed + _STATES)
    count = settings["n_states"] * len(settings["times"])
    x, t = draw_collocation(count, settings["span"], settings["box"], generator)
    return float(equation_residual(potential, x.double(), t.double()).square().mean())


def potential_tables(
    data_sets: Sequence[str],
    weights: Sequence[float],
    seeds: Sequence[int],
    settings: Mapping[str, Any],
) -> dict[str, pd.DataFrame]:
    """Train a potential for every law, random seed and weight, and measure it beside the exact one.

    Raises
    ------
    ConfigError
        For an unknown law, or as many learning rates as there are no steps for.
    """
    if len(settings["steps"]) != len(settings["learning_rates"]):
        raise ConfigError(
            f"studies.potential_gap has steps {list(settings['steps'])} and learning_rates "
            f"{list(settings['learning_rates'])}: give as many of the one as of the other."
        )
    laws = {name: plane_mixture(name) for name in data_sets}
    gaps, errors = [], []
    for name, data in laws.items():
        for seed in seeds:
            for weight in (None, *weights):
                if weight is None:
                    potential, label, weight = plane_mixture(name), EXACT, float("nan")
                else:
                    potential = train_potential(data, weight, settings, seed)
                    label = f"weight {weight:g}"
                of_run = {"dataset": name, "seed": seed, "network": label, "weight": weight}
                sampled = gap_rows(potential.float(), data, settings, seed)
                potential.double()
                by_time = error_rows(potential, data, settings, seed)
                means = {
                    key: float(np.sqrt(np.mean([row[key] ** 2 for row in by_time])))
                    for key in ("residual", "score_residual", "score_error")
                }
                means["penalty"] = penalty(potential, settings, seed)
                gaps += [of_run | row | means for row in sampled]
                errors += [of_run | row for row in by_time]
    return {"potential_gap": pd.DataFrame(gaps), "potential_errors": pd.DataFrame(errors)}


@register(
    "potential_gap",
    needs=["random_seeds"],
    tables={
        "potential_gap": "Networks for the log-density of noised points of the plane, trained by "
        "score matching plus a weight times their squared Fokker-Planck residual (docs/method.md, "
        "33), as in arXiv:2311.15996 with the steps, batch sizes and times of the configuration: "
        "2-Wasserstein distances by optimal assignment, of ODE from SDE samples (gap), of two sets "
        "of SDE samples (floor), and of either from the data; energy_gap and energy_floor are "
        "energy distances, whose expectation is zero for equal laws. Samples outside the square "
        "of half-side studies.potential_gap.truncation count as outside and are left out, as "
        "published; no distance is given where less than half of a set is inside. "
        "residual: RMS of sigma^2 R over noised points, mean of squares over the times of "
        "potential_errors; "
        "score_residual: less its mean at every time, which a function of time alone changes and "
        "the score does not; score_error: against the exact score, times sigma; penalty: mean R^2 "
        "where the training takes it. *exact* is the closed form.",
        "potential_errors": "Residual, the same less its mean, and error of the score by time, in "
        "the units of potential_gap.",
    },
    figures={
        "potential_gap": {
            "table": "potential_gap",
            "caption": "Networks for the log-density of points of the plane, trained with a "
            "penalty on their Fokker-Planck residual (arXiv:2311.15996 at a tenth of the published "
            "steps or less). Left: 2-Wasserstein distance of ODE from SDE samples against what a "
            "network leaves of the equation (RMS of sigma^2 R less its mean at a time); small "
            "marks are random seeds, large ones medians over them. Right: distance of either from "
            "the data. Dashed: the exact model, whose distances are those of finite samples of "
            "equal laws; grey: the range of its groups.",
        }
    },
    torch=True,
)
def study_potential_gap(
    data,
    data_sets,
    weights,
    units,
    sharpness,
    steps,
    learning_rates,
    batch_size,
    points,
    box,
    span,
    n_samples,
    groups,
    sampling_steps,
    truncation,
    times,
    n_states,
):
    """Train potentials by weight of the penalty, and compare their ODE and SDE samples."""
    settings = {
        "units": units,
        "sharpness": sharpness,
        "steps": steps,
        "learning_rates": learning_rates,
        "batch_size": batch_size,
        "points": points,
        "box": box,
        "span": span,
        "n_samples": n_samples,
        "groups": groups,
        "sampling_steps": sampling_steps,
        "truncation": truncation,
        "times": times,
        "n_states": n_states,
    }
    return potential_tables(data_sets, weights, data.random_seeds, settings)
