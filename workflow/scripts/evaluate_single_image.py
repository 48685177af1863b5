"""Write the result of one run of the single-image experiment."""

from typing import TYPE_CHECKING

from crosskrylov.experiments.targets import times_to_targets
from crosskrylov.metrics.similarity import compare_images
from crosskrylov.runtime.files import load_npz, read_json, read_tsv, write_json
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    curve_path,
    summary_path,
    result_path,
    run: dict,
    targets: list[float],
    n_images: int,
    denoised_path=None,
    embedded_path=None,
) -> None:
    """Write what each target SSIM took, and the metrics of the final network if asked for (.json).

    An ablation has no denoised images, and a model without scores no embedded ones.
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
    run_job(main, snakemake)
