"""Write chosen systems as Matrix Market and NPZ for other people's solvers."""

from typing import TYPE_CHECKING

import crosskrylov
from crosskrylov.runtime.jobs import logged
from crosskrylov.studies.bank import load_bank
from crosskrylov.studies.export import export_systems

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(bank_path, folder, images: list, image_set: str, seed: int) -> None:
    """Write A, b, x and x0 of every chosen system, and a README, to ``folder``."""
    origin = {"images": image_set, "seed": seed, "version": crosskrylov.__version__}
    export_systems(folder, load_bank(bank_path), images, origin)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            bank_path=snakemake.input.bank,
            folder=snakemake.output.folder,
            images=snakemake.params.images,
            image_set=snakemake.wildcards.images,
            seed=int(snakemake.wildcards.seed),
        )
