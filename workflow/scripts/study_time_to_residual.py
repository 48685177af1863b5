"""Solve the bank's systems with every solver to the same true residuals."""

from typing import TYPE_CHECKING

from crosskrylov.runtime.files import read_json, write_tsv
from crosskrylov.runtime.jobs import logged
from crosskrylov.scores.seeds import SeedAssignment
from crosskrylov.studies.bank import load_bank
from crosskrylov.studies.time_to_residual import time_to_residual

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    bank_path, seeds_path, table_path, solvers: dict, tolerances: list, repeats: int, n_threads: int
) -> None:
    """Write a row per solver, tolerance and time step (.tsv)."""
    seeds = SeedAssignment.from_dict(read_json(seeds_path))
    table = time_to_residual(
        load_bank(bank_path), solvers, tolerances, seeds, repeats, n_threads=n_threads
    )
    write_tsv(table_path, table)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            bank_path=snakemake.input.bank,
            seeds_path=snakemake.input.seeds,
            table_path=snakemake.output.table,
            solvers=snakemake.params.solvers,
            tolerances=snakemake.params.tolerances,
            repeats=snakemake.params.repeats,
            n_threads=snakemake.params.n_threads,
        )
