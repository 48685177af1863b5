"""Write the result of one run of the fixed-budget experiment: samples, scores, memorisation."""

from typing import TYPE_CHECKING

import torch

from crosskrylov.experiments.quality import (
    mean_score_errors,
    measure_samples,
    measure_score_error,
)
from crosskrylov.learning.training.checkpoint import load_network
from crosskrylov.runtime.device import select_device
from crosskrylov.runtime.files import load_npz, read_json, write_json
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images_path,
    samples_path,
    checkpoint_path,
    summary_path,
    result_path,
    run: dict,
    objective: str,
    sampler: str,
    features: str,
    training: dict,
    metrics: dict,
    threads: int,
    embedded_path=None,
) -> None:
    """Write every metric of the samples and the score's error by noise level (.json)."""
    torch.set_num_threads(threads)
    network = load_network(checkpoint_path, select_device(training["device"]))
    images, drawn = load_npz(images_path)["images"], load_npz(samples_path)
    values = measure_samples(drawn["samples"], images, features, metrics, str(network.device))
    precompute_seconds, embedded = 0.0, None
    if embedded_path is not None:
        found = load_npz(embedded_path)
        precompute_seconds = len(images) * float(found["precompute_seconds_per_image"])
        embedded = found["embedded"]
    score_error = measure_score_error(network, objective, images, training, metrics, embedded)
    values |= mean_score_errors(score_error["errors"])
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
            "score_error": score_error,
        },
    )


if __name__ == "__main__":
    run_job(main, snakemake)
