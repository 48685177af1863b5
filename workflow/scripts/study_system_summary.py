"""Summarise sizes, conditioning and iteration counts of the bank's systems."""

from typing import TYPE_CHECKING

from crosskrylov.runtime.files import read_tsv, write_tsv
from crosskrylov.runtime.jobs import logged
from crosskrylov.studies.bank import load_bank
from crosskrylov.studies.system_summary import system_summary

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(bank_path, frozen_path, table_path, n_conditioned: int, solvers: dict) -> None:
    """Write a row per time step, and per solver and tolerance where they were measured (.tsv)."""
    frozen = read_tsv(frozen_path) if frozen_path else None
    write_tsv(table_path, system_summary(load_bank(bank_path), n_conditioned, frozen, solvers))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            bank_path=snakemake.input.bank,
            frozen_path=snakemake.input.get("frozen"),
            table_path=snakemake.output.table,
            n_conditioned=snakemake.params.n_conditioned,
            solvers=snakemake.params.solvers,
        )
