"""Study 2: residual and score error after projection alone, against the subspace dimension."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from crosskrylov.errors import ConfigError
from crosskrylov.scores.seeds import SeedAssignment
from crosskrylov.studies.bank import SystemBank
from crosskrylov.studies.bases import (
    PROJECTIONS,
    increment_basis,
    joint_seed_basis,
    nearest_seed_basis,
    own_basis,
    project,
)
from crosskrylov.studies.common import quantiles
from crosskrylov.studies.register import register


def split_images(n_images: int, seeds: SeedAssignment) -> tuple[np.ndarray, np.ndarray]:
    """Return (sources, targets): the seeds and as many images as make up half, and the rest.

    The sources' solutions feed the POD basis; no target is among them, so that every basis is
    measured on images that it has not seen.
    """
    others = np.setdiff1d(np.arange(n_images), seeds.seeds)
    n_extra = max(n_images // 2 - len(seeds.seeds), 0)
    sources = np.concatenate([np.asarray(seeds.seeds), others[:n_extra]])
    targets = others[n_extra:]
    if len(targets) == 0:
        raise ConfigError(
            f"A study of projections needs an image that is no seed, but all {n_images} are; lower "
            "seeds.n_seeds or raise n_images."
        )
    return sources, targets


def subspace_dimension(
    bank: SystemBank, seeds: SeedAssignment, dimensions: Sequence[int]
) -> pd.DataFrame:
    """Return a row per step, basis, projection and dimension, over the targets.

    Bases: "nearest seed" (published), "all seeds" (their Krylov spaces joined, the same total
    dimension), "POD of increments" (half of the images), "own" (the target's own Krylov space).
    Dimension 0 is the starting value alone.  A basis that cannot reach a dimension has no row
    there.
    """
    n_unknowns = bank.matrix.n_unknowns
    too_large = [m for m in dimensions if not 0 <= m <= n_unknowns]
    if too_large:
        raise ConfigError(
            f"studies.subspace_dimension.dimensions holds {too_large[0]}, but a system of "
            f"{n_unknowns} unknowns has subspaces of 0 to {n_unknowns} dimensions; remove it."
        )
    largest = max(dimensions)
    sources, targets = split_images(bank.n_images, seeds)
    rows = []
    for position, step in enumerate(bank.steps):
        bases = {
            "nearest seed": nearest_seed_basis(bank, position, seeds, largest),
            "all seeds": joint_seed_basis(bank, position, seeds.seeds, largest),
            "POD of increments": increment_basis(bank, position, sources, largest),
            "own": own_basis(bank, position, largest),
        }
        for basis, basis_of in bases.items():
            for projection in PROJECTIONS:
                for m in sorted({0, *dimensions}):
                    result = project(bank, position, targets, basis_of, m, projection)
                    if m > 0 and result.dimensions.max() <= m // 2:
                        continue  # too few vectors: the row would repeat a smaller dimension's
                    rows.append(
                        {
                            "step": int(step),
                            "basis": basis,
                            "projection": projection,
                            "dimension": m,
                            "reached_dimension": int(result.dimensions.max()),
                            "n_targets": len(targets),
                            **quantiles(result.relative_residuals, "residual"),
                            **quantiles(result.score_errors, "score_error"),
                        }
                    )
    return pd.DataFrame(rows)


@register(
    "subspace_dimension",
    needs=["bank", "seeds"],
    tables={
        "subspace_dimension": "Residual and score error of the targets after projection alone."
    },
    figures={
        "subspace_dimension": {
            "table": "subspace_dimension",
            "caption": "Residual and score error of targets after projection alone, against the "
            "subspace dimension. *own* is the target's own Krylov space, which no other image's "
            "space can be expected to beat. Bands are quartiles over targets.",
        }
    },
)
def study_subspace_dimension(data, dimensions):
    """Measure projections alone against the subspace dimension."""
    return {"subspace_dimension": subspace_dimension(data.bank, data.seeds, dimensions)}
