"""Set the published claims against what was measured."""

from typing import TYPE_CHECKING

from crosskrylov.reporting.tables.claims import claims_table, declared_in_configs
from crosskrylov.reporting.tables.writing import write_table
from crosskrylov.runtime.files import read_tsv
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    solvers_path, training_path, quality_path, clocks_path, table_path, solvers, image_sets
) -> None:
    """Write a row per claim and data set (.tsv); tables that were not made are None."""
    training, quality, clocks = (
        read_tsv(path) if path else None for path in (training_path, quality_path, clocks_path)
    )
    declared = declared_in_configs([{"solvers": solvers, "image_sets": image_sets}])
    table = claims_table(read_tsv(solvers_path), training, quality, clocks, declared)
    write_table(table_path, table)


if __name__ == "__main__":
    run_job(main, snakemake)
