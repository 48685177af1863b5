"""Plot one table of the solvers or of a study."""

from typing import TYPE_CHECKING

from crosskrylov.reporting.figures.registry import plot
from crosskrylov.reporting.figures.style import save_figure
from crosskrylov.runtime.files import read_tsv
from crosskrylov.runtime.jobs import logged

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(table_path, svg_path, png_path, figure: str) -> None:
    """Write the figure called ``figure`` as .svg and .png."""
    save_figure(plot(figure, read_tsv(table_path)), svg_path, png_path)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            table_path=snakemake.input.table,
            svg_path=snakemake.output.svg,
            png_path=snakemake.output.png,
            figure=snakemake.wildcards.figure,
        )
