"""Plot one table of the solvers or of a study."""

from typing import TYPE_CHECKING

from crosskrylov.reporting.figures.style import save_figure
from crosskrylov.runtime.declared import imported
from crosskrylov.runtime.files import read_tsv
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(table_path, svg_path, png_path, function: str) -> None:
    """Write the figure that ``function`` (``package.module:function``) draws as .svg and .png."""
    save_figure(imported(function)(read_tsv(table_path)), svg_path, png_path)


if __name__ == "__main__":
    run_job(main, snakemake)
