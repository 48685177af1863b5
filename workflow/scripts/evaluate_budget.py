"""Write the result of one run of the fixed-budget experiment: samples, scores, memorisation."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from crosskrylov.experiments.quality import measure_samples, measure_score_error
from crosskrylov.learning.training.checkpoint import load_network
from crosskrylov.runtime.device import select_device
from crosskrylov.runtime.files import load_npz, read_json, write_json
from crosskrylov.runtime.jobs import logged

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images_path,
    samples_path,
    checkpoint_path,
    summary_path,
    embedded_path,
    result_path,
    run: dict,
    model: str,
    sampler: str,
    features: str,
    training: dict,
    metrics: dict,
    threads: int,
) -> None:
    """Write every metric of the samples and the score-matching error by noise level (.json)."""
    torch.set_num_threads(threads)
    network = load_network(checkpoint_path, select_device(training["device"]))
    images, drawn = load_npz(images_path)["images"], load_npz(samples_path)
    values = measure_samples(drawn["samples"], images, features, metrics, str(network.device))
    score_errors = measure_score_error(network, model, images, training, metrics)
    values["score_matching_error"] = float(np.mean(list(score_errors.values())))
    precompute_seconds = 0.0
    if embedded_path is not None:
        precompute_seconds = len(images) * float(
            load_npz(embedded_path)["precompute_seconds_per_image"]
        )
    shared = {
        "sampler": sampler,
        "function_evaluations": int(drawn["function_evaluations"]),
        "n_samples": len(drawn["samples"]),
    }
    write_json(
        result_path,
        {
            **run,
            **read_json(summary_path),
            "precompute_seconds": precompute_seconds,
            "quality": [{**shared, "metric": m, "value": v} for m, v in values.items()],
            "score_matching_error_by_sigma": {f"{s:.6g}": e for s, e in score_errors.items()},
        },
    )


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            images_path=snakemake.input.images,
            samples_path=snakemake.input.samples,
            checkpoint_path=snakemake.input.checkpoint,
            summary_path=snakemake.input.summary,
            embedded_path=snakemake.input.get("embedded"),
            result_path=snakemake.output.result,
            run=snakemake.params.run,
            model=snakemake.params.objective,
            sampler=snakemake.params.sampler,
            features=snakemake.params.features,
            training=snakemake.params.training,
            metrics=snakemake.params.metrics,
            threads=snakemake.threads,
        )
