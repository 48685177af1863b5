"""Compute the scores of one part of an image set."""

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from crosskrylov.runtime.files import file_sha256, load_npz
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
    state,
    scatteritem: str,
    equation: dict,
    density: dict,
    march: dict,
    engine: dict,
    seed: int,
    threads: int,
    logger,
    library_paths=(),
) -> None:
    """Write the folder of scores of the part ``scatteritem``, such as "2-of-3".

    Until all of it is there it grows in the folder ``state``: of a job that ended early Snakemake
    removes the outputs, and its chunks are what the next one goes on from.  Chunks of other code
    than ``library_paths`` are made again, as those of other settings are.
    """
    part, n_parts = map(int, scatteritem.split("-of-"))
    images = load_npz(images_path)["images"]
    options = EngineOptions.from_config(engine)
    parts, chunk_images = part_rows(len(images), n_parts, options.chunk_images)
    rows = parts[part - 1]
    if not len(rows):
        Path(scores_path).mkdir(parents=True, exist_ok=True)
        return
    growing = Path(state) / _code_digest(library_paths)
    for other in Path(state).glob("*"):
        if other != growing:
            shutil.rmtree(other, ignore_errors=True)
    store = precompute_scores(
        images[rows.start : rows.stop],
        growing,
        overwrite=True,
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
    shutil.rmtree(scores_path, ignore_errors=True)
    os.replace(growing, scores_path)
    shutil.rmtree(state, ignore_errors=True)


def _code_digest(files: Iterable[str]) -> str:
    text = "".join(file_sha256(file) for file in files)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


if __name__ == "__main__":
    run_job(main, snakemake)
