"""Times to a target compared image by image: ratios with intervals, tests, and what would decide.

A run that ended before its target leaves a bound: its time is at least what it took.  One that was
there when it was first looked at leaves a bound as well: its time is at most that.  A ratio of two
times is then known to be at least so large, or at most so large, or not at all.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from crosskrylov.metrics.intervals import Interval, median_interval
from crosskrylov.metrics.paired import pairs_to_decide, standard_effect
from crosskrylov.reporting.tables.training import images_together

#: Columns of results/tables/paired.tsv, in order.
COLUMNS = (
    *("experiment", "dataset", "image_size", "images_together", "target_ssim", "metric"),
    *("model", "against", "pairs", "exact", "at_least", "at_most", "unknown"),
    *("ratio", "ratio_low", "ratio_high", "faster", "slower"),
    *("effect_size", "test", "p_value", "finding", "images_to_decide"),
)

NO_INTERVAL = Interval(float("nan"), float("nan"), float("nan"))


class Ratios(NamedTuple):
    """Ratios of two times, an image each: between ``low`` and ``high``, equal where it is known."""

    low: np.ndarray
    high: np.ndarray


def spent_seconds(runs: pd.DataFrame) -> pd.Series:
    """Return what every run took to its target, or until it ended: pre-computation and steps.

    Missing where the table has no calibrated seconds.
    """
    if "seconds_per_step" not in runs:
        return pd.Series(np.nan, index=runs.index)
    return runs["precompute_seconds"] + runs["steps"] * runs["seconds_per_step"]


def time_bounds(runs: pd.DataFrame, first_steps: Iterable[int] = ()) -> pd.DataFrame:
    """Return the least and the most that every run may have taken to its target, in seconds.

    Parameters
    ----------
    runs : DataFrame
        Rows of training.tsv.
    first_steps : iterable of int
        Steps at which runs like these were evaluated for the first time.

    Returns
    -------
    DataFrame
        Columns low and high, with the index of ``runs``: equal where the target was reached between
        two evaluations; ``high`` infinite where it was not reached; ``low`` nought where it was
        reached by the first evaluation, or where nothing is known.  Missing where it was reached
        and there are no calibrated seconds.
    """
    spent = spent_seconds(runs)
    reached = runs.reached.astype(str) == "True"
    at_first = pd.Series(False, index=runs.index)
    if "steps" in runs:
        at_first = reached & runs.steps.isin(list(first_steps))
    low = spent.where(reached, spent.fillna(0.0)).mask(at_first & spent.notna(), 0.0)
    return pd.DataFrame({"low": low, "high": spent.where(reached, np.inf)})


def paired_ratios(
    runs: pd.DataFrame, others: pd.DataFrame, first_steps: Iterable[int] = ()
) -> Ratios:
    """Return the others' times over the runs' own, paired by image and random seed.

    Of several random seeds of an image the median counts: they are no further images.

    Parameters
    ----------
    runs, others : DataFrame
        Rows of training.tsv of one model each, to one target in one metric.
    first_steps : iterable of int
        See `time_bounds`.
    """
    first_steps = list(first_steps)
    both = _with_times(runs, first_steps).merge(
        _with_times(others, first_steps), on=["image", "seed"], suffixes=("", "_of")
    )
    ratios = both.assign(low=both.low_of / both.high, high=both.high_of / both.low)
    by_image = ratios.dropna(subset=["low", "high"]).groupby("image")[["low", "high"]].median()
    return Ratios(by_image.low.to_numpy(), by_image.high.to_numpy())


def _with_times(runs: pd.DataFrame, first_steps: list[int]) -> pd.DataFrame:
    found = runs[["seed"]].join(time_bounds(runs, first_steps))
    images = runs["image"] if "image" in runs else pd.Series("", index=runs.index)
    # which one, old records do not say
    return found.assign(image=images.astype(object).fillna("").astype(str))


def ratio_bounds(ratios: Ratios) -> Interval:
    """Return the median ratio with its 95 % interval, an end of which may be open.

    Known ratios give `median_interval`.  With bounds among them the lower end is that of the
    smallest ratios that they allow: capped where a run was stopped, a ratio is no larger than the
    true one, and neither is the typical size of capped ratios.  Likewise the upper end.  Where a
    bound is nought or infinite, that end is open; the median is then that of the other end's, and a
    bound itself.
    """
    low, high = ratios
    if not len(low):
        return NO_INTERVAL
    below = median_interval(low) if (low > 0).all() else NO_INTERVAL
    above = median_interval(high) if np.isfinite(high).all() else NO_INTERVAL
    median = above.median if np.isnan(below.median) else below.median
    return Interval(median, below.low, above.high)


def paired_table(
    training: pd.DataFrame,
    against: Iterable[str],
    first_steps: Mapping[str, Iterable[int]] | None = None,
) -> pd.DataFrame:
    """Compare every model's times to every target with those of the models ``against``.

    A ratio is the other's time over the model's: above 1 the model is the faster.  ``exact`` of the
    ``pairs`` are known, ``at_least`` and ``at_most`` are bounds, ``unknown`` ones have neither.
    Where all are known the test is Wilcoxon's signed-rank test of their logarithms and
    ``effect_size`` its rank-biserial correlation; else the sign test of those pairs that say who
    was faster, with the difference of their shares.  Both are two-sided, and neither is corrected
    for the number of targets.  ``finding`` is what the interval says of 1.  ``images_to_decide`` is
    the number of images with which a paired t test would find the measured effect, if it is the
    true one, four times out of five.

    Parameters
    ----------
    training : DataFrame
        training.tsv.
    against : iterable of str
        Models.
    first_steps : mapping, optional
        By data set: the steps at which its runs were evaluated for the first time.

    Returns
    -------
    DataFrame
        With `COLUMNS`; a row per target, metric and pair of models that share an image.
    """
    runs = training[training.target_ssim.notna()]
    runs = runs.assign(images_together=images_together(runs.image))
    keys = list(COLUMNS[:6])
    first_steps = first_steps or {}
    rows = []
    for about, group in runs.groupby(keys):
        first = first_steps.get(about[keys.index("dataset")], ())
        models = dict(list(group.groupby("model")))
        for other in against:
            for model in sorted(models.keys() - {other}) if other in models else ():
                ratios = paired_ratios(models[model], models[other], first)
                if len(ratios.low):
                    rows.append((*about, model, other, *_compared(ratios)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _compared(ratios: Ratios) -> tuple:
    """Return the columns from ``pairs`` on."""
    low, high = ratios
    exact = low == high
    unknown = (low == 0) & np.isinf(high)
    counts = (exact.sum(), (np.isinf(high) & ~unknown).sum(), ((low == 0) & ~unknown).sum())
    median, lowest, highest = ratio_bounds(ratios)
    faster, slower = int((low > 1).sum()), int((high < 1).sum())
    finding = "faster" if lowest > 1 else "slower" if highest < 1 else "undecided"
    needed = pairs_to_decide(standard_effect(low[exact])) if finding == "undecided" else None
    return (
        *(len(low), *map(int, counts), int(unknown.sum())),
        *(median, lowest, highest, faster, slower),
        *_tested(low, exact.all(), faster, slower),
        *(finding, needed),
    )


def _tested(ratios: np.ndarray, exact: bool, faster: int, slower: int) -> tuple:
    """Return effect size, test and p."""
    logs = np.log(ratios) if exact else ratios
    if exact and len(logs) > 1 and logs.any():
        ranks = stats.rankdata(np.abs(logs))
        effect = float((np.sign(logs) * ranks).sum() / ranks.sum())
        return effect, "wilcoxon", float(stats.wilcoxon(logs).pvalue)
    if not faster + slower:
        return None, None, None
    effect = (faster - slower) / len(ratios)
    return effect, "sign", float(stats.binomtest(faster, faster + slower).pvalue)
