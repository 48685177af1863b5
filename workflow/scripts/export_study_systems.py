"""Write chosen systems as Matrix Market and NPZ for other people's solvers."""

from typing import TYPE_CHECKING

import crosskrylov
from crosskrylov.runtime.jobs import run_job
from crosskrylov.studies.bank import load_bank
from crosskrylov.studies.export import export_systems

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(bank_path, folder_path, chosen: list, images: str, seed: int) -> None:
    """Write A, b, x and x0 of the systems of images ``chosen``, and a README, to a folder."""
    origin = {"images": images, "seed": seed, "version": crosskrylov.__version__}
    export_systems(folder_path, load_bank(bank_path), chosen, origin)


if __name__ == "__main__":
    run_job(main, snakemake)
