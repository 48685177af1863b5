"""Join the tables of one study over image sets and random seeds."""

from typing import TYPE_CHECKING

import pandas as pd

from crosskrylov.runtime.files import read_tsv, write_tsv
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(part_paths: list, table_path, runs: list) -> None:
    """Write all parts below one another, with dataset, image_size and seed in front (.tsv)."""
    parts = []
    for path, run in zip(part_paths, runs, strict=True):
        part = read_tsv(path)
        for position, (name, value) in enumerate(run.items()):
            part.insert(position, name, value)
        parts.append(part)
    write_tsv(table_path, pd.concat(parts, ignore_index=True))


if __name__ == "__main__":
    run_job(main, snakemake)
