"""Study 3: the projection against the likeness of seed and target, and the choice of seeds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from crosskrylov.metrics.mantel import mantel_test
from crosskrylov.scores.seeds import assign, feature_distances, mean_free, select_seeds
from crosskrylov.studies.bank import SystemBank
from crosskrylov.studies.bases import joint_seed_basis, krylov_bases, project
from crosskrylov.studies.register import register

SELECTIONS = (
    "first",
    "random",
    "k_medoids",
    "farthest_point",
    "greedy_residual",
    "greedy_pairwise",
)
DISTANCES = ("log_density_distance", "matrix_distance")


def pairwise_residuals(bank: SystemBank, position: int, dimension: int, projection: str):
    """Return (residuals, start residuals): R[s, t] of target t in the Krylov space of seed s."""
    everyone = np.arange(bank.n_images)
    bases = krylov_bases(bank, position, everyone, dimension)
    residuals = np.empty((bank.n_images, bank.n_images))
    for seed in everyone:
        basis = bases.basis(seed)
        result = project(
            bank,
            position,
            everyone,
            lambda t, m, b=basis: b,
            dimension,
            projection,
            start="previous",
        )
        residuals[seed] = result.relative_residuals
    return residuals, result.start_residuals


def matrix_distances(bank: SystemBank, position: int) -> np.ndarray:
    """Return ||A_s - A_t||_F / ||A_t||_F, [s, t], for all pairs of images at one step."""
    rows = np.stack(bank.matrix.take(position).arrays(), axis=1).reshape(bank.n_images, -1)
    squares = (rows**2).sum(axis=1)
    squared = squares[:, None] + squares[None, :] - 2 * rows @ rows.T
    return np.sqrt(np.maximum(squared, 0) / squares[None, :])


def likeness_pairs(bank: SystemBank, dimension: int, projection: str = "galerkin") -> pd.DataFrame:
    """Return a row per step and ordered pair of different images: distances and residuals."""
    rows = mean_free(bank.log_density)
    distance = feature_distances(rows, rows).T  # [seed, target], relative to the target
    different = ~np.eye(bank.n_images, dtype=bool)
    seed, target = np.nonzero(different)
    tables = []
    for position, step in enumerate(bank.steps):
        residuals, start = pairwise_residuals(bank, position, dimension, projection)
        tables.append(
            pd.DataFrame(
                {
                    "step": int(step),
                    "dimension": dimension,
                    "seed_image": seed,
                    "target_image": target,
                    "log_density_distance": distance[different],
                    "matrix_distance": matrix_distances(bank, position)[different],
                    "start_residual": start[target],
                    "residual": residuals[different],
                    "reduction": residuals[different] / start[target],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def likeness_correlation(pairs: pd.DataFrame, *, permutations: int, seed: int = 0) -> pd.DataFrame:
    """Return Spearman's rank correlation of the reduction with each distance, by step.

    Its p-value is Mantel's: images are permuted, since pairs that share an image are dependent.
    """
    rows = []
    for step, group in pairs.groupby("step"):
        images = np.unique(group[["seed_image", "target_image"]])
        reduction = _matrix(group, "reduction", images)
        for distance in DISTANCES:
            test = mantel_test(
                _matrix(group, distance, images), reduction, permutations=permutations, seed=seed
            )
            rows.append(
                {
                    "step": step,
                    "dimension": group.dimension.iloc[0],
                    "distance": distance,
                    "n_images": len(images),
                    "n_pairs": len(group),
                    "spearman": test.correlation,
                    "mantel_p_value": test.p_value,
                    "n_permutations": test.n_permutations,
                    "distance_median": group[distance].median(),
                    "reduction_median": group.reduction.median(),
                }
            )
    return pd.DataFrame(rows)


def _matrix(group: pd.DataFrame, column: str, images: np.ndarray) -> np.ndarray:
    """Return a column of the pairs as a matrix [seed, target]; the diagonal is 0."""
    values = np.zeros((len(images), len(images)))
    seed, target = (np.searchsorted(images, group[f"{role}_image"]) for role in ("seed", "target"))
    values[seed, target] = group[column]
    return values


def greedy_pairwise(residuals: np.ndarray, n_seeds: int) -> np.ndarray:
    """Return seeds chosen one by one so that the targets' best residuals fall the most.

    It sees the residuals of all pairs, which no cheap rule does: the yardstick for the others.
    """
    logarithm = np.log10(np.maximum(residuals, np.finfo(float).tiny))
    best = np.full(len(residuals), np.inf)
    chosen: list[int] = []
    for _ in range(n_seeds):
        value = np.minimum(logarithm, best)
        np.fill_diagonal(value, 0.0)  # seeds are no targets: they count for nothing
        value[:, chosen] = 0.0
        total = value.sum(axis=1)
        total[chosen] = np.inf
        chosen.append(int(total.argmin()))
        best = np.minimum(best, logarithm[chosen[-1]])
    return np.array(chosen)


def seed_choice(
    bank: SystemBank,
    dimension: int,
    n_seeds: Sequence[int],
    *,
    random_draws: int,
    selections: Sequence[str] = SELECTIONS,
    seed: int = 0,
    projection: str = "galerkin",
) -> pd.DataFrame:
    """Return a row per step, selection, number of seeds and basis: residuals of the targets.

    "nearest" projects on the nearest seed's space of the given dimension; "joint" on the sum of
    all seeds' spaces of that dimension each.  "random" is the mean of several draws.
    """
    features = mean_free(bank.log_density)
    rows = []
    for position, step in enumerate(bank.steps):
        residuals, start = pairwise_residuals(bank, position, dimension, projection)
        for count in (c for c in n_seeds if c < bank.n_images):
            for selection in selections:
                draws = random_draws if selection == "random" else 1
                for draw in range(draws):
                    if selection == "greedy_pairwise":
                        chosen = assign(features, greedy_pairwise(residuals, count))
                    else:
                        chosen = select_seeds(bank.log_density, count, selection, seed + draw)
                    targets = np.setdiff1d(np.arange(bank.n_images), chosen.seeds)
                    nearest = residuals[chosen.seeds[chosen.assigned[targets]], targets]
                    total = min(count * dimension, bank.matrix.n_unknowns)
                    joint = project(
                        bank,
                        position,
                        targets,
                        joint_seed_basis(bank, position, chosen.seeds, total),
                        total,
                        projection,
                        start="previous",
                    ).relative_residuals
                    for basis, values in (("nearest", nearest), ("joint", joint)):
                        rows.append(
                            {
                                "step": int(step),
                                "selection": selection,
                                "n_seeds": count,
                                "draw": draw,
                                "basis": basis,
                                "dimension": dimension,
                                "n_targets": len(targets),
                                "distance_mean": float(chosen.distances[targets].mean()),
                                "start_residual_median": float(np.median(start[targets])),
                                "residual_median": float(np.median(values)),
                                "residual_max": float(values.max()),
                            }
                        )
    return pd.DataFrame(rows)


@register(
    "likeness",
    needs=["bank"],
    tables={
        "likeness_pairs": "Residual of every ordered pair of seed and target after projection.",
        "likeness": "Rank correlation of a projection's gain with the distance of seed and target; "
        "p-values by Mantel's test, which permutes images.",
        "seed_choice": "Residuals after projection by number and selection of seeds.",
    },
    figures={
        "likeness": {
            "table": "likeness",
            "caption": "How far two distances between seed and target tell what a projection "
            "leaves of the target's residual: Spearman's rank correlation ρ over all ordered "  # noqa: RUF001
            "pairs of images (points: random seeds), and the median that is left.",
        },
        "seed_choice": {
            "table": "seed_choice",
            "caption": "Median residual of the targets after projection by number and selection of "
            "seeds. *greedy pairwise* has seen the residuals of all pairs: a yardstick.",
        },
    },
)
def study_likeness(data, dimension, n_seeds, random_draws, permutations):
    """Measure projections against the likeness of seed and target, and the choice of seeds."""
    pairs = likeness_pairs(data.bank, dimension)
    choice = seed_choice(data.bank, dimension, n_seeds, random_draws=random_draws, seed=data.seed)
    return {
        "likeness_pairs": pairs,
        "likeness": likeness_correlation(pairs, permutations=permutations, seed=data.seed),
        "seed_choice": choice,
    }
