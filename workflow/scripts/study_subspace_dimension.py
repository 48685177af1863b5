"""Measure projections alone against the subspace dimension."""

from typing import TYPE_CHECKING

from crosskrylov.runtime.files import read_json, write_tsv
from crosskrylov.runtime.jobs import logged
from crosskrylov.scores.seeds import SeedAssignment
from crosskrylov.studies.bank import load_bank
from crosskrylov.studies.subspace_dimension import subspace_dimension

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(bank_path, seeds_path, table_path, dimensions: list) -> None:
    """Write a row per step, basis, projection and dimension (.tsv)."""
    seeds = SeedAssignment.from_dict(read_json(seeds_path))
    write_tsv(table_path, subspace_dimension(load_bank(bank_path), seeds, dimensions))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            bank_path=snakemake.input.bank,
            seeds_path=snakemake.input.seeds,
            table_path=snakemake.output.table,
            dimensions=snakemake.params.dimensions,
        )
