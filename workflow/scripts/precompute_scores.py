"""Compute the scores of one part of an image set."""

from pathlib import Path
from typing import TYPE_CHECKING

from crosskrylov.runtime.files import load_npz
from crosskrylov.runtime.jobs import run_job
from crosskrylov.scores.engine_options import EngineOptions
from crosskrylov.scores.gather import part_options, part_rows
from crosskrylov.scores.march_options import march_options
from crosskrylov.scores.stream import precompute_scores

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images_path,
    scores_path,
    scatteritem: str,
    equation: dict,
    density: dict,
    march: dict,
    engine: dict,
    seed: int,
    threads: int,
    logger,
) -> None:
    """Write the folder of scores of the part ``scatteritem``, such as "2-of-3"."""
    part, n_parts = map(int, scatteritem.split("-of-"))
    images = load_npz(images_path)["images"]
    options = EngineOptions.from_config(engine)
    parts, chunk_images = part_rows(len(images), n_parts, options.chunk_images)
    rows = parts[part - 1]
    Path(scores_path).mkdir(parents=True, exist_ok=True)
    if not len(rows):
        return
    store = precompute_scores(
        images[rows.start : rows.stop],
        scores_path,
        equation=equation,
        density=density,
        march=march_options(march),
        seed=seed,
        first_image=rows.start,
        progress=False,
        **part_options(options, chunk_images, threads),
    )
    if store.failures:
        logger.warning(
            "%d images have no scores; see scores.json of the image set", len(store.failures)
        )


if __name__ == "__main__":
    run_job(main, snakemake)
