"""Embed the images of one set with their pre-computed scores."""

import time
from typing import TYPE_CHECKING

import numpy as np

from crosskrylov.equation.problem import problem_from_config
from crosskrylov.equation.stencil import score
from crosskrylov.learning.embedding import drift_at_steps, embed_images, takes_scores
from crosskrylov.runtime.files import load_npz, read_json, save_npz
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images_path,
    scores_path,
    summary_path,
    embedded_path,
    equation: dict,
    embedding: dict,
    seed: int,
) -> None:
    """Write ``embedded`` [N, S, C, H, W], ``times``, ``displacement_rms``, seconds per image.

    ``scores_path`` holds scores, or log-densities as a march leaves them; ``summary_path`` says how
    many seconds those took; an embedding that takes none of them does not count these.
    """
    images = load_npz(images_path)["images"]
    archive = load_npz(scores_path)
    problem = problem_from_config(equation, *images.shape[-2:])
    started = time.perf_counter()
    scores = archive.get("score")
    if scores is None:
        scores = score(archive["log_density"], problem.spacing)
    g = np.array([problem.diffusion.coefficient(t) for t in archive["times"]], dtype=float)
    embedded = embed_images(
        images,
        scores,
        archive["times"],
        variant=embedding["variant"],
        field=embedding["field"],
        diffusion=g,
        drift=drift_at_steps(problem, archive["steps"]),
        steps=embedding["steps"],
        noise_scale=embedding["noise_scale"],
        seed=seed,
    )
    embedding_seconds = time.perf_counter() - started
    score_seconds = 0.0
    if takes_scores(embedding["variant"], embedding["field"]):
        score_seconds = sum(read_json(summary_path)["seconds"].values())
    save_npz(
        embedded_path,
        embedded=embedded.images,
        times=embedded.times,
        displacement_rms=embedded.displacement_rms,
        precompute_seconds_per_image=(score_seconds + embedding_seconds) / len(images),
    )


if __name__ == "__main__":
    run_job(main, snakemake)
