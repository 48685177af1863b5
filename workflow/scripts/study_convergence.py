"""Measure the orders of convergence against a closed-form solution."""

from typing import TYPE_CHECKING

from crosskrylov.runtime.files import write_tsv
from crosskrylov.runtime.jobs import logged
from crosskrylov.studies.convergence import convergence

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(table_path, time_steps: list, sizes: list, fine_size: int) -> None:
    """Write a row per boundary, step size and order (.tsv)."""
    write_tsv(table_path, convergence(time_steps, sizes, fine_size=fine_size))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            table_path=snakemake.output.table,
            time_steps=snakemake.params.time_steps,
            sizes=snakemake.params.sizes,
            fine_size=snakemake.params.fine_size,
        )
