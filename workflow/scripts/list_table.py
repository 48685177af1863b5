"""Set the papers of the list against what was measured."""

from pathlib import Path
from typing import TYPE_CHECKING

from crosskrylov.reporting.tables.papers import papers_table
from crosskrylov.reporting.tables.writing import write_table
from crosskrylov.runtime.files import read_tsv
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(tables_paths, papers_path, table_path) -> None:
    """Write a row per paper (.tsv); a table that was not made leaves its papers undecided."""
    tables = {Path(path).stem: read_tsv(path) for path in tables_paths}
    write_table(table_path, papers_table(tables, Path(papers_path)))


if __name__ == "__main__":
    run_job(main, snakemake)
