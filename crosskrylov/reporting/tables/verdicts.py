"""What a measured interval says of a published value: one verdict for every claim."""

import math

REPRODUCED, BEYOND, BELOW = "reproduced", "beyond", "below"
NOT_REPRODUCED, UNDECIDED = "not reproduced", "undecided"
WITHDRAWN = "withdrawn by the authors"
VERDICTS = (REPRODUCED, BEYOND, BELOW, NOT_REPRODUCED, UNDECIDED, WITHDRAWN)

#: A single published value counts as met from value/TOLERANCE to TOLERANCE value.
TOLERANCE = 1.25


def published_range(value: float) -> tuple[float, float]:
    """Return the range in which a single published value counts as met."""
    return value / TOLERANCE, value * TOLERANCE


def judge(
    low: float | None,
    high: float | None,
    neutral: float,
    published: tuple[float, float] | None = None,
) -> str:
    """Return the verdict on a claim that something is larger than ``neutral``.

    Parameters
    ----------
    low, high : float or None
        The measured interval; None or NaN where there is none.  With ``low`` alone the baseline was
        stopped at a bound: the value is at least ``low``, which may confirm the claim but says
        neither that it was exceeded nor that it failed.  With ``high`` alone the value is at most
        that, which may refute the claim but not confirm it.
    neutral : float
        The value that means no effect: 0 for a saving, 1 for a ratio.
    published : (float, float), optional
        The published range; without it the claim is of the direction alone.

    Returns
    -------
    str
        "reproduced": the interval meets the published range, its ends included (a claim of the
        direction alone: it lies wholly on the claimed side of ``neutral``); "beyond", "below": it
        lies wholly above or below the range, on the claimed side of ``neutral``; "not reproduced":
        wholly on the other side; "undecided": otherwise.
    """
    low, high = (math.nan if end is None else float(end) for end in (low, high))
    if math.isnan(low):
        return NOT_REPRODUCED if high < neutral else UNDECIDED
    if math.isnan(high):
        enough = low > neutral if published is None else low >= published[0]
        return REPRODUCED if enough else UNDECIDED
    if published is not None:
        if low <= published[1] and high >= published[0]:
            return REPRODUCED
        if low > published[1]:
            return BEYOND
    if high < neutral:
        return NOT_REPRODUCED
    if low <= neutral:
        return UNDECIDED
    return REPRODUCED if published is None else BELOW
