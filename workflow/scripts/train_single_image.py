"""Train one model of the single-image experiment."""

from typing import TYPE_CHECKING

import torch

from crosskrylov.experiments.common import finish_training
from crosskrylov.experiments.single_image import select_images, train_single_image
from crosskrylov.experiments.targets import step_bounds
from crosskrylov.learning.embedding import embedded_times
from crosskrylov.reporting.records import read_run
from crosskrylov.runtime.files import load_npz
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images_path,
    curve_path,
    summary_path,
    checkpoint_path,
    state,
    objective: str,
    embedded_steps: int,
    equation: dict,
    unet: dict,
    training: dict,
    seed: int,
    threads: int,
    embedded_path=None,
    method_path=None,
    stop_multiples=(),
) -> None:
    """Write the curve (.tsv), a summary (.json) and the checkpoint folder.

    ``embedded_path`` is left out for models that use no scores, ``method_path``, a result or its
    kept record, for runs that stop at no multiple of the method's time. The state of an interrupted
    run stays in the folder ``state`` and is continued by the next one.
    """
    torch.set_num_threads(threads)
    indices = training["single_image"]["images"]
    images = select_images(load_npz(images_path)["images"], indices)
    embedded = None
    if embedded_path is not None:
        embedded = select_images(load_npz(embedded_path)["embedded"], indices)
    bounds = None
    if method_path is not None:
        bounds = step_bounds(read_run(method_path).value, stop_multiples)
    result = train_single_image(
        objective,
        images,
        embedded,
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
        checkpoint=checkpoint_path,
        resume_from=state,
        bounds=bounds,
    )
    finish_training(result, curve_path, summary_path, state)


if __name__ == "__main__":
    run_job(main, snakemake)
