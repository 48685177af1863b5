"""Draw the denoising strip: a row per model, noised image to result."""

from typing import TYPE_CHECKING

from crosskrylov.reporting.figures.style import save_figure
from crosskrylov.reporting.figures.training import plot_denoising_strip
from crosskrylov.runtime.files import load_npz, read_json
from crosskrylov.runtime.jobs import logged

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(denoised_paths, result_paths, svg_path, png_path) -> None:
    """Draw the runs in the given order (.svg, .png)."""
    runs = []
    for denoised_path, result_path in zip(denoised_paths, result_paths, strict=True):
        images, result = load_npz(denoised_path), read_json(result_path)
        runs.append(
            {
                "model": result["model"],
                "ssim": result["final"]["ssim"],
                "clean": images["clean"],
                "path": images["path"],
            }
        )
    save_figure(plot_denoising_strip(runs), svg_path, png_path)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            denoised_paths=snakemake.input.denoised,
            result_paths=snakemake.input.results,
            svg_path=snakemake.output.svg,
            png_path=snakemake.output.png,
        )
