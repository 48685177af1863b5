"""Judge one trained model under many samplers and numbers of function evaluations."""

from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from crosskrylov.experiments.budget import sample_budget
from crosskrylov.experiments.quality import measure_samples
from crosskrylov.learning.sampling.registry import sampler_choice
from crosskrylov.learning.training.checkpoint import load_network
from crosskrylov.runtime.device import select_device
from crosskrylov.runtime.files import load_npz, write_json
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images_path,
    checkpoint_path,
    result_path,
    run: dict,
    objective: str,
    features: str,
    training: dict,
    metrics: dict,
    threads: int,
) -> None:
    """Write one entry per sampler, number of evaluations and metric (.json)."""
    torch.set_num_threads(threads)
    network = load_network(checkpoint_path, select_device(training["device"]))
    images = load_npz(images_path)["images"]
    options = training["samplers"]
    quality = []
    wanted = [(s, n) for s in options["samplers"] for n in options["function_evaluations"]]
    for sampler, evaluations in tqdm(wanted, desc=objective, unit="run"):
        drawn = sample_budget(
            network,
            objective,
            images.shape[1:],
            training,
            run["seed"],
            sampler=sampler,
            function_evaluations=evaluations,
            training_images=images,
        )
        values = measure_samples(
            drawn.images.numpy(), images, features, metrics, str(network.device)
        )
        values["sampling_seconds"] = drawn.seconds
        quality += [
            {
                "sampler": sampler_choice(sampler).label,
                "function_evaluations": drawn.function_evaluations,
                "n_samples": len(drawn.images),
                "metric": metric,
                "value": value,
            }
            for metric, value in values.items()
        ]
    write_json(result_path, {**run, "quality": quality})


if __name__ == "__main__":
    run_job(main, snakemake)
