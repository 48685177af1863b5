"""Score embedding without stored scores: every score is made where the transport takes it.

`crosskrylov.learning.embedding` transports along scores that it is given, of all times together;
here those of one time exist at once, and of a block of images while they are made.  Tests compare
the two.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from crosskrylov.equation.problem import evenly_spaced_steps, problem_from_config
from crosskrylov.errors import ConfigError, DataError
from crosskrylov.learning.embedding import (
    EMBEDDING_FIELDS,
    EMBEDDING_VARIANTS,
    Embedding,
    other_images,
    random_phases,
    select_embedded_steps,
    takes_scores,
)
from crosskrylov.scores.on_the_fly import ExactScores

#: Images whose scores are computed together; more are hardly faster and take more memory.
BLOCK = 64


def embed_on_the_fly(
    images: np.ndarray,
    *,
    equation: Mapping[str, Any],
    variant: str,
    field: str,
    steps: int,
    noise_scale: float,
    density: Mapping[str, Any] | None = None,
    seed: int = 0,
    block: int = BLOCK,
) -> Embedding:
    """Transport every image along its exact scores (Eq. 24), as `embed_images` does with stored.

    Times, noise and fields are the same, and what differs is rounding: the scores are those of
    `ExactScores` in float64, rounded to float32 as the stored ones are.  Of the scores the memory
    holds those of one time, however many times there are; for that the densities are estimated
    again at every time.

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W), float32
        Images in [0, 1].
    equation : mapping
        Section of a configuration, complete; its ``stored_steps`` are the times of the transport.
    density : mapping, optional
        Section of a configuration.
    variant, field, steps, noise_scale, seed
        See `crosskrylov.learning.embedding.embed_images`.
    block : int
        Images whose scores are computed together.

    Returns
    -------
    Embedding

    Raises
    ------
    ConfigError
        If the variant or the field is unknown, if ``steps`` < 1, if the scores of a single image
        are to be shuffled, or if the equation or the density is none of `ExactScores`.
    DataError
        If a score is not finite.
    """
    for key, value, known in (
        ("variant", variant, EMBEDDING_VARIANTS),
        ("field", field, EMBEDDING_FIELDS),
    ):
        if value not in known:
            raise ConfigError(f"embedding.{key} is {value!r}; allowed are {', '.join(known)}.")
    images = np.asarray(images, dtype=np.float32)
    size = images.shape[-2:]
    problem = problem_from_config(equation, *size)
    module = ExactScores(size, equation=equation, density=density, dtype=torch.float64)
    steps_taken = evenly_spaced_steps(problem.time_steps, equation["stored_steps"])
    times = steps_taken * problem.time_step
    selected = select_embedded_steps(len(times), steps)
    kept = np.empty((len(images), len(selected), *images.shape[1:]), dtype=np.float32)
    moved = np.empty((len(images), len(selected)))
    rng = np.random.default_rng(seed)
    x = images.astype(np.float64)
    direction = np.zeros(1, dtype=np.float32)
    previous = 0.0
    for s, time in enumerate(times):
        dt, left = time - previous, times[max(s - 1, 0)]
        if variant != "none":
            # the first stored score serves the first two intervals
            if takes_scores(variant, field) and s != 1:
                direction = _direction(module, images, left, variant, field, seed, block)
            g = float(problem.diffusion.coefficient(left))
            x = x - 0.5 * g**2 * direction.astype(np.float64) * dt
            if variant == "row":
                x += noise_scale * g * np.sqrt(dt) * rng.standard_normal(x.shape)
                np.clip(x, 0.0, 1.0, out=x)
        previous = time
        if s in selected:
            slot = int(np.searchsorted(selected, s))
            kept[:, slot] = x
            displacement = kept[:, slot].astype(np.float64) - images
            moved[:, slot] = np.sqrt((displacement**2).mean(axis=(1, 2, 3)))
    return Embedding(kept, times[selected], moved)


def _direction(
    module: ExactScores,
    images: np.ndarray,
    time: float,
    variant: str,
    field: str,
    seed: int,
    block: int,
) -> np.ndarray:
    """Return D m of Eq. 24 at one time, shape (N, 1 or C, H, W), float32.

    What a field draws is drawn anew from the same seed: every time gets the same image or phases.
    """
    rng = np.random.default_rng([seed, 1])
    order = other_images(len(images), rng) if field == "shuffled" else np.arange(len(images))
    found = []
    for first in range(0, len(images), block):
        batch = torch.as_tensor(images[order[first : first + block]])
        with torch.no_grad():
            scores = module(batch, torch.full((len(batch),), time, dtype=torch.float64))
        if not torch.isfinite(scores).all():
            raise DataError(
                f"Scores of images {first} to {first + len(batch) - 1} at time {time:.6g} hold NaN "
                "or infinity: raise density.floor."
            )
        scores = scores.numpy().astype(np.float32).reshape(len(batch), -1, 2, *images.shape[-2:])
        if field == "random":
            scores = np.stack([random_phases(of_image, rng) for of_image in scores])
        row, column = scores[:, :, 0], scores[:, :, 1]
        found.append(row + column if variant == "sum" else row.copy())
    return np.concatenate(found)
