import math

import pytest

from crosskrylov.reporting.tables.verdicts import VERDICTS, judge, published_range

RANGE = (15.8, 43.7)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (20, 30, "reproduced"),
        (10, 50, "reproduced"),
        (-5, 16, "reproduced"),
        # the ends of the range belong to it
        (43.7, 50, "reproduced"),
        (10, 15.8, "reproduced"),
        (43.70001, 50, "beyond"),
        (10, 15.79, "below"),
        (0.001, 10, "below"),
        # no effect lies in the interval, or at its end
        (0, 10, "undecided"),
        (-5, 10, "undecided"),
        (-5, 0, "undecided"),
        (-5, -0.001, "not reproduced"),
    ],
)
def test_interval_against_a_published_range(low, high, verdict):
    assert judge(low, high, 0, RANGE) == verdict


@pytest.mark.parametrize(
    ("low", "verdict"),
    [
        (0.5, "undecided"),
        (15.7, "undecided"),
        (15.8, "reproduced"),
        (30, "reproduced"),
        (90, "reproduced"),
    ],
)
@pytest.mark.parametrize("high", [None, math.nan])
def test_bound_confirms_but_neither_refutes_nor_exceeds(low, verdict, high):
    assert judge(low, high, 0, RANGE) == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.1, 2, "reproduced"),
        (1, 2, "undecided"),
        (0.5, 1, "undecided"),
        (0.5, 0.99, "not reproduced"),
        (1.1, None, "reproduced"),
        (1, None, "undecided"),
    ],
)
def test_direction_alone(low, high, verdict):
    assert judge(low, high, 1) == verdict


@pytest.mark.parametrize("published", [None, RANGE])
def test_without_an_interval_nothing_is_decided(published):
    assert judge(None, None, 0, published) == "undecided"
    assert judge(math.nan, math.nan, 0, published) == "undecided"


def test_single_value_counts_as_met_within_a_quarter():
    assert published_range(10) == (8, 12.5)
    assert judge(12.5, 20, 1, published_range(10)) == "reproduced"
    assert judge(12.51, 20, 1, published_range(10)) == "beyond"
    assert judge(2, 7.99, 1, published_range(10)) == "below"


def test_a_small_published_value_is_met_before_its_direction_is_asked():
    assert judge(0.9, 0.95, 1, published_range(1.1)) == "reproduced"


def test_verdicts_are_those_of_the_contract():
    assert (
        *("reproduced", "beyond", "below", "not reproduced", "undecided"),
        "withdrawn by the authors",
    ) == VERDICTS
