"""Put the scores of all parts of an image set together and say what ran."""

from typing import TYPE_CHECKING

from crosskrylov.runtime.files import write_json
from crosskrylov.runtime.jobs import run_job
from crosskrylov.scores.gather import gather_scores

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(part_paths, scores_path, summary_path, dataset: str, seed: int) -> None:
    """Write the folder of scores and a summary with the images that failed."""
    store = gather_scores(part_paths, scores_path)
    size = store.manifest["item_shape"][-1]
    write_json(
        summary_path,
        {
            "dataset": dataset,
            "seed": seed,
            "image_size": size,
            "stored_steps": len(store.times),
            "storage": store.manifest["dtype"],
            **store.summary(),
            "failures": store.failures,
        },
    )


if __name__ == "__main__":
    run_job(main, snakemake)
