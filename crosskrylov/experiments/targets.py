"""When a training curve first reaches its targets."""

from collections.abc import Sequence

import pandas as pd


def times_to_targets(curve: pd.DataFrame, targets: Sequence[float]) -> list[dict]:
    """Return, for every target SSIM, the first row of the curve that reaches it.

    A target that was never reached gets the last row, marked as not reached: its seconds are a
    lower bound, and its metrics are those at the end of the budget.

    Parameters
    ----------
    curve : DataFrame
        Columns step, train_seconds, seconds_with_evaluation, ssim, ssim_global, psnr_db, mse.
    targets : sequence of float
        Windowed SSIM.

    Returns
    -------
    list of dict
        One per target, with ``target_ssim`` and ``reached``.
    """
    rows = []
    for target in targets:
        hits = curve[curve["ssim"] >= target]
        row = (hits.iloc[0] if len(hits) else curve.iloc[-1]).to_dict()
        rows.append({"target_ssim": target, "reached": bool(len(hits)), **row})
    return rows
