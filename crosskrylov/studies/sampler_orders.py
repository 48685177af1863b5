"""Samplers on a model without error: how far they end from the flow, and how exactly they invert.

The model is the exact posterior mean of a few noised images (docs/method.md, 29f), so that what is
left of a sampler's error is that of its steps, and of its rounding.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.sampling.inversion import (
    NaiveInversion,
    ReversibleSampler,
    image_round_trip,
    noise_round_trip,
)
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.reference import ExactReference
from crosskrylov.learning.sampling.registry import (
    declared_samplers,
    make_sampler,
    sampler_choice,
)
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.metrics.intervals import Interval, median_interval, order_interval
from crosskrylov.studies.register import register
from crosskrylov.studies.sampler_families import family_of

#: Precisions of a round trip, by name.
PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
#: The common inversion of DDIM, beside those that are exact.
BASELINE = "ddim_inversion"
_NONE = Interval(float("nan"), float("nan"), float("nan"))


def ode_samplers() -> list[str]:
    """Return the names of all samplers that draw no noise on the way."""
    known = declared_samplers()
    return [name for name, entry in known.items() if not entry.facts["stochastic"]]


def sampler_errors(
    reference: ExactReference,
    samplers: Iterable[str | Mapping],
    evaluations: Sequence[int],
    groups: int,
) -> pd.DataFrame:
    """Return the error (29f) of samplers, once per group of starting points.

    The starting points are drawn independently and split into ``groups``; the groups go through a
    sampler together, so that what it fits or searches once is not paid for by each.

    Returns
    -------
    DataFrame
        A row per sampler, number of evaluations and group: sampler, method, family, group,
        function_evaluations (made), setup_evaluations (made once, on batches of their own), error.

    Raises
    ------
    ConfigError
        If a sampler draws noise, or can do with none of the numbers of evaluations.
    """
    rows = []
    for given in samplers:
        choice = sampler_choice(given)
        fewest = declared_samplers()[choice.method].facts.get("fewest", 1)
        counts = [n for n in evaluations if n >= fewest]
        if not counts:
            raise ConfigError(
                f"studies.sampler_orders.evaluations has at most {max(evaluations)}, but sampler "
                f"{choice.method!r} needs {fewest}: raise one of them or leave the sampler out."
            )
        seen = set()
        for count in counts:
            found = reference.deviation(choice, count)
            if found.evaluations in seen:  # one that chooses the number of them itself
                continue
            seen.add(found.evaluations)
            family = family_of(choice.method, found.setup_evaluations)
            for group, part in enumerate(found.difference.chunk(groups)):
                rows.append(
                    {
                        "sampler": choice.label,
                        "method": choice.method,
                        "family": family,
                        "group": group,
                        "function_evaluations": found.evaluations,
                        "setup_evaluations": found.setup_evaluations,
                        "error": float(part.square().mean().sqrt()),
                    }
                )
    return pd.DataFrame(rows)


def order_table(errors: pd.DataFrame, order_from: int) -> pd.DataFrame:
    """Return medians and 95 % intervals of `sampler_errors`, and every sampler's observed order.

    Parameters
    ----------
    errors : DataFrame
        Of `sampler_errors`.
    order_from : int
        Fewest evaluations that count for the order: it shows in the limit only.
    """
    known = declared_samplers()
    rows = []
    for sampler, of_sampler in errors.groupby("sampler", sort=False):
        facts = known[of_sampler.method.iloc[0]].facts
        fine = of_sampler[of_sampler.function_evaluations >= order_from]
        groups = ((g.function_evaluations, g.error) for _, g in fine.groupby("group"))
        order = _NONE if facts.get("adaptive") else order_interval(groups)
        for made, group in of_sampler.groupby("function_evaluations"):
            error = _typical(group.error)
            rows.append(
                {
                    "sampler": sampler,
                    "family": group.family.iloc[0],
                    "function_evaluations": made,
                    "setup_evaluations": group.setup_evaluations.iloc[0],
                    "error": error.median,
                    "low": error.low,
                    "high": error.high,
                    "declared_order": facts["order"],
                    "observed_order": order.median,
                    "order_low": order.low,
                    "order_high": order.high,
                }
            )
    return pd.DataFrame(rows)


def inversion_errors(
    images: torch.Tensor,
    inverters: Iterable[str | Mapping],
    steps: Sequence[int],
    groups: int,
    sigmas: tuple[float, float],
    seed: int,
) -> pd.DataFrame:
    """Return what is lost on a round trip, from images to noise and back and the other way.

    Parameters
    ----------
    images : tensor, shape (N, C, H, W)
        In [-1, 1]; both the data set of the exact model and, with the noise of the lowest level,
        what is inverted.
    inverters : iterable
        Samplers that can be run backwards; DDIM with its common inversion is added to them.
    steps : sequence of int
        Numbers of steps.
    groups : int
        Draws of the noise.
    sigmas : (float, float)
        Lowest and highest level, geometric in between.
    seed : int

    Returns
    -------
    DataFrame
        A row per scheme, precision of the state, direction, number of steps and draw: sampler,
        precision, direction, group, steps, function_evaluations (of one way), error (RMS).

    Raises
    ------
    ConfigError
        If a sampler cannot be run backwards.
    """
    images = images.double()
    levels = NoiseLevels.geometric(100, *sigmas)
    model = NoiseModel(ExactNetwork(images, levels), levels, clip=False)
    schemes: dict[str, ReversibleSampler] = {BASELINE: NaiveInversion()}
    for given in inverters:
        choice = sampler_choice(given)
        schemes[choice.label] = make_sampler(choice)
        if not isinstance(schemes[choice.label], ReversibleSampler):
            raise ConfigError(
                f"studies.sampler_orders.inverters has {choice.method!r}, which cannot be run "
                "backwards."
            )
    rows = []
    for group in range(groups):
        generator = torch.Generator().manual_seed(seed + group)
        noise = torch.randn(images.shape, generator=generator, dtype=torch.float64)
        starts = {"image": images + sigmas[0] * noise, "noise": noise}
        trips = {"image": image_round_trip, "noise": noise_round_trip}
        for label, scheme in schemes.items():
            for count in steps:
                evaluations = scheme.evaluations_per_step * count + 1
                for precision, dtype in PRECISIONS.items():
                    for direction, trip in trips.items():
                        start = starts[direction].to(dtype)
                        rows.append(
                            {
                                "sampler": label,
                                "precision": precision,
                                "direction": direction,
                                "group": group,
                                "steps": count,
                                "function_evaluations": evaluations - 1,
                                "error": trip(scheme, model, start, evaluations).error,
                            }
                        )
    return pd.DataFrame(rows)


def inversion_table(errors: pd.DataFrame) -> pd.DataFrame:
    """Return medians over the draws of `inversion_errors`, with 95 % intervals."""
    keys = ["sampler", "precision", "direction", "steps", "function_evaluations"]
    rows = []
    for names, group in errors.groupby(keys, sort=False):
        error = _typical(group.error)
        rows.append(
            dict(zip(keys, names, strict=True))
            | {"error": error.median, "low": error.low, "high": error.high}
        )
    return pd.DataFrame(rows)


def _typical(errors: pd.Series) -> Interval:
    """Return median and interval; none where an error is zero, or rounding has overflowed."""
    if (np.isfinite(errors) & (errors > 0)).all():
        return median_interval(errors)
    return _NONE._replace(median=float(errors.fillna(np.inf).median()))


@register(
    "sampler_orders",
    needs=["images"],
    tables={
        "sampler_orders": "Every sampler of the probability flow on a model without error, the "
        "exact posterior mean of a few noised images: RMS distance from the flow's own solution "
        "(states in float64, nothing clipped), median over groups of starting points with 95 % "
        "interval, and the observed order, minus the slope of log error against log evaluations, "
        "beside the declared one. Setup evaluations are made once for all samples.",
        "sampler_errors": "The errors behind sampler_orders, by group of starting points.",
        "inversion": "RMS of what a round trip loses, from images to noise and back (image) and "
        "from noise to images and back (noise), of samplers that can be run backwards on the exact "
        "model, by the precision of the state: medians over draws of the noise with 95 % "
        "intervals. ddim_inversion is the common one, Euler steps up with the noise seen below.",
        "inversion_errors": "The errors behind inversion, by draw of the noise.",
    },
    figures={
        "sampler_orders": {
            "table": "sampler_orders",
            "caption": "RMS distance of samplers from the solution of the probability flow, on a "
            "model without error, against network evaluations; a panel per family. Medians over "
            "groups of starting points, with 95 % intervals; the number beside a name is the "
            "observed order.",
        },
        "inversion": {
            "table": "inversion",
            "caption": "RMS of what a round trip from images to noise and back loses, against the "
            "number of steps, by the precision of the state. Medians over draws of the noise, with "
            "95 % intervals.",
        },
    },
    torch=True,
    samplers_from=["samplers", "inverters"],
)
def study_sampler_orders(
    data,
    samplers,
    evaluations,
    order_from,
    n_images,
    n_starts,
    groups,
    sigma_min,
    sigma_max,
    inverters,
    inversion_steps,
    inversion_sigmas,
):
    """Measure the steps of samplers and the rounding of their inverses."""
    images = torch.as_tensor(data.images[:n_images]).double() * 2 - 1
    reference = ExactReference(
        images,
        sigma_min=sigma_min,
        sigma_max=sigma_max,
        n_samples=groups * n_starts,
        seed=data.seed,
    )
    chosen = ode_samplers() if samplers is None else samplers
    errors = sampler_errors(reference, chosen, evaluations, groups)
    trips = inversion_errors(
        images, inverters, inversion_steps, groups, tuple(inversion_sigmas), data.seed
    )
    return {
        "sampler_orders": order_table(errors, order_from),
        "sampler_errors": errors,
        "inversion": inversion_table(trips),
        "inversion_errors": trips,
    }
