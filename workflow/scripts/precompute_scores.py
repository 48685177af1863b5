"""Compute the scores of one part of an image set."""

from pathlib import Path
from typing import TYPE_CHECKING

from crosskrylov.runtime.files import load_npz
from crosskrylov.runtime.jobs import logged
from crosskrylov.scores.engine_options import EngineOptions
from crosskrylov.scores.gather import part_options, part_rows
from crosskrylov.scores.march_options import march_options
from crosskrylov.scores.stream import precompute_scores

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images_path,
    scores_path,
    part: int,
    n_parts: int,
    equation: dict,
    density: dict,
    march: dict,
    engine: dict,
    seed: int,
    n_threads: int,
) -> int:
    """Write the folder of scores of part ``part`` (from 1); return how many images failed."""
    images = load_npz(images_path)["images"]
    options = EngineOptions.from_config(engine)
    parts, chunk_images = part_rows(len(images), n_parts, options.chunk_images)
    rows = parts[part - 1]
    Path(scores_path).mkdir(parents=True, exist_ok=True)
    if not len(rows):
        return 0
    store = precompute_scores(
        images[rows.start : rows.stop],
        scores_path,
        equation=equation,
        density=density,
        march=march_options(march),
        seed=seed,
        first_image=rows.start,
        progress=False,
        **part_options(options, chunk_images, n_threads),
    )
    return len(store.failures)


if __name__ == "__main__":
    with logged(snakemake.log[0]) as logger:
        part, n_parts = snakemake.wildcards.scatteritem.split("-of-")
        n_failed = main(
            images_path=snakemake.input.images,
            scores_path=snakemake.output.scores,
            part=int(part),
            n_parts=int(n_parts),
            equation=snakemake.params.equation,
            density=snakemake.params.density,
            march=snakemake.params.march,
            engine=snakemake.params.engine,
            seed=int(snakemake.wildcards.seed),
            n_threads=snakemake.threads,
        )
        if n_failed:
            logger.warning("%d images have no scores; see scores.json of the image set", n_failed)
