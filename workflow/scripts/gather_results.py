"""Gather the results of single training runs in a table."""

from typing import TYPE_CHECKING

from crosskrylov.reporting.records import read_run
from crosskrylov.reporting.tables import ablation, quality, training
from crosskrylov.reporting.tables.writing import write_table
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

TABLES = {
    "training": training.training_table,
    "quality": quality.quality_table,
    "ablation": ablation.ablation_table,
}


def main(result_paths, table_path, training_table: str, options: dict) -> None:
    """Write the table of that name (.tsv)."""
    runs = [read_run(path) for path in result_paths]
    results = [{**run.value, "machine": run.machine} for run in runs]
    write_table(table_path, TABLES[training_table](results, **options))


if __name__ == "__main__":
    run_job(main, snakemake)
