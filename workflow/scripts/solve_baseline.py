"""March all images with a solver that treats every image by itself (direct, Krylov, batched)."""

from typing import TYPE_CHECKING

from tqdm import tqdm

from crosskrylov.runtime.jobs import logged
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
) -> None:
    """Write the stored log-densities (.npz), one row per step and image (.tsv), timings (.json)."""
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
            progress=lambda step: bar.update(),
        )


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            log_density_path=snakemake.input.log_density,
            trajectory_path=snakemake.output.trajectory,
            history_path=snakemake.output.history,
            summary_path=snakemake.output.summary,
            equation=snakemake.params.equation,
            march=snakemake.params.march,
            solver=snakemake.params.solver,
            n_threads=snakemake.params.n_threads,
        )
