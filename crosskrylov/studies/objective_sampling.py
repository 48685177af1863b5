"""Samplers on trained networks: the Fréchet distance of their samples, against evaluations.

Beside the networks stands the exact model of the same images, whose score has no error, and a
floor: the distance of one half of the images from the other.  All samples are compared with one
half, and are as many as it has.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.base import noise_predictor
from crosskrylov.learning.objectives.index import Model
from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.sampling.fit import require_fit
from crosskrylov.learning.sampling.generate import draw_samples
from crosskrylov.learning.sampling.pds import preconditioner_from_images
from crosskrylov.learning.sampling.registry import (
    SamplerChoice,
    declared_samplers,
    sampler_choice,
)
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.metrics.distances import frechet_distance
from crosskrylov.studies.sampler_families import family_of

#: The sampler with a kappa, and the family of what it is at each of them.
INTERPOLANT, INTERPOLANTS = "interpolant", "interpolants"
#: What the model without error is called, and the images that are the floor.
EXACT, FLOOR = "exact", "images"
#: Fewest images of a Fréchet distance, as in the rest of the study.
_FEWEST = 2
#: Offset of the random stream that samples are drawn from, as in the rest of the study.
_SAMPLING = 1000
_KEY = "studies.training_objectives"
#: Columns of `interpolant_kappa`, which has no rows where no kappa is asked for.
_KAPPA = (
    *("model", "error_rank", "score_error", "function_evaluations", "group", "best_kappa"),
    *("score_factor", "frechet", "frechet_flow"),
)


@dataclass(frozen=True)
class Plan:
    """What is sampled, with what.

    Attributes
    ----------
    models : sequence of str
        Labels of trainings.
    samplers : sequence of SamplerChoice
    evaluations : sequence of int
        Network evaluations to spend, ascending.
    """

    models: Sequence[str]
    samplers: Sequence[SamplerChoice]
    evaluations: Sequence[int]

    def counts(self, choice: SamplerChoice) -> list[int]:
        """Return the numbers of evaluations that a sampler can do with."""
        fewest = declared_samplers()[choice.method].facts.get("fewest", 1)
        return [count for count in self.evaluations if count >= fewest]


def sampling_plan(
    models: Sequence[str],
    samplers: Sequence[str | Mapping],
    evaluations: Sequence[int],
    kappas: Sequence[float],
    trained: Mapping[str, Model],
) -> Plan:
    """Return what a section asks for, before anything has been trained.

    Raises
    ------
    ConfigError
        For a model that is not trained, has a condition or does not fit a sampler, two samplers of
        one name, or one that can do with none of the numbers of evaluations.
    """
    chosen = [sampler_choice(given) for given in samplers]
    chosen += [
        sampler_choice(
            {"method": INTERPOLANT, "options": {"kappa": kappa}, "name": f"kappa {kappa:g}"}
        )
        for kappa in sorted(kappas)
    ]
    plan = Plan(list(models), chosen, sorted(evaluations))
    labels = [choice.label for choice in chosen]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError(f"{_KEY}.sampled_with has {label!r} twice: give one another name.")
    for name in models:
        if name not in trained:
            raise ConfigError(
                f"{_KEY}.sampled has {name!r}, which is not among the models: add it there or "
                "correct the name."
            )
        if trained[name].condition:
            raise ConfigError(
                f"{_KEY}.sampled has {name!r}, whose network needs a second image: leave it out."
            )
        for choice in chosen:
            try:
                require_fit(trained[name], choice)
            except ConfigError as error:
                raise ConfigError(f"{_KEY}.sampled has {name!r}: {error}") from None
    for choice in chosen:
        if not plan.counts(choice):
            fewest = declared_samplers()[choice.method].facts["fewest"]
            raise ConfigError(
                f"{_KEY}.sampled_evaluations has at most {max(evaluations)}, but sampler "
                f"{choice.label!r} needs {fewest}: raise one of them or leave the sampler out."
            )
    return plan


class Judge:
    """Draws from one model after the other and compares with one half of the images.

    Parameters
    ----------
    images : tensor, shape (N, C, H, W)
        In [0, 1].
    features : callable
        Images (N, C, H, W) in [0, 1] to features (N, D).
    most : int
        Most samples; half of the images, if these are fewer.
    seed : int
        Of the halves, and of the noise, which is the same for all models and samplers.
    """

    def __init__(
        self,
        images: torch.Tensor,
        features: Callable[[torch.Tensor], np.ndarray],
        most: int,
        seed: int,
    ):
        order = np.random.default_rng(seed).permutation(len(images))
        self.images, self.features, self.seed = images, features, seed
        self.count = min(most, len(images) // 2)
        self.reference = features(images[order[: self.count]])
        self.floor = self._distance(images[order[-self.count :]])
        self.filters = preconditioner_from_images(images * 2 - 1)

    def _distance(self, images: torch.Tensor) -> float:
        """Return the distance from the reference half; NaN of images that are not finite."""
        if not torch.isfinite(images).all():
            return float("nan")
        return frechet_distance(self.features(images), self.reference, _FEWEST)

    def rows(
        self, label: str, network, levels: NoiseLevels, plan: Plan, start: Callable | None = None
    ) -> Iterator[dict]:
        """Yield a row of `network_samplers` per sampler and number of evaluations."""
        for choice in plan.samplers:
            seen = set()
            for count in plan.counts(choice):
                drawn = draw_samples(
                    network,
                    levels,
                    choice,
                    count,
                    self.count,
                    tuple(self.images.shape[1:]),
                    self.seed + _SAMPLING,
                    preconditioner=self.filters,
                    batch_size=self.count,
                    training_images=self.images * 2 - 1,
                    **({} if start is None else {"draw_start": start}),
                )
                if drawn.function_evaluations in seen:  # one that chooses the number itself
                    continue
                seen.add(drawn.function_evaluations)
                of_kappa = choice.method == INTERPOLANT and "kappa" in choice.options
                family = family_of(choice.method, drawn.setup_evaluations)
                yield self._row(
                    label,
                    choice.label,
                    INTERPOLANTS if of_kappa else family,
                    self._distance(drawn.images),
                    method=choice.method,
                    kappa=float(choice.options["kappa"]) if of_kappa else float("nan"),
                    function_evaluations=drawn.function_evaluations,
                    setup_evaluations=drawn.setup_evaluations,
                )

    def floor_row(self) -> dict:
        """Return the row of the floor."""
        made = {"kappa": float("nan"), "function_evaluations": 0, "setup_evaluations": 0}
        return self._row(FLOOR, "other half", "floor", self.floor, method="", **made)

    def _row(self, model: str, sampler: str, family: str, frechet: float, **made: Any) -> dict:
        named = {"model": model, "family": family, "sampler": sampler}
        return named | made | {"n_samples": self.count, "group": 0, "frechet": frechet}


def network_samplers(plan: Plan, runs: Mapping[str, Any], judge: Judge, levels: NoiseLevels):
    """Return the distance of every sampler on every model, those of the exact one and the floor.

    Parameters
    ----------
    plan : Plan
    runs : mapping
        Trainings by label (`crosskrylov.studies.training_objectives.Trained`).
    judge : Judge
    levels : NoiseLevels
        Of the exact model.

    Returns
    -------
    DataFrame
        A row per model, sampler and number of evaluations: model, family, sampler, method, kappa,
        function_evaluations (made), setup_evaluations (made once, on batches of their own),
        n_samples, group, frechet (NaN where a sampler's images are not finite).
    """
    rows = [judge.floor_row()]
    for label in plan.models:
        with _predictor(runs[label], judge) as network:
            objective = runs[label].objective
            start = getattr(objective, "start", None)
            rows += judge.rows(label, network, objective.levels, plan, start)
    exact = ExactNetwork(judge.images * 2 - 1, levels)
    rows += judge.rows(EXACT, exact, levels, plan)
    return pd.DataFrame(rows)


@contextmanager
def _predictor(run, judge: Judge):
    generator = torch.Generator().manual_seed(judge.seed + _SAMPLING)
    with run.network() as network:
        yield noise_predictor(run.objective, network, judge.count, generator)


def interpolant_kappa(samplers: pd.DataFrame, scores: Sequence[Mapping]) -> pd.DataFrame:
    """Return the kappa of the smallest distance, by model and number of evaluations.

    Parameters
    ----------
    samplers : DataFrame
        Of `network_samplers`.
    scores : sequence of mapping
        Errors of the predicted noise, by model and level: model, error.

    Returns
    -------
    DataFrame
        model, score_error (root mean square over the levels; the exact model's is 0), error_rank
        (least, between or most of the networks), function_evaluations, group, best_kappa,
        score_factor ((1 + best_kappa^2) / 2, which the step multiplies the score with),
        frechet (there), frechet_flow (at kappa 0; NaN if that was not run).
    """
    errors = (
        pd.DataFrame(scores).groupby("model").error.agg(lambda e: float(np.sqrt((e**2).mean())))
    )
    family = samplers[samplers.family == INTERPOLANTS].dropna(subset="frechet")
    networks = errors[[name for name in dict.fromkeys(family.model) if name != EXACT]].sort_values()
    ranks = dict.fromkeys(networks.index, "between")
    ranks |= dict(zip(networks.index[-1:], ["most"])) | dict(zip(networks.index[:1], ["least"]))
    rows = []
    for (model, made), group in family.groupby(["model", "function_evaluations"], sort=False):
        group = group.sort_values("kappa")
        best = group.loc[group.frechet.idxmin()]
        flow = group.frechet[group.kappa == 0]
        rows.append(
            {
                "model": model,
                "error_rank": ranks.get(model, EXACT),
                "score_error": 0.0 if model == EXACT else errors[model],
                "function_evaluations": made,
                "group": 0,
                "best_kappa": best.kappa,
                "score_factor": (1 + best.kappa**2) / 2,
                "frechet": best.frechet,
                "frechet_flow": flow.iloc[0] if len(flow) else float("nan"),
            }
        )
    return pd.DataFrame(rows, columns=list(_KAPPA))
