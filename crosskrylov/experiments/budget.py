"""Experiment 2: models trained for the same seconds on many images, judged by their samples."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from crosskrylov.experiments.common import (
    loop_options,
    make_network,
    make_objective,
    run_fingerprint,
    stream_seed,
)
from crosskrylov.learning.objectives.index import model_entry
from crosskrylov.learning.sampling.generate import Samples, draw_samples
from crosskrylov.learning.sampling.pds import preconditioner_from_images
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.learning.training.drawing import Drawing
from crosskrylov.learning.training.loop import TrainingResult, train
from crosskrylov.metrics.distances import frechet_distance
from crosskrylov.metrics.features import extract_features


def model_levels(model: str, training: Mapping) -> NoiseLevels:
    """Return the noise schedule that a model of this experiment is trained on."""
    entry = model_entry(model, "budget")
    return NoiseLevels.from_config(
        entry.experiments["budget"], entry.recipe_in("budget").training(training)
    )


def train_budget(
    model: str,
    images: np.ndarray,
    embedded: np.ndarray | None,
    features: str,
    unet: Mapping,
    training: Mapping,
    seed: int,
    checkpoint: str | Path | None = None,
    resume_from: str | Path | None = None,
) -> TrainingResult:
    """Train one model for the budget; the Fréchet distance is taken on the way.

    Parameters
    ----------
    model : str
        A model of this experiment; see `crosskrylov.learning.objectives.index`.
    images : ndarray, shape (N, C, H, W)
        Training images in [0, 1].
    embedded : ndarray, shape (N, S, C, H, W), or None
        Embedded images, for models with scores.
    features : str
        Key of `crosskrylov.metrics.features.FEATURES`.
    unet, training : mapping
        Config sections.
    seed : int
        Seed of the run.
    checkpoint, resume_from : path, optional
        See `crosskrylov.learning.training.loop.train`.
    """
    entry = model_entry(model, "budget")
    recipe = entry.recipe_in("budget")
    training = recipe.training(training)
    options = training["budget"]
    objective = make_objective(
        entry,
        "budget",
        images,
        embedded,
        training,
        batch_size=recipe.batch_size or options["batch_size"],
        # every model here has a schedule: no times, no single noise level
        times=(),
        noise=0.0,
        final_time=1.0,
    )
    reference = extract_features(features, images)
    network = make_network(recipe, unet, images.shape[1:], training, seed)

    def evaluate(net):
        samples = sample_budget(net, model, images.shape[1:], training, seed)
        found = extract_features(features, samples.images.numpy())
        return {f"frechet_{features}": frechet_distance(found, reference)}

    seconds = options["budget_seconds"]
    return train(
        network,
        objective,
        loop_options(
            training,
            warm_up_steps=recipe.warm_up_steps,
            annealed=recipe.annealed,
            budget_seconds=seconds,
            max_steps=options["max_steps"],
            first_evaluation=0,
            evaluation_seconds=tuple(seconds * part for part in options["evaluate_at"]),
        ),
        seed=stream_seed(seed, "training"),
        evaluate=evaluate,
        checkpoint=checkpoint,
        resume_from=resume_from,
        fingerprint=run_fingerprint(
            {
                "model": model,
                "recipe": vars(recipe),
                "unet": unet,
                "training": training,
                "seed": seed,
            },
            images,
            images[:0] if embedded is None else embedded,
        ),
        description=model,
        drawing=Drawing.of_training(model, entry.experiments["budget"], training, options),
    )


def sample_budget(
    network: torch.nn.Module,
    model: str,
    image_shape: tuple[int, int, int],
    training: Mapping,
    seed: int,
    sampler: str | Mapping | None = None,
    function_evaluations: int | None = None,
    training_images: np.ndarray | None = None,
    n_samples: int | None = None,
    stream: str = "sampling",
) -> Samples:
    """Draw the samples that a model is judged by.

    Parameters
    ----------
    network : Module
        Trained network.
    model : str
        Its model, which declares the noise schedule.
    image_shape : tuple
        (C, H, W).
    training : mapping
        Config section.
    seed : int
        Seed of the run.
    sampler, function_evaluations, n_samples : optional
        Those of ``training.budget`` by default.
    training_images : ndarray, shape (N, C, H, W), optional
        Needed by PDS, for its filters, and by the samplers that declare that they need images.
    stream : str
        Stream of the run's random numbers; see `stream_seed`.
    """
    options = training["budget"]
    filters = images = None
    if training_images is not None:
        images = torch.as_tensor(training_images) * 2 - 1
        filters = preconditioner_from_images(
            images,
            alpha=training["samplers"]["pds_alpha"],
            n_images=training["samplers"]["pds_images"],
        )
    return draw_samples(
        network,
        model_levels(model, training),
        sampler or options["sampler"],
        function_evaluations or options["function_evaluations"],
        n_samples or options["n_samples"],
        tuple(image_shape),
        stream_seed(seed, stream),
        preconditioner=filters,
        corrector_snr=training["samplers"]["langevin_snr"],
        training_images=images,
    )
