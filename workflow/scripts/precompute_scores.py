"""Compute the scores of one part of an image set."""

import hashlib
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from crosskrylov.runtime.files import file_sha256, load_npz, locked_in_turn
from crosskrylov.runtime.jobs import run_job
from crosskrylov.scores.engine_options import EngineOptions
from crosskrylov.scores.gather import part_options, part_rows
from crosskrylov.scores.march_options import march_options
from crosskrylov.scores.stream import precompute_scores

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

#: File in a finished part: digest of the code that made it.
CODE = "code.txt"


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

    Where another job works on the same part still, this one waits for it and takes what it made: a
    job that Slurm believes dead, or one of a killed Snakemake.
    """
    part, n_parts = map(int, scatteritem.split("-of-"))
    images = load_npz(images_path)["images"]
    options = EngineOptions.from_config(engine)
    parts, chunk_images = part_rows(len(images), n_parts, options.chunk_images)
    rows = parts[part - 1]
    if not len(rows):
        Path(scores_path).mkdir(parents=True, exist_ok=True)
        return
    code, made = _code_digest(library_paths), Path(scores_path)
    with locked_in_turn(state, logger.warning):
        # what is there now was not there when Snakemake began this job: it is the other job's
        finished = _made_with(made) == code
        growing = made if finished else Path(state) / code
        for other in Path(state).iterdir():
            if other != growing and other.is_dir():
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
        if not finished:
            (growing / CODE).write_text(code, encoding="utf-8")
            shutil.rmtree(made, ignore_errors=True)
            os.replace(growing, made)
    with suppress(OSError):  # somebody waits for it
        Path(state).rmdir()


def _code_digest(files: Iterable[str]) -> str:
    text = "".join(file_sha256(file) for file in files)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _made_with(scores: Path) -> str | None:
    """Return the digest of the code that made a finished part; None where there is none."""
    try:
        return (scores / CODE).read_text(encoding="utf-8")
    except OSError:
        return None


if __name__ == "__main__":
    run_job(main, snakemake)
