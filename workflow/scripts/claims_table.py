"""Set the published claims against what was measured."""

from typing import TYPE_CHECKING

from crosskrylov.reporting.tables.claims import claims_table, declared_in_configs
from crosskrylov.reporting.tables.writing import write_table
from crosskrylov.runtime.files import read_tsv
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    solvers_path,
    training_path,
    quality_path,
    clocks_path,
    table_path,
    solvers,
    image_sets,
    single_image,
) -> None:
    """Write a row per claim and data set (.tsv); tables that were not made are None."""
    solvers_table, *others = (
        read_tsv(path) if path else None
        for path in (solvers_path, training_path, quality_path, clocks_path)
    )
    config = {"solvers": solvers, "image_sets": image_sets}
    config["training"] = {"single_image": single_image}
    declared = declared_in_configs([config])
    write_table(table_path, claims_table(solvers_table, *others, declared))


if __name__ == "__main__":
    run_job(main, snakemake)
