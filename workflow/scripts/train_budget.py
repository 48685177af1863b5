"""Train one model of the fixed-budget experiment."""

import shutil
from typing import TYPE_CHECKING

import torch

from crosskrylov.experiments.budget import train_budget
from crosskrylov.experiments.common import write_training
from crosskrylov.runtime.files import load_npz
from crosskrylov.runtime.jobs import logged

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images_path,
    embedded_path,
    curve_path,
    summary_path,
    checkpoint_path,
    state_path,
    model: str,
    features: str,
    unet: dict,
    training: dict,
    seed: int,
    threads: int,
) -> None:
    """Write the curve (.tsv), a summary (.json) and the checkpoint folder.

    ``embedded_path`` is None for models that use no scores. The state of an interrupted run stays
    in ``state_path`` and is continued by the next one.
    """
    torch.set_num_threads(threads)
    result = train_budget(
        model,
        load_npz(images_path)["images"],
        None if embedded_path is None else load_npz(embedded_path)["embedded"],
        features,
        unet,
        training,
        seed,
        checkpoint=checkpoint_path,
        resume_from=state_path,
    )
    write_training(result, curve_path, summary_path)
    shutil.rmtree(state_path, ignore_errors=True)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            images_path=snakemake.input.images,
            embedded_path=snakemake.input.get("embedded"),
            curve_path=snakemake.output.curve,
            summary_path=snakemake.output.summary,
            checkpoint_path=snakemake.output.checkpoint,
            state_path=snakemake.params.state,
            model=snakemake.params.objective,
            features=snakemake.params.features,
            unet=snakemake.params.unet,
            training=snakemake.params.training,
            seed=int(snakemake.wildcards.seed),
            threads=snakemake.threads,
        )
