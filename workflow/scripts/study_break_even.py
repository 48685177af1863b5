"""Amortise shared work over the targets and find the break-even with SpSolve."""

from typing import TYPE_CHECKING

import pandas as pd

from crosskrylov.runtime.files import read_tsv, write_tsv
from crosskrylov.runtime.jobs import logged
from crosskrylov.studies.time_to_residual import amortise

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(measurements_path, table_path) -> None:
    """Write a row per image set, random seed, solver and tolerance (.tsv)."""
    keys = ["dataset", "image_size", "seed"]
    parts = []
    for values, group in read_tsv(measurements_path).groupby(keys, sort=False):
        part = amortise(group)
        for position, (key, value) in enumerate(zip(keys, values, strict=True)):
            part.insert(position, key, value)
        parts.append(part)
    write_tsv(table_path, pd.concat(parts, ignore_index=True))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            measurements_path=snakemake.input.table,
            table_path=snakemake.output.table,
        )
