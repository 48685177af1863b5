"""Draw samples from a trained model."""

from typing import TYPE_CHECKING

import torch

from crosskrylov.experiments.budget import sample_budget
from crosskrylov.learning.training.checkpoint import load_network
from crosskrylov.runtime.device import select_device
from crosskrylov.runtime.files import load_npz, save_npz
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images_path,
    checkpoint_path,
    samples_path,
    objective: str,
    training: dict,
    seed: int,
    threads: int,
) -> None:
    """Write ``samples`` [N, C, H, W], ``function_evaluations`` and ``seconds``."""
    torch.set_num_threads(threads)
    network = load_network(checkpoint_path, select_device(training["device"]))
    images = load_npz(images_path)["images"]
    drawn = sample_budget(
        network, objective, images.shape[1:], training, seed, training_images=images
    )
    save_npz(
        samples_path,
        samples=drawn.images.numpy(),
        function_evaluations=drawn.function_evaluations,
        seconds=drawn.seconds,
    )


if __name__ == "__main__":
    run_job(main, snakemake)
