"""The table of training: what every target SSIM and every budget took, a row per model and seed."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from crosskrylov.metrics.intervals import median_interval
from crosskrylov.metrics.names import SSIM_METRICS

#: Columns of results/tables/training.tsv, in order; between the last two one for each baseline.
COLUMNS = (
    "experiment",
    "dataset",
    "image_size",
    "model",
    "image",
    "seed",
    "target_ssim",
    "metric",
    "reached",
    "precompute_seconds",
    "steps",
    "seconds_per_step",
    "seconds",
    "wall_seconds",
    "parameters",
    "learning_rate",
    "ssim",
    "ssim_global",
    "psnr_db",
    "mse",
    *("speedup_vs_{baseline}", "speedup_is_lower_bound"),
)

#: Columns of results/tables/seconds_per_step.tsv, in order.
STEP_COLUMNS = (
    "experiment",
    "dataset",
    "image_size",
    "model",
    "images_per_batch",
    "repeats",
    "steps_per_repeat",
    "threads",
    "seconds_per_step",
    "seconds_per_step_low",
    "seconds_per_step_high",
)

#: What a calibration says of the steps that it timed; one from before has batches of one image.
_CALIBRATED = ("experiment", "dataset", "model", "images_per_batch")

#: Metric of the runs of old records, which say none.
OLD_METRIC = SSIM_METRICS[1]


def columns_of(baselines: Sequence[str]) -> list[str]:
    """Return `COLUMNS` for these baselines."""
    *first, speedup, last = COLUMNS
    return [*first, *(speedup.format(baseline=name) for name in baselines), last]


def training_table(
    results: Iterable[Mapping],
    baselines: Sequence[str],
    calibrations: Iterable[pd.DataFrame] = (),
) -> pd.DataFrame:
    """Return the table from the results of single runs.

    ``seconds`` to a target are steps times the calibrated seconds per step; ``wall_seconds`` are
    those that the steps took in the run itself.  ``speedup_vs_{baseline}`` is the baseline's
    pre-computation and seconds over the model's, at equal data set, image, seed, target and metric.
    A run that did not reach a target has steps, but no seconds to it: of a baseline they make a
    lower bound, and so of the speed-up (``speedup_is_lower_bound`` is true where that holds for one
    of the speed-ups in the row); of the model itself there is no speed-up.

    Parameters
    ----------
    results : iterable of mapping
        Contents of the ``result.json`` files of the experiments single_image and budget.
    baselines : sequence of str
        The models that speed-ups are given against.
    calibrations : iterable of DataFrame
        See `crosskrylov.experiments.calibration.calibrate`, with experiment and dataset; a model
        that is in none has no seconds.

    Returns
    -------
    DataFrame
        With `columns_of` the baselines; values that were not measured are missing.
    """
    cost = {
        tuple(row[key] for key in _CALIBRATED): row["seconds_per_step"]
        for row in seconds_per_step(calibrations).to_dict("records")
    }
    rows = [row for result in results for row in _rows(result, cost)]
    for name in baselines:
        paired = {_pairing(row): row for row in rows if row["model"] == name and "at_least" in row}
        for row in rows:
            other = paired.get(_pairing(row))
            if other is None or row["model"] in baselines or "seconds" not in row:
                continue
            row[f"speedup_vs_{name}"] = other["at_least"] / row["at_least"]
            bounded = row.get("speedup_is_lower_bound", False) or not other["reached"]
            row["speedup_is_lower_bound"] = bounded
    table = pd.DataFrame(rows, columns=columns_of(baselines))
    order = ["experiment", "dataset", "metric", "target_ssim", "model", "image", "seed"]
    return table.sort_values(order, ignore_index=True)


def seconds_per_step(calibrations: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return what a step of each model takes: the median over repeats and its 95 % interval.

    Parameters
    ----------
    calibrations : iterable of DataFrame
        A row per model and repeat, of which ``seconds`` are those of one step.

    Returns
    -------
    DataFrame
        With `STEP_COLUMNS`.
    """
    rows = []
    for table in calibrations:
        keys = ["experiment", "dataset", "image_size", "model", "images_per_batch"]
        table = table if "images_per_batch" in table else table.assign(images_per_batch=1)
        for labels, repeats in table.groupby(keys, sort=False):
            median, low, high = median_interval(repeats["seconds"])
            of_repeats = (len(repeats), repeats["steps"].iloc[0], repeats["threads"].iloc[0])
            rows.append((*labels, *of_repeats, median, low, high))
    return pd.DataFrame(rows, columns=list(STEP_COLUMNS)).sort_values(
        ["dataset", "images_per_batch", "model"], ignore_index=True
    )


def images_together(images: pd.Series) -> pd.Series:
    """Return how many images each run was trained on, from the column ``image``: "0+1+2" is three.

    Parameters
    ----------
    images : Series
        Where it says nothing, the run is on one image.
    """
    return 1 + images.astype(object).fillna("").astype(str).str.count(r"\+")


def _pairing(row: Mapping) -> tuple:
    """Return what two rows must have in common to be compared."""
    keys = ("experiment", "dataset", "image", "seed", "target_ssim", "metric")
    return tuple(row.get(key) for key in keys)


def _rows(result: Mapping, cost: Mapping[tuple, float]) -> list[dict]:
    """Return one row per target (single image), or the one row of a budget run.

    A row with calibrated seconds also has ``at_least``, these and the pre-computation: to the
    target, or to where the run was stopped.
    """
    named = ("experiment", "dataset", "image_size", "model", "seed")
    also = ("image", "learning_rate")  # of which old records say nothing
    shared = {key: result[key] for key in named} | {key: result.get(key) for key in also}
    shared |= {key: result[key] for key in ("parameters", "precompute_seconds")}
    steps_of = {"images_per_batch": 1, **result}
    shared["seconds_per_step"] = cost.get(tuple(steps_of[key] for key in _CALIBRATED))
    if "targets" not in result:
        return [shared | {"steps": result["steps"], "wall_seconds": result["train_seconds"]}]
    return [_row(shared, at) for at in result["targets"]]


def _row(shared: Mapping, at: Mapping) -> dict:
    cost = shared["seconds_per_step"]
    row = {**shared, "target_ssim": at["target_ssim"], **passage(at, cost)}
    row |= {key: at[key] for key in ("psnr_db", "mse")}
    if cost is not None:
        row["at_least"] = row["precompute_seconds"] + row["steps"] * cost
    return row


def passage(at: Mapping, seconds_per_step: float | None) -> dict:
    """Return what a run's record says of one target, as columns that several tables share.

    Parameters
    ----------
    at : mapping
        An entry of ``targets`` of a ``result.json``.
    seconds_per_step : float or None
        Calibrated; ``seconds`` are steps times these, left out where they are not known or the
        target was not reached.
    """
    columns = {
        "metric": at.get("metric", OLD_METRIC),
        "reached": at["reached"],
        "steps": int(at["step"]),
        "wall_seconds": at["train_seconds"],
        "ssim": at["ssim"],
        "ssim_global": at["ssim_global"],
    }
    if seconds_per_step is not None and at["reached"]:
        columns["seconds"] = columns["steps"] * seconds_per_step
    return columns


def training_curves(results: Sequence[Mapping], curves: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the curves of runs in one table, with what identifies them and ``total_seconds``.

    Parameters
    ----------
    results : sequence of mapping
        Contents of the ``result.json`` files.
    curves : sequence of DataFrame
        The curves of the same runs; ``total_seconds`` counts the pre-computation.  ``image`` is
        empty for runs on a whole set.
    """
    parts = [
        curve.assign(
            total_seconds=curve["train_seconds"] + result["precompute_seconds"],
            **{key: result.get(key, "") for key in ("dataset", "model", "image", "seed")},
        )
        for result, curve in zip(results, curves, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)
