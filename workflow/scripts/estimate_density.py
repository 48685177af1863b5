"""Estimate the initial log-density of every image of a set."""

from typing import TYPE_CHECKING

from crosskrylov.equation.density import initial_log_density
from crosskrylov.errors import DataError
from crosskrylov.runtime.files import load_npz, save_npz
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(images_path, log_density_path, seed: int, density: dict) -> None:
    """Read ``images`` [N, C, H, W] and write ``log_density`` [N, H, W] in nats (.npz)."""
    arrays = load_npz(images_path)
    if "images" not in arrays:
        raise DataError(f"{images_path} holds no array 'images'; make it again with fetch_images.")
    save_npz(
        log_density_path, log_density=initial_log_density(arrays["images"], seed=seed, **density)
    )


if __name__ == "__main__":
    run_job(main, snakemake)
