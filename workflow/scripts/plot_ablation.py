"""Draw every run of every variant of the ablation."""

from typing import TYPE_CHECKING

from crosskrylov.reporting.figures.style import save_figure
from crosskrylov.reporting.figures.training import plot_ablation
from crosskrylov.reporting.tables.ablation import (
    ablation_outcomes,
    ablation_sentence,
    ablation_table,
)
from crosskrylov.runtime.files import read_json
from crosskrylov.runtime.jobs import logged

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(result_paths, svg_path, png_path, target: float) -> None:
    """Draw outcomes, the range over seeds of the published variant shaded (.svg, .png)."""
    results = [read_json(path) for path in result_paths]
    sentence = ablation_sentence(ablation_table(results, target))
    save_figure(plot_ablation(ablation_outcomes(results, target), sentence), svg_path, png_path)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            result_paths=snakemake.input.results,
            svg_path=snakemake.output.svg,
            png_path=snakemake.output.png,
            target=snakemake.params.target,
        )
