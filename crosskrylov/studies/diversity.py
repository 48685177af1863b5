"""Study 4: how well projections work on image sets of different diversity."""

import numpy as np
import pandas as pd

from crosskrylov.scores.seeds import SeedAssignment, feature_distances, mean_free
from crosskrylov.studies.bank import SystemBank
from crosskrylov.studies.bases import increment_basis, nearest_seed_basis, own_basis, project
from crosskrylov.studies.common import quantiles
from crosskrylov.studies.register import register
from crosskrylov.studies.subspace_dimension import split_images


def diversity(bank: SystemBank, seeds: SeedAssignment, dimension: int) -> pd.DataFrame:
    """Return a row per step and basis: the set's mean distance between images, and residuals."""
    features = mean_free(bank.log_density)
    distance = feature_distances(features, features)
    pairs = distance[~np.eye(bank.n_images, dtype=bool)]
    sources, targets = split_images(bank.n_images, seeds)
    rows = []
    for position, step in enumerate(bank.steps):
        bases = {
            "start only": (lambda target, m: np.zeros((0, *bank.rhs.shape[2:]))),
            "nearest seed": nearest_seed_basis(bank, position, seeds, dimension),
            "POD of increments": increment_basis(bank, position, sources, dimension),
            "own": own_basis(bank, position, dimension),
        }
        for basis, basis_of in bases.items():
            result = project(bank, position, targets, basis_of, dimension)
            rows.append(
                {
                    "step": int(step),
                    "basis": basis,
                    "dimension": dimension,
                    "n_images": bank.n_images,
                    "n_targets": len(targets),
                    "image_distance_mean": float(pairs.mean()),
                    "image_distance_max": float(pairs.max()),
                    "seed_distance_mean": float(seeds.distances[targets].mean()),
                    **quantiles(result.relative_residuals, "residual"),
                    **quantiles(result.score_errors, "score_error"),
                }
            )
    return pd.DataFrame(rows)


@register(
    "diversity",
    needs=["bank", "seeds"],
    tables={"diversity": "Residuals after projection on image sets of different diversity."},
    figures={
        "diversity": {
            "table": "diversity",
            "caption": "Residual after projection on image sets of different diversity; d is the "
            "mean relative distance between the log-densities of two images. Bars are quartiles "
            "over targets.",
        }
    },
)
def study_diversity(data, dimension):
    """Measure projections on an image set, with its diversity."""
    return {"diversity": diversity(data.bank, data.seeds, dimension)}
