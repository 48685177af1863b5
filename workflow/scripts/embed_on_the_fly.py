"""Embed the images of one set with exact scores that are made for it and not kept."""

import time
from typing import TYPE_CHECKING

from crosskrylov.runtime.files import load_npz, save_npz
from crosskrylov.runtime.jobs import run_job
from crosskrylov.runtime.measurement import pinned_threads
from crosskrylov.scores.embed_on_the_fly import embed_on_the_fly

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images_path,
    embedded_path,
    equation: dict,
    density: dict,
    embedding: dict,
    n_threads: int,
    seed: int,
) -> None:
    """Write ``embedded`` [N, S, C, H, W], ``times``, ``displacement_rms``, seconds per image.

    The seconds are those of densities, scores and transport.
    """
    images = load_npz(images_path)["images"]
    given = {key: embedding[key] for key in ("variant", "field", "steps", "noise_scale")}
    given |= {"equation": equation, "density": density, "seed": seed}
    # imports and first calls are no time of the scores; a shuffle needs two images
    embed_on_the_fly(images[:2], **given)
    with pinned_threads(n_threads):
        started = time.perf_counter()
        embedded = embed_on_the_fly(images, **given)
        seconds = time.perf_counter() - started
    save_npz(
        embedded_path,
        embedded=embedded.images,
        times=embedded.times,
        displacement_rms=embedded.displacement_rms,
        precompute_seconds_per_image=seconds / len(images),
    )


if __name__ == "__main__":
    run_job(main, snakemake)
