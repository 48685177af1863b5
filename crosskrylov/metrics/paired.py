"""Paired comparisons of runs, some of which may have been stopped before they got there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from crosskrylov.errors import DataError
from crosskrylov.metrics.intervals import Interval, median_interval

#: Error that a verdict allows, and power at which `pairs_to_decide` counts.
LEVEL, POWER = 0.05, 0.8

#: More pairs than these decide nothing that anybody would run.
MOST_PAIRS = 10_000

#: Up to so many pairs every pattern of signs is tried; more are sampled, with this seed.
_EXACT_PAIRS, _SEED = 13, 0


@dataclass(frozen=True)
class Times:
    """Steps or seconds of runs to a target, and whether each got there.

    Attributes
    ----------
    values : sequence of float
        To the target, or to where the run was stopped; all positive.
    reached : sequence of bool
        False: the run was stopped, and would have taken longer.
    """

    values: Sequence[float]
    reached: Sequence[bool]


def paired_ratios(times: Times, reference: Times) -> np.ndarray:
    """Return times over reference times, pair by pair, each no farther from 1 than the true ratio.

    Runs that were stopped stay in. Both of a pair are cut at the earliest stop in it: a run that
    arrived before the other was stopped has won, by that ratio at least; two runs that were both
    stopped, or of which one was stopped before the other arrived, count as equal.

    Parameters
    ----------
    times, reference : Times
        Of equal length: the same image and random seed at the same place.

    Raises
    ------
    DataError
        If lengths differ, or a time is not positive and finite.
    """
    a, b = np.asarray(times.values, dtype=float), np.asarray(reference.values, dtype=float)
    got_a, got_b = (np.asarray(one.reached, dtype=bool) for one in (times, reference))
    if not a.shape == b.shape == got_a.shape == got_b.shape:
        raise DataError(f"Pairs need as many of one as of the other, found {a.size} and {b.size}.")
    both = np.concatenate([a, b])
    if not (np.isfinite(both) & (both > 0)).all():
        raise DataError(f"Paired times have to be positive, found {both.tolist()[:20]}.")
    stop = np.minimum(np.where(got_a, np.inf, a), np.where(got_b, np.inf, b))
    return np.minimum(a, stop) / np.minimum(b, stop)


def sign_flip_p(ratios: Sequence[float]) -> float:
    """Return the two-sided p value of paired ratios: as often as chance moves their mean so far.

    Where two runs of a pair are exchangeable, a ratio is as likely as its inverse. The test flips
    the signs of the logarithms in every way. It stays valid where runs were stopped, since
    `paired_ratios` cuts both runs of a pair at one place.

    Parameters
    ----------
    ratios : sequence of float
        See `paired_ratios`. Missing (NaN) for fewer than two pairs.
    """
    logs = np.log(np.asarray(ratios, dtype=float))
    if logs.size < 2:
        return float("nan")
    if not logs.any():
        return 1.0
    n = 2**_EXACT_PAIRS
    found = stats.permutation_test(
        (logs,),
        np.mean,
        permutation_type="samples",
        n_resamples=n if logs.size <= _EXACT_PAIRS else n - 1,
        vectorized=True,
        rng=np.random.default_rng(_SEED),
    )
    return float(found.pvalue)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Return p values corrected for their number after Holm; missing ones (NaN) do not count."""
    p = np.asarray(p_values, dtype=float)
    order = [k for k in np.argsort(p, kind="stable") if np.isfinite(p[k])]
    corrected, largest = np.full(p.shape, np.nan), 0.0
    for rank, k in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p[k]))
        corrected[k] = largest
    return corrected


def standard_effect(ratios: Sequence[float]) -> float:
    """Return the mean of the ratios' logarithms over their standard deviation (Cohen's d_z).

    Missing (NaN) where it is not defined: fewer than two pairs, or ratios that are all the same.
    """
    logs = np.log(np.asarray(ratios, dtype=float))
    if logs.size < 2 or np.ptp(logs) < 1e-12:
        return float("nan")
    return float(logs.mean() / logs.std(ddof=1))


def pairs_to_decide(effect: float, comparisons: int = 1) -> float:
    """Return with how many pairs a paired t test would find an effect: two-sided 5 %, power 80 %.

    Parameters
    ----------
    effect : float
        See `standard_effect`.
    comparisons : int
        Comparisons that the 5 % are shared by (Bonferroni).

    Returns
    -------
    float
        Missing (NaN) where there is no effect to decide, or where more than `MOST_PAIRS` would be
        needed.
    """
    if not np.isfinite(effect) or effect == 0:
        return float("nan")
    numbers = np.arange(2, MOST_PAIRS + 1)
    critical = stats.t.ppf(1 - LEVEL / comparisons / 2, numbers - 1)
    enough = stats.nct.sf(critical, numbers - 1, abs(effect) * np.sqrt(numbers)) >= POWER
    return float(numbers[enough.argmax()]) if enough.any() else float("nan")


def ratio_of_pairs(ratios: Sequence[float]) -> Interval:
    """Return the median of paired ratios with its 95 % interval, see `median_interval`."""
    return median_interval(ratios)
