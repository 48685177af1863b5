"""Draw images: what the trained models denoised, or their samples beside training images."""

from typing import TYPE_CHECKING

from crosskrylov.reporting.figures.style import save_figure
from crosskrylov.reporting.figures.training import plot_denoising_strip, plot_sample_grids
from crosskrylov.runtime.files import load_npz, read_json
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    svg_path,
    png_path,
    options: dict,
    denoised_paths=(),
    result_paths=(),
    images_path=None,
    samples_paths=(),
) -> None:
    """Draw a row per denoising run, or else a grid of the first samples per model (.svg, .png)."""
    if denoised_paths:
        figure = plot_denoising_strip(
            [
                {**load_npz(denoised), "model": result["model"], "ssim": result["final"]["ssim"]}
                for denoised, result in zip(
                    denoised_paths, map(read_json, result_paths), strict=True
                )
            ]
        )
    else:
        runs = [{"title": "training images", "images": load_npz(images_path)["images"]}]
        for model, path in zip(options["models"], samples_paths, strict=True):
            runs.append({"title": model, "images": load_npz(path)["samples"]})
        figure = plot_sample_grids(runs)
    save_figure(figure, svg_path, png_path)


if __name__ == "__main__":
    run_job(main, snakemake)
