"""Paired comparisons, with runs that were stopped."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from crosskrylov.errors import DataError
from crosskrylov.metrics.paired import (
    Times,
    holm,
    paired_ratios,
    pairs_to_decide,
    sign_flip_p,
    standard_effect,
)


def test_ratios_of_stopped_runs_are_no_farther_from_one_than_the_truth():
    """Times and stops are drawn; what is seen of them never claims more than the times say."""
    rng = np.random.default_rng(3)
    a, b, stop_a, stop_b = np.exp(rng.normal(size=(4, 500)))
    seen = paired_ratios(
        Times(np.minimum(a, stop_a), a <= stop_a), Times(np.minimum(b, stop_b), b <= stop_b)
    )
    truth, log = np.log(a / b), np.log(seen)
    assert (log * truth >= -1e-12).all() and (np.abs(log) <= np.abs(truth) + 1e-12).all()
    np.testing.assert_allclose(
        seen[(a <= stop_a) & (b <= stop_b)], (a / b)[(a <= stop_a) & (b <= stop_b)]
    )


def test_who_arrives_before_the_other_is_stopped_wins():
    ours = Times([100, 400, 400, 500], [True, True, False, True])
    theirs = Times([400, 100, 400, 300], [False, True, False, False])
    # the last: stopped at 300, before the other arrived, so that the order is not known
    np.testing.assert_allclose(paired_ratios(ours, theirs), [0.25, 4.0, 1.0, 1.0])


def test_pairs_that_do_not_fit_are_named():
    with pytest.raises(DataError, match="found 1 and 2"):
        paired_ratios(Times([1], [True]), Times([1, 2], [True, True]))
    with pytest.raises(DataError, match="positive"):
        paired_ratios(Times([0.0], [True]), Times([1.0], [True]))


def test_p_value_is_the_share_of_sign_patterns():
    logs = np.array([0.9, -0.2, 0.4, 0.7, 0.1])
    means = [np.mean(logs * signs) for signs in itertools.product((1, -1), repeat=5)]
    expected = np.mean(np.abs(means) >= abs(logs.mean()) - 1e-12)
    assert sign_flip_p(np.exp(logs)) == pytest.approx(expected)
    assert sign_flip_p([1.0, 1.0, 1.0]) == 1.0
    assert math.isnan(sign_flip_p([2.0]))
    many = np.exp(np.random.default_rng(1).normal(0.05, 1, 40))
    assert sign_flip_p(many) == sign_flip_p(many)
    assert abs(sign_flip_p(many) - stats.ttest_1samp(np.log(many), 0).pvalue) < 0.05


def test_holm_corrects_in_order_and_leaves_missing_ones():
    found = holm([0.04, 0.01, float("nan"), 0.03])
    np.testing.assert_allclose(found, [0.06, 0.03, np.nan, 0.06])


def test_pairs_to_decide_have_the_power_that_is_promised():
    effect = standard_effect(np.exp([0.1, 0.5, 0.3, 0.9]))
    logs = np.array([0.1, 0.5, 0.3, 0.9])
    assert effect == pytest.approx(logs.mean() / logs.std(ddof=1))
    for size in (0.4, 0.8, 1.2):
        n = int(pairs_to_decide(size))
        draws = np.random.default_rng(0).normal(size, 1, size=(4000, n))
        found = (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean()
        assert 0.77 < found < 0.88, (size, n, found)
    assert pairs_to_decide(0.5) == pairs_to_decide(-0.5) == 34  # Cohen's tables
    assert pairs_to_decide(0.8, comparisons=10) > 1.3 * pairs_to_decide(0.8)
    assert math.isnan(pairs_to_decide(0.001))
    assert math.isnan(pairs_to_decide(0.0)) and math.isnan(standard_effect([2.0, 2.0]))
