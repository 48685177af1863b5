"""Gather the results of single training runs in a table."""

from typing import TYPE_CHECKING

from crosskrylov.reporting.records import read_run
from crosskrylov.reporting.tables import (
    ablation,
    controls,
    learning_rates,
    paired,
    quality,
    score_error,
    training,
)
from crosskrylov.reporting.tables.writing import write_table
from crosskrylov.runtime.files import read_tsv
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

TABLES = {
    "training": training.training_table,
    "seconds_per_step": training.seconds_per_step,
    "paired": paired.paired_table,
    "quality": quality.quality_table,
    "score_error": score_error.score_error_table,
    "ablation": ablation.ablation_table,
    "controls": controls.controls_table,
    "control_effects": controls.control_effects,
    "learning_rates": learning_rates.learning_rates_table,
    "best_rates": learning_rates.best_rates,
}


def main(
    table_path,
    training_table: str,
    options: dict,
    result_paths=(),
    calibration_paths=(),
    training_paths=(),
) -> None:
    """Write the table of that name (.tsv), from runs and calibrations or from training.tsv."""
    given = dict(options)
    if training_paths:
        given["training"] = read_tsv(*training_paths)
    if result_paths:
        given["results"] = [read_run(path).value for path in result_paths]
    if calibration_paths:
        given["calibrations"] = [read_run(path).value for path in calibration_paths]
    write_table(table_path, TABLES[training_table](**given))


if __name__ == "__main__":
    run_job(main, snakemake)
