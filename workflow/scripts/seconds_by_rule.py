"""Gather where the seconds of the run went, as a table and a figure."""

from typing import TYPE_CHECKING

from crosskrylov.reporting.figures.seconds import plot_seconds
from crosskrylov.reporting.figures.style import save_figure
from crosskrylov.reporting.tables.seconds import seconds_table
from crosskrylov.reporting.tables.writing import write_table
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(table_path, svg_path, png_path, folder: str, patterns: dict) -> None:
    """Write a row per rule (.tsv) and its bars (.svg, .png) from a folder of benchmark files."""
    table = seconds_table(folder, patterns)
    write_table(table_path, table)
    save_figure(plot_seconds(table), svg_path, png_path)


if __name__ == "__main__":
    run_job(main, snakemake)
