"""Join the tables of one study over image sets and random seeds."""

from typing import TYPE_CHECKING

import pandas as pd

from crosskrylov.reporting.records import read_run
from crosskrylov.reporting.tables.writing import write_table
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(part_paths: list, table_path, table: str, runs: list) -> None:
    """Write all parts of a table below one another, data set, size and seed in front (.tsv)."""
    parts = []
    for path, run in zip(part_paths, runs, strict=True):
        part = read_run(path, f"{table}.tsv").value
        for position, (name, value) in enumerate(run.items()):
            part.insert(position, name, value)
        parts.append(part)
    write_table(table_path, pd.concat(parts, ignore_index=True))


if __name__ == "__main__":
    run_job(main, snakemake)
