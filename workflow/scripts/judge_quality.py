"""Judge a trained model by many samples under its best sampler."""

from typing import TYPE_CHECKING

import torch

from crosskrylov.experiments.budget import sample_budget
from crosskrylov.experiments.final_quality import judge_model
from crosskrylov.learning.training.checkpoint import load_network
from crosskrylov.runtime.device import select_device
from crosskrylov.runtime.files import load_npz, write_json
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images_path,
    held_out_path,
    checkpoint_path,
    result_path,
    run: dict,
    objective: str,
    training: dict,
    metrics: dict,
    threads: int,
) -> None:
    """Write the choice of the sampler and every distance under it (.json)."""
    torch.set_num_threads(threads)
    network = load_network(checkpoint_path, select_device(training["device"]))
    images, held_out = (load_npz(path)["images"] for path in (images_path, held_out_path))
    options = training["quality"]

    def draw(sampler, n_samples, stream):
        return sample_budget(
            network,
            objective,
            images.shape[1:],
            training,
            run["seed"],
            sampler=sampler,
            function_evaluations=options["function_evaluations"],
            training_images=images,
            n_samples=n_samples,
            stream=stream,
        )

    quality = judge_model(draw, options, images, held_out, metrics, str(network.device))
    write_json(result_path, {**run, "quality": quality})


if __name__ == "__main__":
    run_job(main, snakemake)
