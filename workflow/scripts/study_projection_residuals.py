"""Follow the residuals of seeds and targets along a march."""

from typing import TYPE_CHECKING

from crosskrylov.runtime.files import load_npz, read_json, write_tsv
from crosskrylov.runtime.jobs import logged
from crosskrylov.scores.seeds import SeedAssignment
from crosskrylov.studies.projection_residuals import projection_residuals

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    log_density_path, seeds_path, table_path, equation: dict, march: dict, dimension: int
) -> None:
    """Write a row per step, role and stage (.tsv)."""
    table = projection_residuals(
        equation,
        load_npz(log_density_path)["log_density"],
        SeedAssignment.from_dict(read_json(seeds_path)),
        dimension,
        march,
    )
    write_tsv(table_path, table)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            log_density_path=snakemake.input.log_density,
            seeds_path=snakemake.input.seeds,
            table_path=snakemake.output.table,
            equation=snakemake.params.equation,
            march=snakemake.params.march,
            dimension=snakemake.params.dimension,
        )
