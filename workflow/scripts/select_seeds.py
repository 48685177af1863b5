"""Choose seed images and assign every image to its nearest seed."""

from typing import TYPE_CHECKING

from crosskrylov.runtime.files import load_npz, write_json
from crosskrylov.runtime.jobs import run_job
from crosskrylov.scores.seeds import select_seeds

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(features_path, seeds_path, seed: int, feature: str, n_seeds: int, selection: str) -> None:
    """Read the features (log-densities or images) and write seeds and assignment (.json)."""
    features = load_npz(features_path)["log_density" if feature == "log_density" else "images"]
    assignment = select_seeds(features, n_seeds, selection, seed)
    write_json(seeds_path, {"selection": selection, "feature": feature, **assignment.as_dict()})


if __name__ == "__main__":
    run_job(main, snakemake)
