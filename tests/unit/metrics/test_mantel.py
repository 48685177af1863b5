from itertools import permutations as all_permutations

import numpy as np
import pytest
from scipy.stats import kstest, spearmanr

from crosskrylov.errors import DataError, ShapeError
from crosskrylov.metrics.mantel import mantel_test


def test_three_items_by_hand():
    # off the diagonal, row by row: 1 2 3 4 5 6 against 2 1 4 3 6 5; sum of squared differences 6,
    # rho = 1 - 6 * 6 / (6 * 35) = 29/35
    first = np.array([[0, 1, 2], [3, 0, 4], [5, 6, 0.0]])
    second = np.array([[9, 2, 1], [4, 9, 3], [6, 5, 9.0]])
    result = mantel_test(first, second, permutations=600, seed=0)
    assert result.correlation == pytest.approx(29 / 35)
    off = ~np.eye(3, dtype=bool)
    every = [
        spearmanr(first[off], second[np.ix_(order, order)][off]).statistic
        for order in map(list, all_permutations(range(3)))
    ]
    share = np.mean(np.abs(every) >= 29 / 35 - 1e-12)
    assert result.p_value == pytest.approx(share, abs=0.06)


def test_p_values_are_uniform_where_the_items_are_exchangeable():
    rng = np.random.default_rng(1)
    values = []
    for trial in range(300):
        # pairs that share items: a plain correlation's p-value is far too small for these
        one, other = (np.abs(a[:, None] - a[None, :]) for a in rng.standard_normal((2, 10)))
        values.append(mantel_test(one, other, permutations=99, seed=trial).p_value)
    assert kstest(values, "uniform").pvalue > 0.01
    assert np.mean(np.array(values) <= 0.05) < 0.1


def test_an_association_is_found_and_the_seed_repeats_it():
    place = np.random.default_rng(2).standard_normal(12)
    distance = np.abs(place[:, None] - place[None, :])
    result = mantel_test(distance, distance**2, permutations=199, seed=3)
    assert result.correlation == pytest.approx(1.0)
    assert result.p_value == 1 / 200
    assert mantel_test(distance, distance**2, permutations=199, seed=3) == result


def test_what_cannot_be_tested_is_refused():
    square = np.eye(4)
    with pytest.raises(ShapeError, match=r"found \(4, 4\) and \(3, 3\)"):
        mantel_test(square, np.eye(3), permutations=9, seed=0)
    with pytest.raises(DataError, match="finite values"):
        mantel_test(square, np.full((4, 4), np.nan), permutations=9, seed=0)
    assert mantel_test(square, square, permutations=9, seed=0).p_value == 1.0
