"""Measure projections against the likeness of seed and target, and the choice of seeds."""

from typing import TYPE_CHECKING

from crosskrylov.runtime.files import write_tsv
from crosskrylov.runtime.jobs import logged
from crosskrylov.studies.bank import load_bank
from crosskrylov.studies.likeness import likeness_correlation, likeness_pairs, seed_choice

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    bank_path,
    pairs_path,
    correlation_path,
    choice_path,
    dimension: int,
    n_seeds: list,
    draws: int,
    seed: int,
) -> None:
    """Write pairs of images, their rank correlations, and rows per selection of seeds (.tsv)."""
    bank = load_bank(bank_path)
    pairs = likeness_pairs(bank, dimension)
    write_tsv(pairs_path, pairs)
    write_tsv(correlation_path, likeness_correlation(pairs))
    write_tsv(choice_path, seed_choice(bank, dimension, n_seeds, random_draws=draws, seed=seed))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            bank_path=snakemake.input.bank,
            pairs_path=snakemake.output.pairs,
            correlation_path=snakemake.output.correlation,
            choice_path=snakemake.output.choice,
            dimension=snakemake.params.dimension,
            n_seeds=snakemake.params.n_seeds,
            draws=snakemake.params.draws,
            seed=int(snakemake.wildcards.seed),
        )
