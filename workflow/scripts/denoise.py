"""Denoise the noised image with a trained model and keep the way there."""

from typing import TYPE_CHECKING

import torch

from crosskrylov.experiments.single_image import denoise, select_images
from crosskrylov.learning.training.checkpoint import load_network
from crosskrylov.runtime.device import select_device
from crosskrylov.runtime.files import load_npz, save_npz
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images_path,
    checkpoint_path,
    denoised_path,
    objective: str,
    training: dict,
    final_time: float,
    seed: int,
    threads: int,
) -> None:
    """Write ``clean``, ``noised``, ``denoised`` [N, C, H, W] and ``path`` [K, N, C, H, W]."""
    torch.set_num_threads(threads)
    network = load_network(checkpoint_path, select_device(training["device"]))
    clean = select_images(load_npz(images_path)["images"], training["single_image"]["images"])
    reference = torch.as_tensor(clean).to(network.device)
    noised, denoised, path = denoise(
        network, objective, reference, training, final_time, seed, keep=6
    )
    save_npz(
        denoised_path,
        clean=clean,
        noised=noised.cpu().numpy(),
        denoised=denoised.cpu().numpy(),
        path=path.cpu().numpy(),
    )


if __name__ == "__main__":
    run_job(main, snakemake)
