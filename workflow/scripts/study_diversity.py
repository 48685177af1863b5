"""Measure projections on one image set, with its diversity."""

from typing import TYPE_CHECKING

from crosskrylov.runtime.files import read_json, write_tsv
from crosskrylov.runtime.jobs import logged
from crosskrylov.scores.seeds import SeedAssignment
from crosskrylov.studies.bank import load_bank
from crosskrylov.studies.diversity import diversity

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(bank_path, seeds_path, table_path, dimension: int) -> None:
    """Write a row per step and basis (.tsv)."""
    seeds = SeedAssignment.from_dict(read_json(seeds_path))
    write_tsv(table_path, diversity(load_bank(bank_path), seeds, dimension))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            bank_path=snakemake.input.bank,
            seeds_path=snakemake.input.seeds,
            table_path=snakemake.output.table,
            dimension=snakemake.params.dimension,
        )
