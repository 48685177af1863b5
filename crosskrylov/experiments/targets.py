"""Targets of the single-image experiment: when a run may stop, and when its curve reached them."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from crosskrylov.learning.training.loop import Goal
from crosskrylov.metrics.names import SSIM_METRICS


def times_to_targets(
    curve: pd.DataFrame, targets: Sequence[float], metrics: Sequence[str] = SSIM_METRICS
) -> list[dict]:
    """Return, for every metric and target SSIM, the first row of the curve that reaches it.

    A target that was never reached gets the last row, marked as not reached: its steps and seconds
    are a lower bound, and its metrics are those at the end of the run.

    Parameters
    ----------
    curve : DataFrame
        Columns step, train_seconds, seconds_with_evaluation, ssim, ssim_global, psnr_db, mse.
    targets : sequence of float
        SSIM.
    metrics : sequence of str
        Columns that the targets are looked for in.

    Returns
    -------
    list of dict
        One per metric and target, with ``target_ssim``, ``metric`` and ``reached``.
    """
    rows = []
    for metric in metrics:
        for target in targets:
            hits = curve[curve[metric] >= target]
            row = (hits.iloc[0] if len(hits) else curve.iloc[-1]).to_dict()
            reached = bool(len(hits))
            rows.append({"target_ssim": target, "metric": metric, "reached": reached, **row})
    return rows


def run_goals(
    targets: Sequence[float],
    metrics: Sequence[str],
    bounds: Mapping[tuple[str, float], int] | None = None,
) -> tuple[Goal, ...]:
    """Return what ends a run: every target in every judged metric.

    Parameters
    ----------
    targets : sequence of float
        SSIM.
    metrics : sequence of str
        The judged metrics.
    bounds : mapping, optional
        By metric and target: the optimiser steps at which it is given up, see `step_bounds`.
    """
    bounds = bounds or {}
    return tuple(
        Goal(metric, target, bounds.get((metric, target)))
        for metric in metrics
        for target in targets
    )


def step_bounds(
    method: Mapping, multiples: Sequence[Sequence[float]]
) -> dict[tuple[str, float], int]:
    """Return when a baseline's run has shown as much as a published ratio asks for.

    Counted in steps, which do not depend on what else the machine does; all models of the
    experiment share network and batch.  The pre-computation counts as the steps that the method's
    own run did in such a time.

    Parameters
    ----------
    method : mapping
        Contents of the method's ``result.json`` for the same images and random seed.
    multiples : sequence of (target, multiple)
        The multiple of the method's time at which the baseline is given up.

    Returns
    -------
    dict
        Steps by metric and target; nothing where the method did not reach the target.  A target
        that nothing is claimed of is given up with the last one of its metric that something is.
    """
    by_target = {float(target): float(multiple) for target, multiple in multiples}
    bounds: dict[tuple[str, float], int] = {}
    unclaimed = []
    for at in method["targets"]:
        multiple = by_target.get(at["target_ssim"])
        metric = at.get("metric", "ssim")
        if multiple is None:
            unclaimed.append((metric, at["target_ssim"]))
        if multiple is None or not at["reached"]:
            continue
        before = method["precompute_seconds"] * at["step"] / at["train_seconds"]
        steps = math.ceil(multiple * (at["step"] + before))
        bounds[metric, at["target_ssim"]] = steps
    last = {metric: max(n for (m, _), n in bounds.items() if m == metric) for metric, _ in bounds}
    return bounds | {goal: last[goal[0]] for goal in unclaimed if goal[0] in last}
