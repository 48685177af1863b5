"""Objectives of the list, trained alike on the smallest images: samples, score error, cost.

Every objective trains the same network from the same weights with the same random numbers, for the
same number of optimiser steps.  A time is that number times the seconds of a step, which are taken
in turns at the end.
"""

import copy
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.dense import DenseNetwork
from crosskrylov.learning.objectives.base import Objective, Setting, noise_predictor
from crosskrylov.learning.objectives.index import Model, model_entry
from crosskrylov.learning.objectives.mixture import mixture_noise
from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.sampling.fit import fits, require_fit
from crosskrylov.learning.sampling.generate import draw_samples
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.pds import preconditioner_from_images
from crosskrylov.learning.sampling.registry import make_sampler
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.learning.training.averaging import averaged
from crosskrylov.learning.training.loop import OptimiserSteps, TrainingOptions
from crosskrylov.metrics.distances import frechet_distance
from crosskrylov.metrics.features import extract_features
from crosskrylov.metrics.score_diagnostics import noised
from crosskrylov.metrics.score_error import embedded_at
from crosskrylov.runtime.measurement import pinned_threads
from crosskrylov.studies.objective_diagnostics import (
    EXACT,
    check,
    diagnostics_rows,
    gap_row,
    relations,
)
from crosskrylov.studies.objective_quantisation import check_quantised, quantised_table
from crosskrylov.studies.objective_sampling import (
    Judge,
    interpolant_kappa,
    network_samplers,
    sampling_plan,
)
from crosskrylov.studies.register import register

#: Offset of the random stream that samples are drawn from, and of that of noised images.
_SAMPLING, _NOISING = 1000, 2000
#: Instead of features, for images of any size.
_PIXELS = "pixels"
#: Samples drawn at a time, where many are.
_BATCH = 1000
#: Fewest images of a Fréchet distance; objectives share the bias of few, see `frechet_distance`.
_FEWEST = 2


@dataclass(frozen=True)
class Choice:
    """What the configuration says of one training.

    Attributes
    ----------
    label : str
        What tables and figures call it.
    model : Model
        Its objective's declaration.
    options : mapping
        Options of the objective.
    batch_size : int
        Images per step.
    against : str
        Label of the training whose last Fréchet distance it is timed to.
    """

    label: str
    model: Model
    options: Mapping[str, Any]
    batch_size: int
    against: str


@dataclass
class Trained:
    """A training and what it left.

    Attributes
    ----------
    choice : Choice
    objective : Objective
    steps : OptimiserSteps
        Network, optimiser and averaged weights.
    count : int
        Optimiser steps taken.
    setup_seconds : float
        What was drawn or trained before the first step took.
    curve : list of dict
        A row per evaluation on the way: steps, frechet.
    """

    choice: Choice
    objective: Objective
    steps: OptimiserSteps
    count: int
    setup_seconds: float
    curve: list[dict] = field(default_factory=list)

    @contextmanager
    def network(self):
        """Give the network with its averaged weights, for the length of a ``with`` block."""
        self.steps.network.eval()
        with averaged(self.steps.network, self.steps.average):
            yield self.steps.network
        self.steps.network.train()


def choices(models: Sequence[str | Mapping], batch_size: int, against: str) -> list[Choice]:
    """Return the trainings that a section names.

    Raises
    ------
    ConfigError
        For an unknown model, two of one name, a model before the one that it starts from, or a
        training that is compared with one that is not there.
    """
    key = "studies.training_objectives.models"
    found: list[Choice] = []
    for given in models:
        entry = {"model": given} if isinstance(given, str) else given
        model = model_entry(entry["model"], "study", key)
        label = entry.get("name", model.name)
        known = [choice.label for choice in found]
        if label in known:
            raise ConfigError(f"{key} names {label!r} twice: give one of them another name.")
        if model.teacher and model.teacher not in known:
            raise ConfigError(
                f"{key} has {label!r}, which starts from a trained {model.teacher!r}: put that "
                "before it."
            )
        size = entry.get("batch_size", batch_size)
        found.append(
            Choice(
                label, model, dict(entry.get("options", {})), size, entry.get("against", against)
            )
        )
    labels = {choice.label for choice in found}
    for choice in found:
        if choice.against not in labels:
            raise ConfigError(
                f"{key}: {choice.label!r} is compared with {choice.against!r}, which is not "
                "trained: add it or correct the name."
            )
    return found


class Trainings:
    """The trainings of one image set and seed, and what is measured of them.

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W)
        In [0, 1].
    seed : int
        Of the weights, the batches, the samples and the noised images; the same for all.
    settings : mapping
        The study's section.
    embedded : ndarray, shape (N, S, C, H, W), optional
        Embedded images in [0, 1], for objectives that need scores.
    """

    def __init__(
        self,
        images: np.ndarray,
        seed: int,
        settings: Mapping[str, Any],
        embedded: np.ndarray | None = None,
    ):
        self.images = torch.as_tensor(images).float()
        self.embedded = None if embedded is None else torch.as_tensor(embedded).float()
        self.seed = seed
        self.settings = settings
        self.levels = {
            "geometric": NoiseLevels.geometric(
                settings["noise_levels"], settings["sigma_min"], settings["sigma_max"]
            ),
            "linear": NoiseLevels.linear(settings["noise_levels"]),
        }
        self.filters = preconditioner_from_images(self.images * 2 - 1)
        self.features = self._features(self.images)
        self.done: dict[str, Trained] = {}

    def train(self, choice: Choice) -> Trained:
        """Train one choice and keep it; its curve is evaluated on the way."""
        settings, model = self.settings, choice.model
        teacher = self.done.get(model.teacher)
        start = time.perf_counter()
        objective = model.build(self._setting(choice, teacher), **choice.options)
        setup_seconds = time.perf_counter() - start
        network = DenseNetwork(
            tuple(self.images.shape[1:]),
            settings["units"],
            settings["blocks"],
            self.seed,
            inputs=1 + model.condition,
        )
        if teacher is not None:
            with teacher.network() as trained:
                network.load_state_dict(trained.state_dict())
        rate = settings["fine_tuning_rate" if teacher is not None else "learning_rate"]
        options = TrainingOptions(
            math.inf, learning_rate=rate, ema_decay=settings["ema_decay"], device="cpu"
        )
        steps = OptimiserSteps(network, objective, options, self.seed)
        count = settings["fine_tuning_steps" if teacher is not None else "steps"]
        count = getattr(objective, "steps", count)
        run = Trained(choice, objective, steps, count, setup_seconds)
        marks = {max(1, round(count * part)) for part in settings["evaluate_at"]}
        for number in range(count):
            steps.take(number)
            if number + 1 in marks:
                frechet = self.frechet(run, *self._on_the_way(run))
                run.curve.append({"steps": number + 1, "frechet": frechet})
        self.done[choice.label] = run
        return run

    def _setting(self, choice: Choice, teacher: Trained | None) -> Setting:
        def flow(z):
            sampler = self._fitting(choice)
            with teacher.network() as trained:
                predictor = noise_predictor(teacher.objective, trained)
                return self._images_of(sampler, NoiseModel(predictor, run_levels(teacher)), z)

        return Setting(
            images=self.images,
            times=torch.zeros(0),
            embedded=self.embedded,
            levels=self.levels[schedule(choice)],
            batch_size=choice.batch_size,
            noise=0.0,
            diffusion=1 / math.sqrt(2),  # a published weight of one
            final_time=1.0,
            scaled=False,
            flow=None if teacher is None else flow,
            seed=self.seed,
        )

    def _images_of(self, sampler: str, model: NoiseModel, z: torch.Tensor) -> torch.Tensor:
        """Return what a sampler makes of unit noises, in [-1, 1]."""
        run, generator = make_sampler(sampler), torch.Generator().manual_seed(self.seed)
        made = self.settings["function_evaluations"]
        return torch.cat([run(model, part, made, generator) for part in z.split(_BATCH)])

    def _fitting(self, choice: Choice) -> str:
        """Return the first sampler that fits a model."""
        names = [*self.settings["samplers"], *self.settings["few_samplers"]]
        return next(name for name in names if fits(choice.model, name))

    def _on_the_way(self, run: Trained) -> tuple[str, int]:
        """Return the sampler and the evaluations that a curve is drawn with."""
        own = getattr(run.objective, "evaluations", self.settings["curve_evaluations"])
        return self._fitting(run.choice), own

    def final(self, run: Trained) -> tuple[str, int]:
        """Return the sampler and the evaluations of a trained network's samples."""
        own = getattr(run.objective, "evaluations", self.settings["function_evaluations"])
        return self._fitting(run.choice), own

    def frechet(self, run: Trained, sampler: str, evaluations: int, network=None) -> float:
        """Return the Fréchet distance of samples of a training from the images."""
        found = self._features(self.samples(run, sampler, evaluations, network))
        return frechet_distance(found, self.features, _FEWEST)

    def _features(self, images: torch.Tensor) -> np.ndarray:
        """Return the features (N, D) of images in [0, 1]."""
        name = self.settings["frechet_features"]
        if name == _PIXELS:
            return images.flatten(1).numpy()
        return extract_features(name, images.numpy())

    def samples(
        self, run: Trained, sampler: str, evaluations: int, network=None, stream: int = _SAMPLING
    ) -> torch.Tensor:
        """Return samples (N, C, H, W) in [0, 1]; the same noise for every training.

        ``network`` takes the place of the trained one.
        """
        count = self.settings["n_samples"]
        generator = torch.Generator().manual_seed(self.seed + stream)
        start = getattr(run.objective, "start", None)
        with run.network() as trained:
            drawn = draw_samples(
                noise_predictor(run.objective, network or trained, count, generator),
                run_levels(run),
                sampler,
                evaluations,
                count,
                tuple(self.images.shape[1:]),
                self.seed + stream,
                preconditioner=self.filters,
                batch_size=count,
                clip=getattr(run.objective, "clip", True),
                **({} if start is None else {"draw_start": start}),
            )
        return drawn.images

    def errors(self, run: Trained) -> list[dict]:
        """Return the Fréchet distances of the trained network, by sampler and evaluations."""
        settings = self.settings
        rows = []
        own = getattr(run.objective, "evaluations", None)  # of one that was made for so many steps
        few = [n for n in settings["few_evaluations"] if own in (None, n)]
        drawn = [(name, settings["function_evaluations"]) for name in settings["samplers"]]
        drawn += [(name, n) for name in settings["few_samplers"] for n in few]
        for sampler, evaluations in drawn:
            if fits(run.choice.model, sampler):
                value = self.frechet(run, sampler, evaluations)
                rows.append(self._row(run, "frechet", value, sampler, evaluations))
        return rows

    def tuned(self, run: Trained) -> list[dict]:
        """Return distances in the features that a training was tuned on, beside its teacher's."""
        features = getattr(run.objective, "features", None)
        if features is None:
            return []
        reference = features(self.images * 2 - 1).double().numpy()
        sampler, evaluations = run.choice.model.fits, run.objective.evaluations
        rows = []
        for each in (run, self.done[run.choice.model.teacher]):
            samples = self.samples(each, sampler, evaluations) * 2 - 1
            found = features(samples).double().numpy()
            value = frechet_distance(found, reference, _FEWEST)
            rows.append(self._row(each, "frechet_tuned_on", value, sampler, evaluations))
        return rows

    def score_errors(self, run: Trained) -> list[dict]:
        """Return the error of the predicted noise against the exact one, by level.

        The exact one is that of the noised images, or of the objective's own noise where it is not
        Gaussian; a network with a condition has none.  Of one that was trained on embedded images
        the error against the exact noise of these stands beside.
        """
        if run.choice.model.condition:
            return []
        data = self.images * 2 - 1
        own = getattr(run.objective, "exact_noise", None)
        rows = []
        with run.network() as network:
            model = NoiseModel(noise_predictor(run.objective, network), run_levels(run), clip=False)
            for sigma in self.settings["sigmas"]:
                generator = torch.Generator().manual_seed(self.seed + _NOISING)
                y = noised(data, sigma, self.settings["n_states"], generator)
                exact = mixture_noise(y, data, torch.ones(1), torch.full((1,), sigma))
                if own is not None:
                    index = torch.randint(len(data), (len(y),), generator=generator)
                    y = data[index] + sigma * run.objective.noise(data[index], generator)
                    exact = own(y, sigma)
                error = float((model.at_sigma(y, sigma) - exact).square().mean().sqrt())
                rows.append(
                    {
                        "model": run.choice.label,
                        "against": run.choice.against,
                        "own_noise": own is not None,
                        "sigma": sigma,
                        "group": 0,
                        "error": error,
                        "own_error": self._own_error(run, model, sigma, error),
                    }
                )
        return rows

    def _own_error(self, run: Trained, model: NoiseModel, sigma: float, error: float) -> float:
        """Return the error against the law that a network was trained on."""
        images = trained_on(run.objective, sigma)
        if images is None:
            return error
        generator = torch.Generator().manual_seed(self.seed + _NOISING)
        y = noised(images, sigma, self.settings["n_states"], generator)
        exact = mixture_noise(y, images, torch.ones(1), torch.full((1,), sigma))
        return float((model.at_sigma(y, sigma) - exact).square().mean().sqrt())

    def diagnosed(self, run: Trained) -> list[dict]:
        """Return what a trained network leaves of the equation of a score, by noise level."""
        if not self._has_gaussian_score(run):
            return []
        with run.network() as network:
            # the residual's difference in sigma needs double precision
            predictor = noise_predictor(run.objective, copy.deepcopy(network).double())
            return self._diagnosed(run.choice.label, predictor, run_levels(run))

    def gaps(self, run: Trained) -> list[dict]:
        """Return how far samples with and without noise on the way end from one another."""
        samplers = self.settings["gap_samplers"]
        if not self._has_gaussian_score(run) or not all(
            fits(run.choice.model, name) for name in samplers
        ):
            return []
        with run.network() as network:
            predictor = noise_predictor(run.objective, network)
            return self._gaps(run.choice.label, predictor, run_levels(run))

    def controls(self) -> tuple[list[dict], list[dict]]:
        """Return both for the exact model of the images, where the equation holds."""
        levels = self.levels["geometric"]
        network = ExactNetwork(self.images * 2 - 1, levels)
        return self._diagnosed(EXACT, network, levels), self._gaps(EXACT, network, levels)

    @staticmethod
    def _has_gaussian_score(run: Trained) -> bool:
        """Return whether the noised images have the exact score that a network is to have."""
        return not (run.choice.model.condition or hasattr(run.objective, "exact_noise"))

    def _diagnosed(self, label: str, network: torch.nn.Module, levels: NoiseLevels) -> list[dict]:
        model = NoiseModel(network, levels, clip=False)
        rows = diagnostics_rows(model, self.images.double() * 2 - 1, self.settings, self.seed)
        return [{"model": label, **row} for row in rows]

    def _gaps(self, label: str, network: torch.nn.Module, levels: NoiseLevels) -> list[dict]:
        shape = tuple(self.images.shape[1:])
        row = gap_row(
            network,
            levels,
            shape,
            self.settings,
            self._features,
            self.features,
            self.images.numpy(),
            self.seed,
        )
        return [{"model": label, **row}]

    def _row(
        self, run: Trained, quantity: str, value: float, sampler: str, evaluations: int
    ) -> dict:
        return {
            "model": run.choice.label,
            "batch_size": run.choice.batch_size,
            "quantity": quantity,
            "sampler": sampler,
            "function_evaluations": evaluations,
            "steps": run.count,
            "group": 0,
            "error": value,
        }

    def steps_to_reference(self, run: Trained) -> dict:
        """Return the steps to the last Fréchet distance of the training that it is timed to."""
        target = self.done[run.choice.against].curve[-1]["frechet"]
        curve = [(row["steps"], row["frechet"]) for row in run.curve]
        steps, reached = first_passage(curve, target)
        return self._row(run, "steps_to_reference", steps, "", 1) | {"reached": reached}

    def step_seconds(self, repeats: int, steps: int, threads: int) -> pd.DataFrame:
        """Time further steps of every training, in turns; the order is drawn anew each time."""
        rng = np.random.default_rng(self.seed)
        rows = []
        for repeat in range(repeats + 1):
            for position, label in enumerate(rng.permutation(list(self.done)).tolist()):
                run = self.done[label]
                seconds = [run.steps.take(run.count + k)[1] for k in range(steps)]
                if repeat:  # the first round warms up
                    rows.append(
                        {
                            "model": label,
                            "batch_size": run.choice.batch_size,
                            "repeat": repeat,
                            "position": position,
                            "steps": steps,
                            "seconds": float(np.mean(seconds)),
                            "setup_seconds": run.setup_seconds,
                            "threads": threads,
                        }
                    )
        return pd.DataFrame(rows)


def schedule(choice: Choice) -> str:
    """Return the name of the noise schedule that a model has in this study."""
    kinds = choice.model.experiments
    return kinds.get("study", kinds.get("budget"))


def run_levels(run: Trained) -> NoiseLevels:
    """Return the schedule of a training."""
    return run.objective.levels


def trained_on(objective: Objective, sigma: float) -> torch.Tensor | None:
    """Return the embedded images (N, C, H, W) that an objective noises at a level, in [-1, 1].

    None for an objective that noises the images themselves.
    """
    embedded = getattr(objective, "embedded", None)
    return None if embedded is None else embedded_at(embedded, objective.levels, sigma)


def first_passage(curve: Sequence[tuple[int, float]], target: float) -> tuple[float, bool]:
    """Return the steps after which a curve first reaches a value, and whether it does.

    Between two evaluations both are interpolated in logarithms.  A curve that does not get there
    counts with its last step, which is a lower bound.

    Parameters
    ----------
    curve : sequence of (steps, value)
        Increasing in steps; values positive.
    target : float
        Largest value that counts as reached.
    """
    before = None
    for steps, value in curve:
        if value <= target:
            if before is None or value == before[1]:
                return float(steps), True
            place = np.log(before[1] / target) / np.log(before[1] / value)
            return float(before[0] * (steps / before[0]) ** place), True
        before = (steps, value)
    return float(curve[-1][0]), False


@register(
    "training_objectives",
    needs=["images"],
    tables={
        "objective_errors": "Objectives trained for the same number of steps, by what their "
        "networks do: Fréchet distance of samples by sampler and network evaluations, in the "
        "features that an objective was tuned on (frechet_tuned_on), and the steps to the last "
        "distance of the training that it is compared with (steps_to_reference; one that does not "
        "get there counts with its last step, which is a lower bound).",
        "objective_curves": "Fréchet distance on the way, by optimiser steps and by seconds, which "
        "are steps times the median seconds of a step, with what was drawn or trained before the "
        "first step; those of a network that training started from are not counted.",
        "objective_scores": "RMS error of the predicted noise against the exact one of the noised "
        "images, by noise level; where own_noise is true, of states and the exact noise of a law "
        "that is not Gaussian (PFGM++), which no other row shares. own_error is the error against "
        "the exact noise of what the network was trained on, which for score embedding are the "
        "transported images.",
        "objective_steps": "Seconds of an optimiser step of every objective, taken in turns.",
        "objective_diagnostics": "What trained networks leave of the equation that a score "
        "satisfies, by noise level: Fokker-Planck residual (docs/method.md, 29t), antisymmetric "
        "over symmetric part of the Jacobian (curl), local dimension in the images "
        "(29u), RMS error of the predicted noise and its share of the exact one, the part of that "
        "error that moves mass "
        "(gauge, 29y) and that over the error (gauge_share). Networks with a condition, and those "
        "of a noise that is not Gaussian (PFGM++), are left out; *exact*, the exact posterior mean "
        "of the images, is the control.",
        "objective_gap": "Fréchet distance of samples of one network without noise on the way "
        "(ode) from samples with it (sde), beside that of two sets with it (floor); excess is gap "
        "less floor; nearest_ratio is the median distance of the ode samples to their nearest "
        "training image over that between training images (far below 1: copies). All sets are "
        "drawn with noise of their own, without clipping on the way. "
        "Networks that a sampler with noise does not fit are left out too; what *exact* shows is "
        "the error of the two samplers.",
        "objective_relations": "Spearman's rank correlation over the trained networks, means over "
        "the noise levels where there are several; for each random seed.",
        "objective_quantised": "Trained networks with weights, and inputs of layers (activations), "
        "rounded to a few bits; 32 is as trained. Fréchet distance of samples from the same noise "
        "(error), that of the network as trained (full_error), and the RMS change of the predicted "
        "noise over all noise levels of objective_scores alike (noise_change). Ranges of "
        "activations are calibrated on the calls of a sampling run of other noise: as many inputs "
        "from every call, or of the first (noise) or the last (images) alone.",
        "network_samplers": "Fréchet distance of samples of trained networks and of the exact "
        "model of the same images, by sampler and network evaluations made, from one half of the "
        "images, with as many samples as it has; the floor (model images) is the distance of the "
        "other half. Smaller sets than in objective_errors make all these distances larger. Setup "
        "evaluations are made once for all samples.",
        "interpolant_kappa": "The kappa of the stochastic interpolants whose samples are nearest "
        "to the images, by model and network evaluations, beside the RMS error of its predicted "
        "noise over the levels of objective_scores; the best of a few noisy distances.",
    },
    figures={
        "objective_curves": {
            "table": "objective_curves",
            "caption": "Fréchet distance of samples against optimiser steps, a panel for every "
            "training that others are compared with. Medians over random seeds; bands: range.",
        },
        "objective_scores": {
            "table": "objective_scores",
            "caption": "RMS error of the predicted noise against the exact one, by noise level, a "
            "panel for every training that others are compared with. Medians over random seeds; "
            "bands: range.",
        },
        "objective_samplers": {
            "table": "objective_errors",
            "caption": "Fréchet distance of samples of each trained network by sampler, at equal "
            "network evaluations. Medians over random seeds; bars: range.",
        },
        "objective_residuals": {
            "table": "objective_diagnostics",
            "caption": "Fokker-Planck residual of trained networks against the error of their "
            "predicted noise: a mark per network and noise level (left), and means over the noise "
            "levels (right). Medians over random seeds, of the rank correlation too.",
        },
        "network_samplers": {
            "table": "network_samplers",
            "caption": "Fréchet distance of samples of a trained network against network "
            "evaluations, a panel per family of samplers; thin and dashed: of the exact model of "
            "the same images; dotted: the floor, one half of the images from the other. Medians "
            "over random seeds; bands: range.",
        },
    },
    timed=True,
    torch=True,
    samplers_from=["samplers", "few_samplers", "gap_samplers", "sampled_with"],
    objectives_from="models",
)
def study_training_objectives(
    data,
    models,
    against,
    steps,
    fine_tuning_steps,
    batch_size,
    learning_rate,
    fine_tuning_rate,
    ema_decay,
    units,
    blocks,
    noise_levels,
    sigma_min,
    sigma_max,
    evaluate_at,
    curve_evaluations,
    samplers,
    function_evaluations,
    few_samplers,
    few_evaluations,
    quantised,
    n_samples,
    frechet_features,
    sigmas,
    n_states,
    diagnosed_states,
    probes,
    gap_samplers,
    gap_evaluations,
    repeats,
    timed_steps,
    sampled,
    sampled_with,
    sampled_evaluations,
    kappas,
):
    """Train objectives alike and measure their networks."""
    settings = {
        "steps": steps,
        "fine_tuning_steps": fine_tuning_steps,
        "learning_rate": learning_rate,
        "fine_tuning_rate": fine_tuning_rate,
        "ema_decay": ema_decay,
        "units": units,
        "blocks": blocks,
        "noise_levels": noise_levels,
        "sigma_min": sigma_min,
        "sigma_max": sigma_max,
        "evaluate_at": sorted(evaluate_at),
        "curve_evaluations": curve_evaluations,
        "samplers": samplers,
        "function_evaluations": function_evaluations,
        "few_samplers": few_samplers,
        "few_evaluations": few_evaluations,
        "n_samples": n_samples,
        "frechet_features": frechet_features,
        "sigmas": sigmas,
        "n_states": n_states,
        "diagnosed_states": diagnosed_states,
        "probes": probes,
        "gap_samplers": gap_samplers,
        "gap_evaluations": gap_evaluations,
    }
    chosen = choices(models, batch_size, against)
    check_quantised(quantised, [choice.label for choice in chosen])
    for choice in chosen:
        if not any(fits(choice.model, name) for name in (*samplers, *few_samplers)):
            require_fit(choice.model, samplers[0])
    trained = {choice.label: choice.model for choice in chosen}
    plan = sampling_plan(sampled, sampled_with, sampled_evaluations, kappas, trained)
    with pinned_threads(data.n_threads):
        embedded = data.embedded if any(choice.model.scores for choice in chosen) else None
        trainings = Trainings(data.images, data.seed, settings, embedded)
        used = {"geometric", *(schedule(choice) for choice in chosen)}
        check(settings, [trainings.levels[name] for name in sorted(used)])
        runs = [trainings.train(choice) for choice in chosen]
        errors = [row for run in runs for row in trainings.errors(run) + trainings.tuned(run)]
        errors += [trainings.steps_to_reference(run) for run in runs]
        scores = [row for run in runs for row in trainings.score_errors(run)]
        diagnostics, gaps = trainings.controls()
        diagnostics += [row for run in runs for row in trainings.diagnosed(run)]
        gaps += [row for run in runs for row in trainings.gaps(run)]
        rounded = quantised_table(trainings, quantised)
        judge = Judge(trainings.images, trainings._features, n_samples, data.seed)
        drawn = network_samplers(plan, trainings.done, judge, trainings.levels["geometric"])
        seconds = trainings.step_seconds(repeats, timed_steps, data.n_threads)
    typical = seconds.groupby("model").seconds.median()
    curves = [
        {
            "model": run.choice.label,
            "against": run.choice.against,
            "batch_size": run.choice.batch_size,
            **row,
            "seconds": run.setup_seconds + row["steps"] * typical[run.choice.label],
        }
        for run in runs
        for row in run.curve
    ]
    diagnostics, gaps = pd.DataFrame(diagnostics), pd.DataFrame(gaps)
    return {
        "objective_errors": pd.DataFrame(errors),
        "objective_curves": pd.DataFrame(curves),
        "objective_scores": pd.DataFrame(scores),
        "objective_steps": seconds,
        "objective_diagnostics": diagnostics,
        "objective_gap": gaps,
        "objective_relations": relations(diagnostics, gaps),
        "objective_quantised": rounded,
        "network_samplers": drawn,
        "interpolant_kappa": interpolant_kappa(drawn, scores),
    }
