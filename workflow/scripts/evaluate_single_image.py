"""Write the result of one run of the single-image experiment."""

from typing import TYPE_CHECKING

from crosskrylov.experiments.targets import times_to_targets
from crosskrylov.metrics.similarity import compare_images
from crosskrylov.runtime.files import load_npz, read_json, read_tsv, write_json
from crosskrylov.runtime.jobs import logged

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    curve_path,
    summary_path,
    denoised_path,
    embedded_path,
    result_path,
    run: dict,
    targets: list[float],
    n_images: int,
) -> None:
    """Write what each target SSIM took, and the metrics of the final network if asked for (.json).

    ``denoised_path`` and ``embedded_path`` may be None.
    """
    final = {}
    if denoised_path is not None:
        images = load_npz(denoised_path)
        final["final"] = compare_images(images["denoised"], images["clean"])
    precompute_seconds = 0.0
    if embedded_path is not None:
        precompute_seconds = n_images * float(
            load_npz(embedded_path)["precompute_seconds_per_image"]
        )
    write_json(
        result_path,
        {
            **run,
            **read_json(summary_path),
            "precompute_seconds": precompute_seconds,
            "targets": times_to_targets(read_tsv(curve_path), targets),
            **final,
        },
    )


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            curve_path=snakemake.input.curve,
            summary_path=snakemake.input.summary,
            denoised_path=snakemake.input.get("denoised"),
            embedded_path=snakemake.input.get("embedded"),
            result_path=snakemake.output.result,
            run=snakemake.params.run,
            targets=snakemake.params.targets,
            n_images=snakemake.params.n_images,
        )
