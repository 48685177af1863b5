"""Draw a figure that a table of training or generation is enough for."""

from typing import TYPE_CHECKING

from crosskrylov.reporting.figures.style import save_figure
from crosskrylov.reporting.figures.training import (
    plot_quality_against_evaluations,
    plot_time_to_ssim,
)
from crosskrylov.runtime.files import read_tsv
from crosskrylov.runtime.jobs import logged

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

#: Figure to experiment whose rows it shows, and how.
FIGURES = {
    "time_to_ssim": ("single_image", plot_time_to_ssim),
    "quality_against_evaluations": ("samplers", plot_quality_against_evaluations),
}


def main(table_path, svg_path, png_path, figure: str) -> None:
    """Draw the figure of that name (.svg, .png)."""
    experiment, plot = FIGURES[figure]
    table = read_tsv(table_path)
    save_figure(plot(table[table["experiment"] == experiment]), svg_path, png_path)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            table_path=snakemake.input.table,
            svg_path=snakemake.output.svg,
            png_path=snakemake.output.png,
            figure=snakemake.wildcards.training_figure,
        )
