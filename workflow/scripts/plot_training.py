"""Draw a figure of the training experiments that shows numbers."""

from typing import TYPE_CHECKING

from crosskrylov.reporting.figures import controls, generation, training
from crosskrylov.reporting.figures.style import save_figure
from crosskrylov.reporting.figures.survival import plot_survival
from crosskrylov.reporting.records import read_run
from crosskrylov.reporting.tables.training import training_curves
from crosskrylov.runtime.files import read_tsv
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

FIGURES = {
    **training.FIGURES,
    **generation.FIGURES,
    **controls.FIGURES,
    "survival": plot_survival,
}


def main(
    training_figure: str,
    svg_path,
    png_path,
    options: dict,
    table_path=None,
    curve_paths=(),
    result_paths=(),
) -> None:
    """Draw the figure of that name from a table, or from the curves of runs (.svg, .png)."""
    if table_path is not None:
        data = read_tsv(table_path)
    else:
        results = [read_run(path).value for path in result_paths]
        curves = [read_run(path, "curve.tsv").value for path in curve_paths]
        data = training_curves(results, curves)
    save_figure(FIGURES[training_figure](data, **options), svg_path, png_path)


if __name__ == "__main__":
    run_job(main, snakemake)
