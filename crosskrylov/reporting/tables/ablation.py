"""The table of the ablation: what changes the outcome of score embedding beyond the seeds."""

import logging
from collections.abc import Iterable, Mapping

import pandas as pd

from crosskrylov.learning.objectives.index import PUBLISHED

COLUMNS = (
    "dataset",
    "image_size",
    "variant",
    "outcome",
    "n_runs",
    "n_seeds",
    "mean",
    "smallest",
    "largest",
    "reference_mean",
    "reference_smallest",
    "reference_largest",
    "beyond_seed_spread",
)

logger = logging.getLogger(__name__)


def ablation_outcomes(
    results: Iterable[Mapping],
    target: float,
    main_variants: Mapping[str, str],
    metric: str = "ssim",
) -> pd.DataFrame:
    """Return one row per run and outcome.

    Outcomes are ``steps_to_`` and ``seconds_to_`` the metric (missing where the target was not
    reached) for single images, and the Fréchet distance for generation.

    Parameters
    ----------
    results : iterable of mapping
        Contents of the ``result.json`` files of the ablations, and of the main experiments on the
        same image sets, of which only ``main_variants`` are taken.
    target : float
        SSIM.
    main_variants : mapping
        Models of the main experiments that are variants too, and which.
    metric : {"ssim", "ssim_global"}
        The SSIM that the target is one of, and that runs pursue.
    """
    rows = []
    for result in results:
        is_main = not result["experiment"].startswith("ablation_")
        if is_main and result["model"] not in main_variants:
            continue
        shared = {key: result[key] for key in ("dataset", "image_size", "seed")}
        shared["variant"] = main_variants[result["model"]] if is_main else result["model"]
        for at in result.get("targets", []):
            if at["target_ssim"] == target and at.get("metric", "ssim") == metric:
                reached = at["reached"]
                steps = at["step"] if reached else None
                seconds = result["precompute_seconds"] + at["train_seconds"] if reached else None
                rows.append(shared | {"outcome": f"steps_to_{metric}", "value": steps})
                rows.append(shared | {"outcome": f"seconds_to_{metric}", "value": seconds})
        rows += [
            shared | {"outcome": entry["metric"], "value": entry["value"]}
            for entry in result.get("quality", [])
            if entry["metric"].startswith("frechet_")
        ]
    columns = ["dataset", "image_size", "variant", "seed", "outcome", "value"]
    table = pd.DataFrame(rows, columns=columns)
    table["value"] = table["value"].astype(float)
    return table


def ablation_table(
    results: Iterable[Mapping],
    target: float,
    main_variants: Mapping[str, str],
    metric: str = "ssim",
) -> pd.DataFrame:
    """Return mean and range over seeds of every variant, beside those of the published one.

    ``n_runs`` counts all seeds, ``n_seeds`` those that reached the target: mean and range are over
    these only.

    The finding goes to the log as one sentence.

    ``beyond_seed_spread`` says whether the two ranges over seeds are disjoint; with fewer than
    three that happens too easily by chance (one time in three with two), and the cell is empty.

    Parameters
    ----------
    results, target, main_variants, metric
        See `ablation_outcomes`.

    Returns
    -------
    DataFrame
        With `COLUMNS`.
    """
    table = compare_variants(ablation_outcomes(results, target, main_variants, metric))
    logger.info(ablation_sentence(table))
    return table


def compare_variants(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return `ablation_table` from the outcomes of single runs."""
    keys = ["dataset", "image_size", "outcome"]
    by_variant = outcomes.groupby([*keys, "variant"])
    groups = {key: group["value"].dropna() for key, group in by_variant}
    n_runs = by_variant.size()
    rows = []
    for (dataset, size, outcome, variant), values in groups.items():
        reference = groups.get((dataset, size, outcome, PUBLISHED), values[:0])
        row = {
            "dataset": dataset,
            "image_size": size,
            "variant": variant,
            "outcome": outcome,
            "n_runs": n_runs[(dataset, size, outcome, variant)],
            "n_seeds": len(values),
        }
        for prefix, numbers in (("", values), ("reference_", reference)):
            if len(numbers):
                row[f"{prefix}mean"] = numbers.mean()
                row[f"{prefix}smallest"] = numbers.min()
                row[f"{prefix}largest"] = numbers.max()
        if variant != PUBLISHED and min(len(values), len(reference)) > 2:
            row["beyond_seed_spread"] = bool(
                values.min() > reference.max() or values.max() < reference.min()
            )
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def ablation_sentence(table: pd.DataFrame) -> str:
    """Return the finding in one plain sentence."""
    judged = table.dropna(subset=["beyond_seed_spread"])
    failed = sorted(set(table["variant"][table["n_seeds"] == 0]))
    never = f" No seed reached the target with {', '.join(failed)}." if failed else ""
    if judged.empty:
        return f"The ablation has too few seeds to tell a variant's effect from chance.{never}"
    changed = judged[judged["beyond_seed_spread"].astype(bool)]
    if changed.empty:
        return (
            f"None of the {judged['variant'].nunique()} other variants changes an outcome by more "
            f"than the spread over seeds.{never}"
        )
    names = ", ".join(
        f"{variant} ({', '.join(group['outcome'])})"
        for variant, group in changed.groupby("variant")
    )
    return f"Beyond the spread over seeds, these variants change the outcome: {names}.{never}"
