"""Refine the bank's systems with and without projection, paired."""

from typing import TYPE_CHECKING

from crosskrylov.runtime.files import read_json, write_tsv
from crosskrylov.runtime.jobs import logged
from crosskrylov.scores.seeds import SeedAssignment
from crosskrylov.studies.bank import load_bank
from crosskrylov.studies.warm_start import warm_start

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(bank_path, seeds_path, table_path, study: dict, n_threads: int) -> None:
    """Write a row per step, start, basis, refiner and tolerance (.tsv)."""
    table = warm_start(
        load_bank(bank_path),
        SeedAssignment.from_dict(read_json(seeds_path)),
        study["refiners"],
        study["starts"],
        study["tolerances"],
        study["dimension"],
        n_threads,
    )
    write_tsv(table_path, table)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            bank_path=snakemake.input.bank,
            seeds_path=snakemake.input.seeds,
            table_path=snakemake.output.table,
            study=snakemake.params.study,
            n_threads=snakemake.params.n_threads,
        )
