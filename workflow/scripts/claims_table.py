"""Set the published claims against what was measured."""

from typing import TYPE_CHECKING

from crosskrylov.reporting.tables.claims import claims_table
from crosskrylov.reporting.tables.writing import write_table
from crosskrylov.runtime.files import read_tsv
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(solvers_path, training_path, quality_path, table_path, methods: dict) -> None:
    """Write a row per claim and data set (.tsv); tables that were not made are None."""
    table = claims_table(
        read_tsv(solvers_path),
        read_tsv(training_path) if training_path else None,
        read_tsv(quality_path) if quality_path else None,
        methods,
    )
    write_table(table_path, table)


if __name__ == "__main__":
    run_job(main, snakemake)
