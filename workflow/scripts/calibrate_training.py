"""Time the optimiser steps of every model of the single-image experiment, in turns."""

from typing import TYPE_CHECKING

import torch

from crosskrylov.experiments.calibration import calibrate
from crosskrylov.experiments.single_image import select_images
from crosskrylov.learning.embedding import embedded_times
from crosskrylov.runtime.files import load_npz, write_tsv
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images_path,
    seconds_path,
    run: dict,
    models: list[str],
    embedded_steps: int,
    equation: dict,
    unet: dict,
    training: dict,
    seed: int,
    threads: int,
) -> None:
    """Write a row per model and repeat (.tsv), with the columns ``run`` in front.

    The job has all cores to itself, and uses as many as a training run does.
    """
    options = training["single_image"]
    torch.set_num_threads(min(options["threads"] or threads, threads))
    table = calibrate(
        models,
        select_images(load_npz(images_path)["images"], options["images"]),
        embedded_times(
            equation["final_time"],
            equation["time_steps"],
            equation["stored_steps"],
            embedded_steps,
        ),
        unet,
        training,
        equation["final_time"],
        seed,
    )
    write_tsv(seconds_path, table.assign(**run)[[*run, *table.columns]])


if __name__ == "__main__":
    run_job(main, snakemake)
