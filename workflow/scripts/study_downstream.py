"""Carry the solvers' scores through the embedding and compare the images."""

from typing import TYPE_CHECKING

from crosskrylov.equation.problem import problem_from_config
from crosskrylov.runtime.files import load_npz, write_tsv
from crosskrylov.runtime.jobs import logged
from crosskrylov.studies.downstream import downstream

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images_path,
    exact_path,
    trajectory_paths: dict,
    table_path,
    equation: dict,
    baseline: str | None,
    variants: list,
    seed: int,
) -> None:
    """Write a row per solver and variant of the embedding (.tsv)."""
    images, exact = load_npz(images_path)["images"], load_npz(exact_path)
    trajectories = {name: load_npz(path)["log_density"] for name, path in trajectory_paths.items()}
    problem = problem_from_config(equation, *images.shape[2:])
    table = downstream(
        images,
        problem,
        exact["steps"],
        exact["log_density"],
        trajectories,
        baseline,
        variants,
        seed,
    )
    write_tsv(table_path, table)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            images_path=snakemake.input.images,
            exact_path=snakemake.input.exact,
            trajectory_paths=dict(zip(snakemake.params.solvers, snakemake.input.trajectories)),
            table_path=snakemake.output.table,
            equation=snakemake.params.equation,
            baseline=snakemake.params.baseline,
            variants=snakemake.params.variants,
            seed=int(snakemake.wildcards.seed),
        )
