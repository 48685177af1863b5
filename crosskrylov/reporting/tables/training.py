"""The table of training: what every target SSIM and every budget took, a row per model and seed."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

#: Columns of results/tables/training.tsv, in order, for a baseline. The last goes beyond the
#: contract: the clock with evaluations inside, as in the published script.
COLUMNS = (
    "experiment",
    "dataset",
    "image_size",
    "model",
    "seed",
    "target_ssim",
    "reached",
    "precompute_seconds",
    "train_seconds",
    "total_seconds",
    "steps",
    "parameters",
    "ssim",
    "ssim_global",
    "psnr_db",
    "mse",
    "speedup_vs_{baseline}",
    "speedup_is_lower_bound",
    "total_seconds_with_evaluation",
)


def training_table(results: Iterable[Mapping], baseline: str) -> pd.DataFrame:
    """Return the table from the results of single runs.

    ``total_seconds`` is pre-computation plus training. ``speedup_vs_{baseline}`` is the baseline's
    total over the model's, at equal data set, seed and target. If the baseline did not reach the
    target its total is a lower bound, and so is the speed-up; if the model itself did not, there is
    none.

    Parameters
    ----------
    results : iterable of mapping
        Contents of the ``result.json`` files of the experiments single_image and budget.
    baseline : str
        The model that speed-ups are given against.

    Returns
    -------
    DataFrame
        With `COLUMNS`; values that were not measured are missing.
    """
    speedup = f"speedup_vs_{baseline}"
    rows = [row for result in results for row in _rows(result)]
    baselines = {_pairing(row): row for row in rows if row["model"] == baseline and row["machine"]}
    for row in rows:
        paired = baselines.get(_pairing(row))
        if paired is row or not row.get("reached") or paired is None:
            continue
        row[speedup] = paired["total_seconds"] / row["total_seconds"]
        row["speedup_is_lower_bound"] = not paired["reached"]
    columns = [column.format(baseline=baseline) for column in COLUMNS]
    table = pd.DataFrame(rows, columns=columns)
    order = ["experiment", "dataset", "image_size", "target_ssim", "model", "seed"]
    return table.sort_values(order, ignore_index=True)


def _pairing(row: Mapping) -> tuple:
    """Return what two rows must have in common to be compared."""
    keys = ("experiment", "dataset", "seed", "target_ssim", "machine")
    return tuple(row.get(key) for key in keys)


def _rows(result: Mapping) -> list[dict]:
    """Return one row per target (single image), or the one row of a budget run."""
    shared = {key: result[key] for key in ("experiment", "dataset", "image_size", "model", "seed")}
    shared["machine"] = result.get("machine", "this")
    shared |= {
        "parameters": result["parameters"],
        "precompute_seconds": result["precompute_seconds"],
    }
    if "targets" not in result:
        seconds = result["train_seconds"]
        total = result["precompute_seconds"] + seconds
        return [
            shared
            | {
                "train_seconds": seconds,
                "total_seconds": total,
                "steps": result["steps"],
                "total_seconds_with_evaluation": total + result["evaluation_seconds"],
            }
        ]
    return [
        shared
        | {
            "target_ssim": at["target_ssim"],
            "reached": at["reached"],
            "train_seconds": at["train_seconds"],
            "total_seconds": result["precompute_seconds"] + at["train_seconds"],
            "steps": int(at["step"]),
            **{key: at[key] for key in ("ssim", "ssim_global", "psnr_db", "mse")},
            "total_seconds_with_evaluation": result["precompute_seconds"]
            + at["seconds_with_evaluation"],
        }
        for at in result["targets"]
    ]


def training_curves(results: Sequence[Mapping], curves: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the curves of runs in one table, with dataset, model, seed and ``total_seconds``.

    Parameters
    ----------
    results : sequence of mapping
        Contents of the ``result.json`` files.
    curves : sequence of DataFrame
        The curves of the same runs; ``total_seconds`` counts the pre-computation.
    """
    parts = [
        curve.assign(
            total_seconds=curve["train_seconds"] + result["precompute_seconds"],
            **{key: result[key] for key in ("dataset", "model", "seed")},
        )
        for result, curve in zip(results, curves, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)
