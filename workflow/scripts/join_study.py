"""Join the rows of all solvers and make a study's tables of them."""

from typing import TYPE_CHECKING

import pandas as pd

from crosskrylov.reporting.records import read_run
from crosskrylov.runtime.declared import imported
from crosskrylov.runtime.files import write_tsv
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(part_paths: list, table_paths: list, tables: list, function: str) -> None:
    """Write every table (.tsv) that the study's function makes of all rows below one another.

    It gets the column ``machine`` beside them, since times of two machines are no pair.
    """
    runs = [read_run(path) for path in part_paths]
    rows = pd.concat([run.value.assign(machine=run.machine) for run in runs], ignore_index=True)
    results = imported(function)(rows)
    for name, path in zip(tables, table_paths, strict=True):
        write_tsv(path, results[name])


if __name__ == "__main__":
    run_job(main, snakemake)
