"""Gather the summaries of the engine as one table."""

from typing import TYPE_CHECKING

import pandas as pd

from crosskrylov.reporting.tables.writing import write_table
from crosskrylov.runtime.files import read_json
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(summaries_paths, table_path) -> None:
    """Write one row per image set and seed; a value that does not exist is empty."""
    summaries = [read_json(path) for path in summaries_paths]
    rows = [
        {key: value for key, value in summary.items() if key != "failures"} for summary in summaries
    ]
    write_table(table_path, pd.DataFrame(rows))


if __name__ == "__main__":
    run_job(main, snakemake)
