"""Measure where the score error against the exact solution comes from."""

from typing import TYPE_CHECKING

from crosskrylov.runtime.files import load_npz, write_tsv
from crosskrylov.runtime.jobs import logged
from crosskrylov.studies.error_budget import error_budget

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(log_density_path, table_path, equation: dict, march: dict, study: dict) -> None:
    """Write a row per source of error and setting (.tsv)."""
    table = error_budget(
        equation,
        load_npz(log_density_path)["log_density"][: study["n_images"]],
        {"method": study["method"], "options": study["options"]},
        march,
        study["tolerances"],
        study["picard_tolerances"],
        study["time_steps"],
        study["refinements"],
    )
    write_tsv(table_path, table)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            log_density_path=snakemake.input.log_density,
            table_path=snakemake.output.table,
            equation=snakemake.params.equation,
            march=snakemake.params.march,
            study=snakemake.params.study,
        )
