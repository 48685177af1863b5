"""Draw the SSIM of the denoised image against training time."""

from typing import TYPE_CHECKING

import pandas as pd

from crosskrylov.reporting.figures.style import save_figure
from crosskrylov.reporting.figures.training import plot_ssim_against_seconds
from crosskrylov.runtime.files import read_json, read_tsv
from crosskrylov.runtime.jobs import logged

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(curve_paths, result_paths, svg_path, png_path, targets: list[float]) -> None:
    """Join the curves of all runs and draw them (.svg, .png)."""
    parts = []
    for curve_path, result_path in zip(curve_paths, result_paths, strict=True):
        result, curve = read_json(result_path), read_tsv(curve_path)
        parts.append(
            curve.assign(
                total_seconds=curve["train_seconds"] + result["precompute_seconds"],
                **{key: result[key] for key in ("dataset", "model", "seed")},
            )
        )
    figure = plot_ssim_against_seconds(pd.concat(parts, ignore_index=True), targets)
    save_figure(figure, svg_path, png_path)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            curve_paths=snakemake.input.curves,
            result_paths=snakemake.input.results,
            svg_path=snakemake.output.svg,
            png_path=snakemake.output.png,
            targets=snakemake.params.targets,
        )
