"""Evolutionary search of a sampler's steps on reference trajectories (docs/method.md, Eq. 29z).

The evolution is that of AutoDiffusion (Li et al., 2023), with the numbers of its scripts for LSUN;
what it minimises is not the Frechet distance but that from finer trajectories of the same model.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.registry import require_evaluations, require_option
from crosskrylov.learning.sampling.steps import sigma_steps, unipc_step

#: Places between which a level is put, as many as the published schedules have steps.
LAST_PLACE = 999
FORMS = ("noise", "image")
#: Parts of the population that survive, and that are mutations and crossings of those; the rest is
#: drawn at random (published: 10, 25, 10 and 15 of 50).
_KEPT, _MUTATED, _CROSSED = 0.2, 0.5, 0.2
#: Chance of a gene to be mutated: of survivors, and of the fixed steps that the search starts from.
_RATE, _FIRST_RATE = 0.25, 0.1
#: Attempts per wanted candidate, as published: small spaces run out of new ones.
_TRIES = 10


class Kind(NamedTuple):
    """How a step is made.

    Attributes
    ----------
    order : int
        1 to 3; a step with fewer outputs behind it lowers it.
    form : {"noise", "image"}
        What is expanded.
    corrected : bool
        Whether the output at the step's end corrects it (UniPC's corrector, which costs no
        evaluation).
    """

    order: int
    form: str
    corrected: bool


#: All orders, forms and choices of the corrector.
EVERY_KIND = tuple(Kind(*genes) for genes in itertools.product((1, 2, 3), FORMS, (False, True)))


class Schedule(NamedTuple):
    """The genes of a candidate.

    Attributes
    ----------
    places : tuple of float
        Of the levels that are visited, increasing from 0, the highest one of the schedule, to
        `LAST_PLACE`, its lowest; one per evaluation.
    kinds : tuple of Kind
        Of the steps between them.
    """

    places: tuple[float, ...]
    kinds: tuple[Kind, ...]


def uniform_schedule(evaluations: int, kind: Kind) -> Schedule:
    """Return equal steps of the schedule's levels, all of one kind."""
    places = tuple(np.linspace(0, LAST_PLACE, evaluations).tolist())
    return _effective(Schedule(places, (kind,) * (evaluations - 1)))


def schedule_sigmas(model: NoiseModel, schedule: Schedule) -> np.ndarray:
    """Return the sigmas of a schedule's levels, decreasing; log sigma is linear between levels."""
    top = len(model.levels) - 1
    levels = top * (1 - np.asarray(schedule.places) / LAST_PLACE)
    return np.exp(np.interp(levels, np.arange(top + 1), np.log(model.levels.sigmas)))


def run_steps(
    model: NoiseModel, start: torch.Tensor, sigmas: Sequence[float], kinds: Sequence[Kind]
) -> torch.Tensor:
    """Return the posterior mean at the lowest of ``sigmas``, one network call at each.

    Parameters
    ----------
    start : tensor, shape (B, C, H, W)
        Unit normal noise.
    sigmas : sequence of float
        Decreasing.
    kinds : sequence of Kind
        Of the steps between them.
    """
    y, lambdas, before = sigmas[0] * start, -np.log(np.asarray(sigmas)), None
    past: dict[str, list[torch.Tensor]] = {form: [] for form in FORMS}
    for i, sigma in enumerate(sigmas):
        eps = model.at_sigma(y, sigma)
        new = {"noise": eps, "image": y - sigma * eps}
        if i == len(sigmas) - 1:
            break
        if i and kinds[i - 1].corrected:
            order, form, _ = kinds[i - 1]
            y = unipc_step(before, lambdas[:i], past[form], lambdas[i], order, new[form], form)
        past = {form: [*past[form], new[form]][-3:] for form in FORMS}
        before, (order, form, _) = y, kinds[i]
        y = unipc_step(y, lambdas[: i + 1], past[form], lambdas[i + 1], order, form=form)
    return new["image"]


def evolve(
    first: Sequence[Schedule],
    error_of: Callable[[Schedule], float],
    kinds: Sequence[Kind],
    rng: np.random.Generator,
    population: int,
    epochs: int,
) -> tuple[Schedule, float]:
    """Return the best of all candidates and its error.

    Parameters
    ----------
    first : sequence of Schedule
        Part of the first generation: no result is worse than the best of them. Half of its rest is
        random, half are mutations of these.
    error_of : callable
        What is minimised.
    kinds : sequence of Kind
        That a step may be of.
    rng : Generator
        Of every draw.
    population : int
        Candidates per generation, if there are as many new ones; 0 leaves ``first`` alone.
    epochs : int
        Generations.
    """
    found: dict[Schedule, float] = {}
    candidates = list(dict.fromkeys(first))
    evaluations = len(candidates[0].places)

    def add(wanted: int, draw: Callable[[], Schedule]) -> None:
        """Draw new candidates until there are as many as wanted, or no more are found."""
        for _ in range(_TRIES * max(wanted - len(candidates), 0)):
            if len(candidates) >= wanted:
                break
            candidate = _effective(draw())
            if _is_legal(candidate) and candidate not in {*found, *candidates}:
                candidates.append(candidate)

    def pick(among: Sequence[Schedule]) -> Schedule:
        return among[rng.integers(len(among))]

    def at_random() -> Schedule:
        return _random(evaluations, kinds, rng)

    add(population // 2 + 1, at_random)
    add(population, lambda: _mutated(pick(first), kinds, rng, _FIRST_RATE))
    for epoch in range(epochs):
        found |= {candidate: error_of(candidate) for candidate in candidates}
        kept = sorted(found, key=found.get)[: max(round(_KEPT * population), 1)]
        if epoch < epochs - 1:
            candidates = []
            mutated = round(_MUTATED * population)
            add(mutated, lambda kept=kept: _mutated(pick(kept), kinds, rng, _RATE))
            crossed = len(candidates) + round(_CROSSED * population)
            add(crossed, lambda kept=kept: _crossed(pick(kept), pick(kept), rng))
            add(population, at_random)
    return kept[0], found[kept[0]]


def _random(evaluations: int, kinds: Sequence[Kind], rng: np.random.Generator) -> Schedule:
    inner = rng.choice(np.arange(1, LAST_PLACE), evaluations - 2, replace=False)
    drawn = rng.integers(len(kinds), size=evaluations - 1)
    return _schedule(inner.tolist(), [kinds[k] for k in drawn])


def _mutated(
    parent: Schedule, kinds: Sequence[Kind], rng: np.random.Generator, rate: float
) -> Schedule:
    """Return a parent, each gene replaced with a chance of ``rate``, levels by unvisited ones."""
    inner = list(parent.places[1:-1])
    free = np.setdiff1d(np.arange(1, LAST_PLACE), inner)
    fresh = iter(rng.choice(free, len(inner), replace=False).tolist())
    inner = [next(fresh) if rng.random() < rate else place for place in inner]
    chosen = [_one_of(kinds, rng) if rng.random() < rate else kind for kind in parent.kinds]
    return _schedule(inner, chosen)


def _crossed(one: Schedule, other: Schedule, rng: np.random.Generator) -> Schedule:
    """Return every gene from either of two parents."""

    def either(mine: Sequence, yours: Sequence) -> list:
        return [(a, b)[rng.integers(2)] for a, b in zip(mine, yours, strict=True)]

    return _schedule(either(one.places, other.places)[1:-1], either(one.kinds, other.kinds))


def _one_of(kinds: Sequence[Kind], rng: np.random.Generator) -> Kind:
    return kinds[rng.integers(len(kinds))]


def _schedule(inner: Sequence[float], kinds: Sequence[Kind]) -> Schedule:
    places = (0.0, *(float(place) for place in sorted(inner)), float(LAST_PLACE))
    return Schedule(places, tuple(kinds))


def _effective(schedule: Schedule) -> Schedule:
    """Return the same steps without genes that change nothing, so that none is tried twice."""
    kinds = [kind._replace(order=min(kind.order, i + 1)) for i, kind in enumerate(schedule.kinds)]
    # without a difference both forms are DDIM; what ends at the last level is not used any more
    kinds[-1] = kinds[-1]._replace(corrected=False)
    kinds = [kind._replace(form=FORMS[0]) if kind[::2] == (1, False) else kind for kind in kinds]
    return Schedule(schedule.places, tuple(kinds))


def _is_legal(schedule: Schedule) -> bool:
    """Whether the levels are a place apart, as whole numbers are."""
    return bool((np.diff(schedule.places) > 1 - 1e-9).all())


class SearchedSteps:
    """A sampler whose steps are searched at its first call with a number of evaluations.

    Fitness is the RMS distance, over fixed noises, from where a fine trajectory of the same model
    ends: UniPC of order 2 on ``fine_steps`` geometric levels. The noises are drawn by NumPy, which
    no seed of the noise to be sampled from gives: they are never those that a sampler is judged by.

    Subclasses set ``name``, registered, and ``kinds``, of which a step may be. Of each, equal steps
    of the schedule's levels are among the first candidates.

    Parameters
    ----------
    noises : int
        Trajectories that are fitted.
    fine_steps : int
        Network calls of a fine trajectory.
    population, epochs : int
        Candidates per generation, at least 5, and generations. A population of 0 is no search: the
        best of the equal steps.
    seed : int
        Of the noises and of every draw of the search.

    Attributes
    ----------
    schedules : dict
        What was found, by number of evaluations.
    """

    name: str
    kinds: tuple[Kind, ...]

    def __init__(self, noises: int, fine_steps: int, population: int, epochs: int, seed: int):
        require_option(self.name, "noises", noises, noises >= 1, "at least 1")
        require_option(self.name, "fine_steps", fine_steps, fine_steps >= 2, "at least 2")
        fits = population == 0 or population >= 5
        require_option(self.name, "population", population, fits, "0 or at least 5")
        require_option(self.name, "epochs", epochs, epochs >= 1, "at least 1")
        self.noises, self.fine_steps, self.seed = noises, fine_steps, seed
        self.population, self.epochs = population, epochs
        self.schedules: dict[int, Schedule] = {}

    def __call__(self, model, start, evaluations, generator):
        """Sample; the first call with a number of evaluations searches."""
        require_evaluations(self.name, evaluations, 3, "a level between two ends")
        if evaluations not in self.schedules:
            rng = np.random.default_rng(self.seed)
            with model.setup():
                self.schedules[evaluations], _ = evolve(
                    list(self.fixed(evaluations)),
                    self.fitness(model, start, rng),
                    self.kinds,
                    rng,
                    self.population,
                    self.epochs,
                )
        schedule = self.schedules[evaluations]
        return run_steps(model, start, schedule_sigmas(model, schedule), schedule.kinds)

    def fixed(self, evaluations: int) -> Iterator[Schedule]:
        """Yield equal steps of every kind."""
        yield from dict.fromkeys(uniform_schedule(evaluations, kind) for kind in self.kinds)

    def fitness(
        self, model: NoiseModel, like: torch.Tensor, rng: np.random.Generator
    ) -> Callable[[Schedule], float]:
        """Return the error of a schedule on noises of the shape and precision of ``like``."""
        noise = rng.standard_normal((self.noises, *like.shape[1:]))
        start = torch.as_tensor(noise).to(like)
        fine = sigma_steps(model, self.fine_steps)
        kinds = [Kind(2, "image", True)] * (self.fine_steps - 1)
        wanted = run_steps(model, start, fine, kinds)

        def error_of(schedule: Schedule) -> float:
            found = run_steps(model, start, schedule_sigmas(model, schedule), schedule.kinds)
            error = float((found - wanted).square().mean().sqrt())
            return error if np.isfinite(error) else np.inf

        return error_of
