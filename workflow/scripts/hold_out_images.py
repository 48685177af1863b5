"""Load the images of a source that its image set leaves over."""

from typing import TYPE_CHECKING

from crosskrylov.datasets.loading import held_out_images
from crosskrylov.runtime.files import save_npz
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(images_path, image_set: dict, seed: int, most: int | None) -> None:
    """Write ``images`` [N, C, H, W] (float32, in [0, 1]), none of which is in the image set."""
    save_npz(images_path, images=held_out_images(**image_set, seed=seed, most=most))


if __name__ == "__main__":
    run_job(main, snakemake)
