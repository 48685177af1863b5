"""Experiment 1: train on one image until its noised copy is denoised to a target SSIM."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.experiments.common import (
    loop_options,
    make_network,
    make_objective,
    run_fingerprint,
    stream_seed,
)
from crosskrylov.experiments.targets import run_goals
from crosskrylov.learning.objectives.base import Objective
from crosskrylov.learning.objectives.index import Model, model_entry
from crosskrylov.learning.sampling.denoise import (
    denoise_from_level,
    denoise_published,
    noised_start,
    visited_levels,
)
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.learning.training.drawing import Drawing
from crosskrylov.learning.training.loop import TrainingResult, train
from crosskrylov.metrics.similarity import compare_images


def select_images(images: np.ndarray, indices: Sequence[int]) -> np.ndarray:
    """Return the chosen images.

    Raises
    ------
    ConfigError
        If an index is out of range.
    """
    if max(indices) >= len(images):
        raise ConfigError(
            f"training.single_image.images asks for image {max(indices)}, but the image set holds "
            f"{len(images)} (0 to {len(images) - 1}); lower it or raise image_sets.*.n_images."
        )
    return images[list(indices)]


def single_image_objective(
    model: str,
    images: np.ndarray,
    embedded: np.ndarray | None,
    times: np.ndarray,
    training: Mapping,
    final_time: float,
) -> Objective:
    """Return what a model is trained on; for the parameters see `train_single_image`."""
    options = training["single_image"]
    entry = model_entry(model, "single_image")
    recipe = entry.recipe_in("single_image")
    visited = None
    if entry.restricted:
        levels = NoiseLevels.from_config(entry.experiments["single_image"], training)
        noise = _start_noise(entry, levels, options)
        visited = visited_levels(levels, noise=noise, steps=options["denoising_steps"])
    return make_objective(
        entry,
        "single_image",
        images,
        embedded,
        recipe.training(training),
        batch_size=recipe.batch_size or len(times) * min(options["images_per_batch"], len(images)),
        times=times,
        noise=options["noise"],
        final_time=final_time,
        visited=visited,
    )


def _start_noise(entry: Model, levels: NoiseLevels | None, options: Mapping) -> float:
    """Return the noise that the denoising of a model starts with, on the scale of [0, 1]."""
    # the largest level: nothing of the image is left
    return float(levels.sigmas[-1]) / 2 if entry.start == "noise" else options["start_noise"]


def denoise(
    network: torch.nn.Module,
    model: str,
    images: torch.Tensor,
    training: Mapping,
    final_time: float,
    seed: int,
    keep: int = 0,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Denoise noised copies of ``images`` as the experiment does.

    Parameters
    ----------
    network : Module
        Trained network.
    model : str
        A model of this experiment; see `crosskrylov.learning.objectives.index`.
    images : tensor, shape (N, C, H, W)
        Clean images in [0, 1], on the network's device.
    training : mapping
        Config section ``training``.
    final_time : float
        T.
    seed : int
        Seed of the run; every model of a seed gets the same noise.
    keep : int
        Intermediate images to return.

    Returns
    -------
    noised, denoised : tensor, shape (N, C, H, W)
        Start and result.
    path : tensor, shape (keep, N, C, H, W)
        Intermediate images.
    """
    options = training["single_image"]
    noise_seed = stream_seed(seed, "noise")
    steps = options["denoising_steps"]
    entry = model_entry(model, "single_image")
    training = entry.recipe_in("single_image").training(training)
    levels = NoiseLevels.from_config(entry.experiments["single_image"], training)
    noise = _start_noise(entry, levels, options)
    clean = torch.full_like(images, 0.5) if entry.start == "noise" else images
    start = noised_start(clean, noise, noise_seed)
    if entry.clipped:
        start = start.clamp(0, 1)
    if levels is not None:
        result, path = denoise_from_level(
            network, start, levels, noise=noise, steps=steps, keep=keep
        )
    else:
        result, path = denoise_published(
            network,
            start,
            steps=steps,
            final_time=final_time,
            diffusion=training["diffusion"],
            noise_scale=options["denoising_noise"],
            output_noise=options["noise"] if entry.scaled else 1.0,
            seed=stream_seed(seed, "sampling"),
            keep=keep,
        )
    return start, result, path


def train_single_image(
    model: str,
    images: np.ndarray,
    embedded: np.ndarray | None,
    times: np.ndarray,
    unet: Mapping,
    training: Mapping,
    final_time: float,
    seed: int,
    checkpoint: str | Path | None = None,
    resume_from: str | Path | None = None,
    bounds: Mapping[tuple[str, float], int] | None = None,
) -> TrainingResult:
    """Train one model until its targets, their bounds or the end of the budget.

    Parameters
    ----------
    model : str
        A model of this experiment; see `crosskrylov.learning.objectives.index`.
    images : ndarray, shape (N, C, H, W)
        The chosen image or images, in [0, 1].
    embedded : ndarray, shape (N, S, C, H, W), or None
        Their embedded steps, for models with scores.
    times : ndarray, shape (S,)
        Embedded times; their number is the batch size per image of every model.
    unet, training : mapping
        Config sections.
    final_time : float
        T.
    seed : int
        Seed of the run.
    checkpoint, resume_from : path, optional
        See `crosskrylov.learning.training.loop.train`.
    bounds : mapping, optional
        When a target is given up, see `crosskrylov.experiments.targets.step_bounds`.
    """
    entry = model_entry(model, "single_image")
    recipe = entry.recipe_in("single_image")
    training = recipe.training(training)
    options = training["single_image"]
    objective = single_image_objective(model, images, embedded, times, training, final_time)
    network = make_network(recipe, unet, images.shape[1:], training, seed)

    clean = torch.as_tensor(images)

    def evaluate(net):
        reference = clean.to(next(net.parameters()).device)
        _, result, _ = denoise(net, model, reference, training, final_time, seed)
        return compare_images(result.cpu().numpy(), images)

    return train(
        network,
        objective,
        loop_options(
            training,
            warm_up_steps=recipe.warm_up_steps,
            annealed=recipe.annealed,
            budget_seconds=options["budget_seconds"],
            max_steps=options["max_steps"],
            goals=run_goals(options["targets"], options["metrics"], bounds),
            first_evaluation=options["first_evaluation"],
            evaluation_growth=options["evaluation_growth"],
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
        drawing=Drawing.of_training(model, entry.experiments["single_image"], training, {}),
    )
