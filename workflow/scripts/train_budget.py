"""Train one model of the fixed-budget experiment."""

from typing import TYPE_CHECKING

import torch

from crosskrylov.experiments.budget import train_budget
from crosskrylov.experiments.common import finish_training
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
    features: str,
    unet: dict,
    training: dict,
    seed: int,
    threads: int,
    embedded_path=None,
) -> None:
    """Write the curve (.tsv), a summary (.json) and the checkpoint folder.

    ``embedded_path`` is left out for models that use no scores. The state of an interrupted run
    stays in the folder ``state`` and is continued by the next one.
    """
    torch.set_num_threads(threads)
    result = train_budget(
        objective,
        load_npz(images_path)["images"],
        None if embedded_path is None else load_npz(embedded_path)["embedded"],
        features,
        unet,
        training,
        seed,
        checkpoint=checkpoint_path,
        resume_from=state,
    )
    finish_training(result, curve_path, summary_path, state)


if __name__ == "__main__":
    run_job(main, snakemake)
