"""Mantel's permutation test of an association between two matrices over the same pairs.

Pairs share items, so that n items give n (n - 1) pairs, but far fewer independent ones, and a
correlation's usual p-value is much too small.  Permuting the *items* of one matrix keeps what pairs
share.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from crosskrylov.errors import DataError, ShapeError


class MantelTest(NamedTuple):
    """Spearman's rank correlation over all pairs, and the share of permutations as far from 0."""

    correlation: float
    p_value: float
    n_permutations: int


def mantel_test(
    first: np.ndarray, second: np.ndarray, *, permutations: int, seed: int
) -> MantelTest:
    """Test two matrices over ordered pairs of items by Spearman's correlation, two-sided.

    Parameters
    ----------
    first, second : ndarrays, shape (n, n)
        Values of the pairs [i, j], symmetric or not; diagonals are left out.
    permutations : int
        Random permutations of the items.
    seed : int

    Returns
    -------
    MantelTest
        p = (1 + permutations with a correlation of at least that size) / (1 + permutations), the
        identity among them: never 0, and uniform where the items of one matrix are exchangeable.

    Raises
    ------
    ShapeError
        If the matrices are not square and of one size of at least 3.
    DataError
        If a value off the diagonal is not finite, or there is no permutation.
    """
    first, second = (np.asarray(a, dtype=np.float64) for a in (first, second))
    n = len(first)
    if first.shape != (n, n) or second.shape != (n, n) or n < 3:
        raise ShapeError(
            f"Mantel's test needs two matrices (n, n) with n >= 3, found {first.shape} and "
            f"{second.shape}."
        )
    off = ~np.eye(n, dtype=bool)
    if permutations < 1 or not (np.isfinite(first[off]).all() and np.isfinite(second[off]).all()):
        raise DataError("Mantel's test needs finite values and at least one permutation.")
    ranks = []
    for matrix in (first, second):
        rank = np.zeros((n, n))
        rank[off] = rankdata(matrix[off])
        rank[off] -= rank[off].mean()
        ranks.append(rank)
    scale = np.linalg.norm(ranks[0]) * np.linalg.norm(ranks[1])
    if scale == 0:  # a matrix without variation is associated with nothing
        return MantelTest(float("nan"), 1.0, permutations)
    found = float((ranks[0] * ranks[1]).sum() / scale)
    rng = np.random.default_rng(seed)
    as_far = 0
    for _ in range(permutations):
        order = rng.permutation(n)
        drawn = (ranks[0] * ranks[1][np.ix_(order, order)]).sum() / scale
        as_far += abs(drawn) >= abs(found) - 1e-12
    return MantelTest(found, (1 + as_far) / (1 + permutations), permutations)
