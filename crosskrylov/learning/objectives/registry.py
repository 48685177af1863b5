"""Objectives by name, as the config knows them."""

from collections.abc import Mapping

import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.base import Objective
from crosskrylov.learning.objectives.levels import LevelObjective
from crosskrylov.learning.objectives.single_level import PublishedScoreObjective
from crosskrylov.learning.schedule import NoiseLevels

#: What each model is trained on.
OBJECTIVES = {
    "score_embedding": "published score loss on images embedded with their scores",
    "dsm": "the same loss on the images themselves (embedding switched off)",
    "score_embedding_scaled": "score_embedding with lambda times the score as output",
    "dsm_scaled": "dsm with lambda times the score as output",
    "ddpm": "noise prediction over the linear schedule of 1,000 levels",
    "exact_target": "regression on the exact score of the noised data set",
}


#: Ending of the single-image models whose output is lambda times the score.
SCALED = "_scaled"


def _check_known(name: str) -> None:
    if name not in OBJECTIVES:
        raise ConfigError(f"Objective {name!r} is unknown; allowed are {', '.join(OBJECTIVES)}.")


def single_image_objective(
    name: str,
    images: torch.Tensor,
    embedded: torch.Tensor,
    times: torch.Tensor,
    options: Mapping,
) -> Objective:
    """Return the objective of the single-image experiment.

    Parameters
    ----------
    name : str
        Key of `OBJECTIVES`, but for ``exact_target``.
    images : tensor, shape (N, C, H, W), in [0, 1]
        The image or images to denoise.
    embedded : tensor, shape (N, S, C, H, W), in [0, 1]
        Their embedded steps.
    times : tensor, shape (S,)
        Embedded times.
    options : mapping
        ``noise`` (lambda), ``diffusion`` (g), ``final_time``, ``images_per_batch``,
        ``ddpm_levels`` (schedule of DDPM).

    Raises
    ------
    ConfigError
        For an unknown name, and for ``exact_target``: with one image its exact score is the drawn
        noise, so that the model would be ``dsm`` under another name.
    """
    _check_known(name)
    if name == "exact_target":
        raise ConfigError(
            "Model 'exact_target' is the same as 'dsm' for a single image; remove it from "
            "training.single_image.models (it belongs in training.budget.models)."
        )
    steps = embedded.shape[1]
    if name == "ddpm":
        return LevelObjective(
            images * 2 - 1,
            NoiseLevels.from_config(options["ddpm_levels"]),
            batch_size=steps * min(options["images_per_batch"], len(images)),
            name=name,
        )
    if name.removesuffix(SCALED) == "dsm":
        embedded = images[:, None].expand(-1, steps, -1, -1, -1)
    return PublishedScoreObjective(
        embedded,
        times,
        final_time=options["final_time"],
        noise=options["noise"],
        diffusion=options["diffusion"],
        images_per_batch=options["images_per_batch"],
        scaled=name.endswith(SCALED),
        name=name,
    )


def budget_objective(
    name: str, images: torch.Tensor, embedded: torch.Tensor | None, options: Mapping
) -> LevelObjective:
    """Return the objective of the fixed-budget experiment (generation from noise).

    The published loss has a single noise level and cannot generate; here it runs over a schedule.
    That is our choice: ``dsm`` uses the geometric schedule of score-based models,
    ``score_embedding`` the same with embedded images as inputs, ``exact_target`` the same with
    exact targets, ``ddpm`` its own linear schedule.

    Parameters
    ----------
    name : str
        Key of `OBJECTIVES`, but for the scaled models.
    images : tensor, shape (N, C, H, W), in [0, 1]
        Training images.
    embedded : tensor, shape (N, S, C, H, W), in [0, 1], or None
        Needed by ``score_embedding`` only.
    options : mapping
        ``batch_size``, ``diffusion`` (g), ``ddpm_levels``, ``score_levels``.

    Raises
    ------
    ConfigError
        For an unknown name, for a scaled model (over a schedule of levels every output is scaled
        already), and for ``score_embedding`` without embedded images.
    """
    _check_known(name)
    if name.endswith(SCALED):
        raise ConfigError(
            f"Model {name!r} is the same as {name.removesuffix(SCALED)!r} over a schedule of "
            "levels; remove it from training.budget.models (it belongs in "
            "training.single_image.models)."
        )
    is_ddpm = name == "ddpm"
    if name == "score_embedding" and embedded is None:
        raise ConfigError("Model 'score_embedding' needs embedded images; run embed_scores first.")
    return LevelObjective(
        images * 2 - 1,
        NoiseLevels.from_config(options["ddpm_levels" if is_ddpm else "score_levels"]),
        batch_size=options["batch_size"],
        weight=1.0 if is_ddpm else 1 / (2 * options["diffusion"] ** 2),
        embedded=embedded * 2 - 1 if name == "score_embedding" else None,
        exact_target=name == "exact_target",
        name=name,
    )
