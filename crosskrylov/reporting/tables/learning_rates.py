"""The tables of the learning-rate sweep: every run, and the best rate of each family."""

import logging
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from crosskrylov.metrics.intervals import median_interval
from crosskrylov.reporting.tables.costs import step_costs
from crosskrylov.reporting.tables.training import passage

#: Columns of results/tables/learning_rates.tsv, in order.
COLUMNS = (
    "dataset",
    "image_size",
    "family",
    "model",
    "learning_rate",
    "image",
    "seed",
    "metric",
    "target",
    "reached",
    "steps",
    "seconds_per_step",
    "seconds",
    "precompute_seconds",
    "wall_seconds",
    "ssim",
    "ssim_global",
)

#: Columns of results/tables/best_rates.tsv, in order.
BEST_COLUMNS = (
    "dataset",
    "image_size",
    "family",
    "learning_rate",
    "metric",
    "target",
    "n_runs",
    "n_reached",
    "steps",
    "steps_low",
    "steps_high",
    "chosen",
    "at_the_end",
)

logger = logging.getLogger(__name__)


def learning_rates_table(
    results: Iterable[Mapping],
    families: Mapping[str, str],
    calibrations: Iterable[pd.DataFrame] = (),
) -> pd.DataFrame:
    """Return a row per run of the sweep, metric and target.

    Parameters
    ----------
    results : iterable of mapping
        Contents of ``result.json``.
    families : mapping
        Family of every model.
    calibrations : iterable of DataFrame
        ``seconds`` are steps times their seconds per step, missing where the target was not
        reached.

    Returns
    -------
    DataFrame
        With `COLUMNS`; ``steps`` of a run that did not reach its target are those at which it was
        stopped.
    """
    costs = step_costs(calibrations)
    rows = []
    for result in results:
        shared = {key: result.get(key) for key in ("dataset", "image_size", "image", "seed")}
        shared |= {key: result[key] for key in ("model", "learning_rate", "precompute_seconds")}
        shared["family"] = families[result["model"]]
        shared["seconds_per_step"] = cost = costs(result, result["model"])
        rows += [
            shared | {"target": at["target_ssim"], **passage(at, cost)} for at in result["targets"]
        ]
    order = ["dataset", "metric", "target", "family", "model", "learning_rate", "image", "seed"]
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(order, ignore_index=True)


def best_rates(
    results: Iterable[Mapping],
    families: Mapping[str, str],
    target: float,
    metric: str,
) -> pd.DataFrame:
    """Return a row per family and rate, the best one marked; see `rates_by_family`."""
    table = learning_rates_table(results, families)
    best = rates_by_family(table, target, metric)
    logger.info(rates_sentence(best))
    return best


def rates_by_family(table: pd.DataFrame, target: float, metric: str) -> pd.DataFrame:
    """Return how the models of each family do at every rate, by one target in one metric.

    The best rate is the one at which most runs reach the target, and of these the one with the
    smallest geometric mean of steps, where a run that was stopped counts with the steps until then.
    A family of which no run reaches it has no best rate.
    ``at_the_end`` marks a best rate that is the smallest or the largest tried: beyond it there may
    be a better one.

    Parameters
    ----------
    table : DataFrame
        See `learning_rates_table`.
    target : float
    metric : str

    Returns
    -------
    DataFrame
        With `BEST_COLUMNS`; ``steps`` is the median over runs, with its 95 % interval.
    """
    chosen = table[(table["target"] == target) & (table["metric"] == metric)]
    rows = []
    for (dataset, size, family), runs in chosen.groupby(["dataset", "image_size", "family"]):
        of_family = []
        for rate, group in runs.groupby("learning_rate"):
            median, low, high = median_interval(group["steps"])
            of_family.append(
                {
                    "dataset": dataset,
                    "image_size": size,
                    "family": family,
                    "learning_rate": rate,
                    "metric": metric,
                    "target": target,
                    "n_runs": len(group),
                    "n_reached": int(group["reached"].astype(bool).sum()),
                    "steps": median,
                    "steps_low": low,
                    "steps_high": high,
                    "mean_log": float(np.log(group["steps"]).mean()),
                }
            )
        best = min(of_family, key=lambda row: (-row["n_reached"], row["mean_log"]))
        for k, row in enumerate(of_family):
            row["chosen"] = row is best and row["n_reached"] > 0
            row["at_the_end"] = row["chosen"] and k in (0, len(of_family) - 1)
        rows += of_family
    return pd.DataFrame(rows, columns=list(BEST_COLUMNS))


def rates_sentence(table: pd.DataFrame) -> str:
    """Return the best rates in one plain sentence."""
    best = table[table["chosen"].astype(bool)]
    if best.empty:
        return "No run of the sweep reached its target"
    said = [
        f"{row['family'].replace('_', ' ')} at {row['learning_rate']:g}"
        + (" (the end of the range)" if row["at_the_end"] else "")
        for row in best.to_dict("records")
    ]
    ssim = "one-window SSIM" if best["metric"].iloc[0] == "ssim_global" else "windowed SSIM"
    return f"Chosen for {ssim} {best['target'].iloc[0]:g}: {', '.join(said)}"
