"""Medians of repeated times, and of ratios of times, with intervals."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit  # scipy.stats would be a second of every job's start

from crosskrylov.errors import DataError


class Interval(NamedTuple):
    """A median and the interval around it; low and high are NaN where nothing was repeated."""

    median: float
    low: float
    high: float


def median_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Return the median of positive values with an interval for their typical size.

    Times and ratios of times scatter by factors, so the interval is Student's on their logarithms.
    An interval for the median without such an assumption needs six values at the least.  Where the
    values are so skew that the interval leaves out the median, it is widened to hold it.

    Parameters
    ----------
    values : sequence of float
        Independent repeats, in any unit; all positive.
    level : float
        Coverage, 0.95 for 95 %.

    Returns
    -------
    Interval

    Raises
    ------
    DataError
        If there is no value, or one is not positive and finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0 or not (np.isfinite(values) & (values > 0)).all():
        raise DataError(f"An interval needs positive values, found {values.tolist()[:20]}.")
    median = float(np.median(values))
    if values.size == 1:
        return Interval(median, float("nan"), float("nan"))
    logs = np.log(values)
    error = logs.std(ddof=1) / np.sqrt(values.size)
    reach = stdtrit(values.size - 1, 0.5 + level / 2) * error
    low, high = np.exp(logs.mean() + np.array([-reach, reach]))
    return Interval(median, min(float(low), median), max(float(high), median))


def ratio_interval(
    numerators: Sequence[float], denominators: Sequence[float], level: float = 0.95
) -> Interval:
    """Return `median_interval` of ratios that are paired, repeat by repeat.

    Repeats that are interleaved share what the machine did at the time, which a ratio inside the
    repeat cancels.

    Parameters
    ----------
    numerators, denominators : sequences of float
        Positive, of the same length: the same repeat at the same place.
    level : float

    Raises
    ------
    DataError
        If the lengths differ, or a value is not positive and finite.
    """
    numerators, denominators = np.asarray(numerators), np.asarray(denominators)
    if numerators.shape != denominators.shape:
        raise DataError(
            f"Ratios pair repeats, found {numerators.size} of one and {denominators.size} of the "
            "other."
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        return median_interval(numerators / denominators, level)


def order_interval(groups: Iterable[tuple[Sequence[float], Sequence[float]]]) -> Interval:
    """Return an observed order of convergence: the median over independent groups of runs.

    The order of a group is minus the slope of log error against log evaluations. 2^order, the
    factor by which the error falls where the evaluations double, is what gets `median_interval`.

    Parameters
    ----------
    groups : iterable of (sequence, sequence)
        Evaluations and errors; a group of a single number of evaluations, or with an error of zero,
        has no order.
    """
    factors = [
        2.0 ** -np.polyfit(np.log(evaluations), np.log(errors), 1)[0]
        for evaluations, errors in groups
        if len(set(evaluations)) > 1 and min(errors) > 0
    ]
    if not factors:
        return Interval(float("nan"), float("nan"), float("nan"))
    return Interval(*(float(np.log2(value)) for value in median_interval(factors)))


def signed_interval(
    values: Sequence[float], bounds: tuple[float, float], level: float = 0.95
) -> Interval:
    """Return the median of values of either sign, such as correlations, with Student's interval.

    The interval is widened to hold the median, and cut where the values cannot lie.

    Parameters
    ----------
    values : sequence of float
        Independent repeats.
    bounds : (float, float)
        The least and the largest value that there can be.
    level : float

    Raises
    ------
    DataError
        If there is no value, or one is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        raise DataError(f"An interval needs finite values, found {values.tolist()[:20]}.")
    median = float(np.median(values))
    if values.size == 1:
        return Interval(median, float("nan"), float("nan"))
    error = values.std(ddof=1) / np.sqrt(values.size)
    reach = stdtrit(values.size - 1, 0.5 + level / 2) * error
    low, high = np.clip(values.mean() + np.array([-reach, reach]), *bounds)
    return Interval(median, min(float(low), median), max(float(high), median))
