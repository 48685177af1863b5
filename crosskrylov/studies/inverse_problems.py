"""Restorations from linear measurements, held against the exact posterior of a finite data set.

The images are as probable as each other, the model is their exact posterior mean at every noise
level, and what a measurement leaves open is a mixture of them in closed form (docs/method.md, 32a).
A method's error is then its own: no network errs, and the best possible answer is known.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from crosskrylov.learning.inverse.conjugate_gradients import conjugate_gradients
from crosskrylov.learning.inverse.methods import METHODS, Problem, restoration
from crosskrylov.learning.inverse.operators import OPERATORS, Measurement, chosen, measurement
from crosskrylov.learning.inverse.posterior import (
    effective_images,
    posterior_weights,
    weighted_mean,
)
from crosskrylov.learning.objectives.mixture import posterior_mean
from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.metrics.intervals import Interval, median_interval
from crosskrylov.studies.register import register

#: Methods that evaluate no network: a row each, whatever the numbers of evaluations.
REFERENCES = ("exact_sample", "pseudo_inverse")
#: Distances below this, a thousandth of half the range of a pixel, count as this: methods that end
#: in the right image do so to rounding, and an interval on logarithms would be one of rounding.
RESOLUTION = 1e-3
#: Relative residuals below this count as this: a recurrence goes on where rounding has begun.
ROUNDING = 1e-12
#: Errors of a row of `restoration_errors`, each with an interval in `restoration_table`.
ERRORS = ("posterior_error", "mean_error", "true_error", "misfit")


def restoration_errors(
    images: torch.Tensor,
    operators: Sequence[str | Mapping],
    methods: Sequence[str | Mapping],
    evaluations: Sequence[int],
    *,
    noises: Sequence[float],
    n_problems: int,
    draws: int,
    groups: int,
    seed: int,
) -> pd.DataFrame:
    """Return how far restorations end from the exact posterior mean, by group of measurements.

    Every method gets the same measurements of the same images, which are drawn from the data set.

    Parameters
    ----------
    images : tensor, shape (N, C, H, W)
        The data set, in [-1, 1].
    operators, methods : sequence
        Names, or {operator or method, options, name}.
    evaluations : sequence of int
        Numbers of network evaluations.
    noises : sequence of float
        Standard deviations of the measurements' noise; operators have spectral norm one.
    n_problems : int
        Measured images of a group.
    draws : int
        Restorations of a measurement.
    groups : int
        Independent sets of measurements; intervals are over these.
    seed : int

    Returns
    -------
    DataFrame
        A row per operator, method, number of evaluations and group: operator, method, group,
        function_evaluations (made), setup_evaluations, cg_steps (0 for other methods), noise,
        effective_images (mean, of the posterior), and, as RMS over pixels, images and draws,
        posterior_error (from the exact posterior mean), error (the same, at least `RESOLUTION`),
        mean_error (of the mean of the draws from it), true_error (from the measured image); misfit
        is the RMS of H x - b.
    """
    images = images.double()
    rows = []
    for given, noise in itertools.product(operators, noises):
        operator = measurement(given, tuple(images.shape[2:]))
        truth, measured = _measured(images, operator, noise, groups * n_problems, seed)
        weights = posterior_weights(measured, images, operator, noise)
        exact = weighted_mean(weights, images)
        facts = {"operator": chosen(given, OPERATORS, "operator").label, "noise": noise}
        facts["effective_images"] = float(effective_images(weights).mean())
        for method in methods:
            choice = chosen(method, METHODS, "method")
            counts = evaluations if choice.name not in REFERENCES else evaluations[:1]
            for count in counts:
                model = exact_model(images)
                repeated = measured.repeat_interleave(draws, dim=0)
                generator = torch.Generator().manual_seed(seed + 1)
                problem = Problem(model, operator, repeated, noise, images, generator)
                found = restoration(method)(problem, count)
                made = {
                    "method": choice.label,
                    "function_evaluations": model.evaluations,
                    "setup_evaluations": model.setup_evaluations,
                    "cg_steps": cg_steps_of(choice),
                }
                found = found.unflatten(0, (len(measured), draws))
                errors = _errors(found, exact, truth, operator, measured)
                for group in range(groups):
                    own = slice(group * n_problems, (group + 1) * n_problems)
                    values = {name: float(v[own].mean().sqrt()) for name, v in errors.items()}
                    values["error"] = max(values["posterior_error"], RESOLUTION)
                    rows.append(facts | made | {"group": group} | values)
    return pd.DataFrame(rows)


def _measured(images, operator: Measurement, noise: float, count: int, seed: int):
    """Return ``count`` images of the data set and their measurements, by the seed alone."""
    generator = torch.Generator().manual_seed(seed)
    truth = images[torch.randint(len(images), (count,), generator=generator)]
    clean = operator(truth)
    return truth, clean + noise * torch.randn(clean.shape, generator=generator, dtype=clean.dtype)


def exact_model(images: torch.Tensor) -> NoiseModel:
    """Return the exact model of the images on DDPM's levels, without clipping."""
    levels = NoiseLevels.linear()
    return NoiseModel(ExactNetwork(images, levels), levels, clip=False)


def cg_steps_of(choice) -> int:
    """Return the iterations of conjugate gradients per evaluation of a configured method."""
    default = (METHODS[choice.name].__kwdefaults__ or {}).get("cg_steps", 0)
    return int(choice.options.get("cg_steps", default))


def _errors(found, exact, truth, operator: Measurement, measured) -> dict[str, torch.Tensor]:
    """Return mean squares for every measurement; ``found`` has shape (B, draws, C, H, W)."""

    def square(difference):
        return difference.square().flatten(1).mean(1)

    misfit = operator(found.flatten(0, 1)).unflatten(0, found.shape[:2]) - measured[:, None]
    return {
        "posterior_error": square(found - exact[:, None]),
        "mean_error": square(found.mean(1) - exact),
        "true_error": square(found - truth[:, None]),
        "misfit": square(misfit),
    }


def restoration_table(errors: pd.DataFrame) -> pd.DataFrame:
    """Return medians over the groups of `restoration_errors`, with intervals; see `RESOLUTION`."""
    keys = ["operator", "method", "function_evaluations", "setup_evaluations", "cg_steps", "noise"]
    rows = []
    for names, group in errors.groupby(keys, sort=False):
        row = dict(zip(keys, names, strict=True))
        row["effective_images"] = group.effective_images.iloc[0]
        for name in ERRORS:
            of_it = _typical(group[name].clip(lower=RESOLUTION))
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), of_it, strict=True))
        rows.append(row)
    return pd.DataFrame(rows).rename(
        columns={"posterior_error_low": "low", "posterior_error_high": "high"}
    )


def inner_residuals(
    images: torch.Tensor,
    operators: Sequence[str | Mapping],
    sigmas: Sequence[float],
    *,
    gamma: float,
    noises: Sequence[float],
    steps: int,
    n_problems: int,
    groups: int,
    seed: int,
) -> pd.DataFrame:
    """Return the residuals of conjugate gradients on the two systems of DDS (Eq. 32b).

    They start where DDS starts them, from the posterior mean of an image with noise.

    Parameters
    ----------
    images, operators, noises, n_problems, groups, seed
        Of `restoration_errors`; the system with noise leaves out a noise of zero.
    sigmas : sequence of float
        Noise levels of the images.
    gamma : float
        Of the system with noise.
    steps : int
        Iterations.

    Returns
    -------
    DataFrame
        operator, system ("projection" without noise, "weighted" with it), noise, sigma, iteration,
        and the residual relative to the first: median over groups of medians of images, low, high.
    """
    images = images.double()
    size = tuple(images.shape[2:])
    cases = [("projection", 0.0), *(("weighted", noise) for noise in noises if noise)]
    rows = []
    for given in operators:
        operator = measurement(given, size)
        for sigma, (system, noise) in itertools.product(sigmas, cases):
            truth, measured = _measured(images, operator, noise, groups * n_problems, seed)
            generator = torch.Generator().manual_seed(seed + 1)
            z = torch.randn(truth.shape, generator=generator, dtype=truth.dtype)
            ones = torch.ones(len(truth), dtype=truth.dtype)
            mean = posterior_mean(truth + sigma * z, images, ones, sigma * ones)
            apply, rhs = operator.normal, operator.adjoint(measured, size)
            if system == "weighted":
                apply, rhs = _shifted(operator, gamma), mean + gamma * rhs
            _, norms = conjugate_gradients(apply, rhs, mean, steps)
            # 0/0 where the posterior mean fits already: there is nothing to reduce
            relative = (norms / norms[0]).unflatten(1, (groups, n_problems)).nanmedian(2).values
            for iteration, values in enumerate(relative.clamp(min=ROUNDING).tolist()):
                median, low, high = _typical(values)
                rows.append(
                    {
                        "operator": chosen(given, OPERATORS, "operator").label,
                        "system": system,
                        "noise": noise,
                        "sigma": sigma,
                        "iteration": iteration,
                        "residual": median,
                        "low": low,
                        "high": high,
                    }
                )
    return pd.DataFrame(rows)


def _shifted(operator: Measurement, gamma: float):
    return lambda u: u + gamma * operator.normal(u)


def _typical(values: Sequence[float]) -> Interval:
    """Return median and interval; the interval needs positive values, which zero is not."""
    if np.isfinite(values).all() and min(values) > 0:
        return median_interval(values)
    return Interval(float(np.median(values)), float("nan"), float("nan"))


@register(
    "inverse_problems",
    needs=["images"],
    tables={
        "inverse_problems": "Restorations of small images from linear "
        "measurements with noise, on a model without error: RMS distance from the exact posterior "
        "mean (posterior_error), of the mean of several restorations from it (mean_error), from "
        "the measured image (true_error), and of the restored image's measurement from the given "
        "one (misfit). exact_sample draws from the exact posterior: any right sampler has its "
        "posterior_error; pseudo_inverse uses no prior. Effective images is between how many "
        "images the measurement leaves open. Medians over groups of measurements with 95 % "
        "intervals; distances below 0.001 count as that. Setup evaluations are made once for all.",
        "inverse_errors": "The errors behind inverse_problems, by group of measurements.",
        "inverse_residuals": "Relative residual of conjugate gradients on the two systems of DDS, "
        "without noise (projection) and with it (weighted), by iteration and by the noise level of "
        "the image whose posterior mean they start from. Medians over groups of measurements with "
        "95 % intervals.",
    },
    figures={
        "inverse_problems": {
            "table": "inverse_problems",
            "caption": "RMS distance of restorations from the exact posterior mean, against "
            "network evaluations; a row per operator, a column per noise of the measurement. "
            "Medians over groups of measurements, with 95 % intervals. Dashed: a draw from the "
            "exact posterior; dotted: the pseudo-inverse.",
        },
        "inverse_residuals": {
            "table": "inverse_residuals",
            "caption": "Relative residual of conjugate gradients inside sampling, against their "
            "iteration, without noise in the measurement (left) and with it (right). Medians over "
            "groups of measurements; the posterior mean that they start from is that of the lowest "
            "noise level of the table, and the measurement's noise the largest.",
        },
    },
    torch=True,
)
def study_inverse_problems(
    data,
    operators,
    methods,
    evaluations,
    noises,
    n_images,
    n_problems,
    draws,
    groups,
    cg_sigmas,
    cg_gamma,
    cg_iterations,
):
    """Hold restorations against the exact posterior."""
    images = torch.as_tensor(data.images[:n_images]).double() * 2 - 1
    shared = {"noises": noises, "n_problems": n_problems, "groups": groups, "seed": data.seed}
    errors = restoration_errors(images, operators, methods, evaluations, draws=draws, **shared)
    residuals = inner_residuals(
        images, operators, cg_sigmas, gamma=cg_gamma, steps=cg_iterations, **shared
    )
    return {
        "inverse_problems": restoration_table(errors),
        "inverse_errors": errors,
        "inverse_residuals": residuals,
    }
