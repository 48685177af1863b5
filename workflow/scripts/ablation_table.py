"""Compare the variants of score embedding in one table."""

from typing import TYPE_CHECKING

from crosskrylov.reporting.tables.ablation import ablation_sentence, ablation_table
from crosskrylov.runtime.files import read_json, write_tsv
from crosskrylov.runtime.jobs import logged

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(result_paths, table_path, target: float, logger=None) -> None:
    """Write the table (.tsv); the finding goes to the log as one sentence."""
    table = ablation_table([read_json(path) for path in result_paths], target)
    write_tsv(table_path, table)
    if logger is not None:
        logger.info(ablation_sentence(table))


if __name__ == "__main__":
    with logged(snakemake.log[0]) as logger:
        main(
            result_paths=snakemake.input.results,
            table_path=snakemake.output.table,
            target=snakemake.params.target,
            logger=logger,
        )
