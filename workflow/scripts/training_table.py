"""Gather the results of single runs in the table of training."""

from typing import TYPE_CHECKING

from crosskrylov.reporting.tables.training import training_table
from crosskrylov.runtime.files import read_json, write_tsv
from crosskrylov.runtime.jobs import logged

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(result_paths, table_path) -> None:
    """Write the table (.tsv)."""
    write_tsv(table_path, training_table([read_json(path) for path in result_paths]))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(result_paths=snakemake.input.results, table_path=snakemake.output.table)
