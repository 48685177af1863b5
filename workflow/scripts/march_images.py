"""March all images with one solver; a cross-matrix solver's seeds serve their targets."""

from typing import TYPE_CHECKING

from tqdm import tqdm

from crosskrylov.runtime.files import read_json
from crosskrylov.runtime.jobs import run_job
from crosskrylov.scores.seeds import SeedAssignment
from crosskrylov.studies.trajectory import march_and_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    log_density_path,
    trajectory_path,
    history_path,
    summary_path,
    equation: dict,
    march: dict,
    solver: dict,
    n_threads: int,
    seeds_path=None,
) -> None:
    """Write the stored log-densities (.npz), one row per step and image (.tsv), timings (.json)."""
    seeds = SeedAssignment.from_dict(read_json(seeds_path)) if seeds_path else None
    with tqdm(total=equation["time_steps"], desc=solver["method"], unit="step") as bar:
        march_and_store(
            log_density_path,
            trajectory_path,
            history_path,
            summary_path,
            equation,
            march,
            solver,
            n_threads,
            seeds=seeds,
            progress=lambda step: bar.update(),
        )


if __name__ == "__main__":
    run_job(main, snakemake)
