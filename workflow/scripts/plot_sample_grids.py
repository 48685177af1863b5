"""Draw samples of every model side by side, training images first."""

from typing import TYPE_CHECKING

from crosskrylov.reporting.figures.style import save_figure
from crosskrylov.reporting.figures.training import plot_sample_grids
from crosskrylov.runtime.files import load_npz
from crosskrylov.runtime.jobs import logged

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(images_path, samples_paths, svg_path, png_path, models: list[str]) -> None:
    """Draw the first samples of each model, unselected (.svg, .png)."""
    runs = [{"title": "training images", "images": load_npz(images_path)["images"]}]
    for model, path in zip(models, samples_paths, strict=True):
        runs.append({"title": model, "images": load_npz(path)["samples"]})
    save_figure(plot_sample_grids(runs), svg_path, png_path)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            images_path=snakemake.input.images,
            samples_paths=snakemake.input.samples,
            svg_path=snakemake.output.svg,
            png_path=snakemake.output.png,
            models=snakemake.params.models,
        )
