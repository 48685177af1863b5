"""Intervals around repeated times and their ratios."""

import numpy as np
import pytest

from crosskrylov.errors import DataError
from crosskrylov.metrics.intervals import (
    median_interval,
    order_interval,
    ratio_interval,
    signed_interval,
)


@pytest.mark.parametrize("n", [3, 5, 12])
def test_the_interval_covers_the_true_value_as_often_as_it_says(n):
    rng = np.random.default_rng(5)
    draws = 2.0 * np.exp(0.3 * rng.standard_normal((2000, n)))
    covered = [low <= 2.0 <= high for _, low, high in map(median_interval, draws)]
    assert 0.935 < np.mean(covered) < 0.97


def test_it_scales_with_its_unit_and_holds_its_median():
    values = [1.0, 1.1, 9.0]
    one, thousand = median_interval(values), median_interval([1000 * v for v in values])
    assert one.low <= one.median <= one.high
    assert one.median == 1.1
    np.testing.assert_allclose(thousand, 1000 * np.array(one))
    wide, narrow = median_interval(values, 0.99), median_interval(values, 0.5)
    assert wide.low < one.low <= narrow.low and narrow.high <= one.high < wide.high


def test_pairing_takes_out_what_a_repeat_did_to_both():
    slow = np.array([1.0, 5.0, 2.0])  # the machine in each repeat
    paired = ratio_interval(3 * slow, slow)
    np.testing.assert_allclose(paired, 3.0)


def test_one_value_has_no_interval():
    median, low, high = median_interval([4.0])
    assert median == 4.0 and np.isnan(low) and np.isnan(high)


@pytest.mark.parametrize("values", [[], [1.0, 0.0], [1.0, -2.0], [np.nan], [np.inf]])
def test_values_that_are_no_times_are_refused(values):
    with pytest.raises(DataError, match="needs positive values"):
        median_interval(values)


def test_unpaired_repeats_are_refused():
    with pytest.raises(DataError, match="found 3 of one and 2 of the other"):
        ratio_interval([1, 2, 3], [1, 2])


def test_order_is_the_slope_of_every_group_with_an_interval_between_groups():
    made = np.array([10, 20, 40])
    found = order_interval((made, 5.0 / made**order) for order in (1.9, 2.0, 2.1))
    assert found.median == pytest.approx(2)
    assert found.low < 1.95 and found.high > 2.05
    assert np.isnan(order_interval([(made, 5.0 / made)]).low)  # a single group has no interval
    assert np.isnan(order_interval([([10], [1.0]), (made, 0.0 * made)]).median)


def test_values_of_either_sign_have_students_interval_inside_their_bounds():
    rng = np.random.default_rng(5)
    draws = 0.1 + 0.2 * rng.standard_normal((2000, 4))
    covered = [low <= 0.1 <= high for _, low, high in (signed_interval(d, (-9, 9)) for d in draws)]
    assert 0.935 < np.mean(covered) < 0.97
    found = signed_interval([0.9, 0.2, 1.0], (-1, 1))
    assert found.low < 0.2 and found.median == 0.9 and found.high == 1
    assert np.isnan(signed_interval([-0.5], (-1, 1)).low)
    with pytest.raises(DataError, match="finite values"):
        signed_interval([0.1, np.nan], (-1, 1))
