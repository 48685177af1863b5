"""The tables of the controls: what in score embedding does what, paired over images and seeds."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from crosskrylov.metrics.paired import (
    LEVEL,
    Times,
    holm,
    paired_ratios,
    pairs_to_decide,
    ratio_of_pairs,
    sign_flip_p,
    standard_effect,
)
from crosskrylov.reporting.tables.costs import step_costs
from crosskrylov.reporting.tables.training import passage

#: Columns of results/tables/controls.tsv, in order.
COLUMNS = (
    "experiment",
    "dataset",
    "image_size",
    "control",
    "scaled",
    "model",
    "image",
    "seed",
    "metric",
    "target",
    "reached",
    "steps",
    "precompute_seconds",
    "seconds_per_step",
    "seconds",
    "wall_seconds",
    "learning_rate",
    "ssim",
    "ssim_global",
    "value",
)

#: Columns of results/tables/control_effects.tsv, in order.
EFFECT_COLUMNS = (
    "experiment",
    "dataset",
    "image_size",
    "control",
    "scaled",
    "reference",
    "reference_scaled",
    "metric",
    "target",
    "n_pairs",
    "n_images",
    "n_reached",
    "n_reference_reached",
    "n_neither_reached",
    "ratio",
    "ratio_low",
    "ratio_high",
    "effect",
    "better",
    "worse",
    "p_value",
    "p_holm",
    "verdict",
    "images_to_decide",
)

_KEYS = ["experiment", "dataset", "image_size", "metric", "target"]

logger = logging.getLogger(__name__)


def controls_table(
    results: Iterable[Mapping],
    controls: Mapping[str, Mapping[str, Any]],
    calibrations: Iterable[pd.DataFrame] = (),
) -> pd.DataFrame:
    """Return a row per run, metric and target (single images), or per run and distance (budget).

    Parameters
    ----------
    results : iterable of mapping
        Contents of ``result.json`` of the variants, and of runs of the main experiments that stand
        for one.
    controls : mapping
        By experiment and model joined by a slash: ``control`` (its name), ``scaled``, ``model``
        (what is trained) and ``against`` (control and scaled of those that it is compared with).
        Other runs are left out.
    calibrations : iterable of DataFrame
        See `crosskrylov.reporting.tables.training.seconds_per_step`; ``seconds`` are steps times
        these, missing where the target was not reached.

    Returns
    -------
    DataFrame
        With `COLUMNS`; ``steps`` of a run that did not reach its target are those at which it was
        stopped.
    """
    costs = step_costs(calibrations)
    rows = []
    for result in results:
        control = controls.get(f"{result['experiment']}/{result['model']}")
        if control is not None:
            rows += _rows(result, control, costs)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    order = [*_KEYS, "scaled", "control", "image", "seed"]
    return table.sort_values(order, ignore_index=True, na_position="first")


def _rows(result: Mapping, control: Mapping, costs: Mapping) -> list[dict]:
    shared = {key: result.get(key) for key in ("dataset", "image_size", "image", "seed")}
    shared |= {key: control[key] for key in ("control", "scaled", "model")}
    shared |= {key: result.get(key) for key in ("precompute_seconds", "learning_rate")}
    shared["experiment"] = result["experiment"].removeprefix("ablation_")
    if "targets" not in result:
        at_end = {"steps": result["steps"], "wall_seconds": result["train_seconds"]}
        return [
            shared | at_end | {"metric": entry["metric"], "value": entry["value"]}
            for entry in result.get("quality", [])
        ]
    cost = costs(result, control["model"])
    shared["seconds_per_step"] = cost
    return [shared | {"target": at["target_ssim"], **passage(at, cost)} for at in result["targets"]]


def control_effects(
    results: Iterable[Mapping],
    controls: Mapping[str, Mapping[str, Any]],
    calibrations: Iterable[pd.DataFrame] = (),
) -> pd.DataFrame:
    """Return what every control changes, paired with what it is compared with; see `effects_of`."""
    table = effects_of(controls_table(results, controls, calibrations), controls)
    logger.info(effects_sentence(table))
    return table


def effects_of(table: pd.DataFrame, controls: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return a row per control and outcome: its ratio to a reference, paired, with a verdict.

    The outcome is the number of optimiser steps to a target, or a distance of samples: less is
    better in both, a ratio below 1 means that the control is better than the reference. Pairs have
    image and random seed in common; the seeds of an image are averaged (in logarithms) first, so
    that a pair is an image, or a seed where there are no images. Where a run was stopped before its
    target, the ratio is no farther from 1 than the true one, and 1 where both were
    (``n_neither_reached``; `crosskrylov.metrics.paired.paired_ratios`). p values are corrected
    after Holm over the comparisons of one outcome that have the same output, scaled or not; a
    verdict needs the corrected one below 5 %.

    Parameters
    ----------
    table, controls
        See `controls_table`.

    Returns
    -------
    DataFrame
        With `EFFECT_COLUMNS`; ``images_to_decide`` is given where the verdict is undecided, for
        as many comparisons.
    """
    rows = []
    pairs = _comparisons(controls)
    for key, outcome in table.groupby(_KEYS, sort=True, dropna=False):
        groups = dict(list(outcome.groupby(["control", "scaled"], sort=True)))
        compared = [
            _effect(group, groups[reference])
            for name, group in groups.items()
            for reference in pairs.get((key[0], *name), ())
            if reference in groups and reference != name
        ]
        for scaled in (False, True):
            rows += _judged([row for row in compared if row and bool(row["scaled"]) is scaled])
    return pd.DataFrame(rows, columns=list(EFFECT_COLUMNS))


def _judged(compared: list[dict]) -> list[dict]:
    """Return rows of `effects_of` with their verdicts, corrected for their number."""
    for row, p in zip(compared, holm([row["p_value"] for row in compared]), strict=True):
        row["p_holm"] = p
        row["verdict"] = "undecided"
        if np.isfinite(p) and p < LEVEL:
            row["verdict"] = "better" if row["effect_sign"] < 0 else "worse"
        else:
            row["images_to_decide"] = pairs_to_decide(row["effect"], len(compared))
    return compared


def _comparisons(controls: Mapping[str, Mapping]) -> dict[tuple, list[tuple]]:
    """Return what is compared with what, by experiment, control and scaled; each pair once."""
    pairs: dict[tuple, dict] = {}
    for run, entry in controls.items():
        experiment = run.partition("/")[0].removeprefix("ablation_")
        key = (experiment, entry["control"], entry["scaled"])
        pairs.setdefault(key, {}).update(dict.fromkeys(map(tuple, entry["against"])))
    return {key: list(references) for key, references in pairs.items()}


def _effect(group: pd.DataFrame, of_reference: pd.DataFrame) -> dict | None:
    """Return one row of `effects_of` without its verdict; None where nothing is paired."""
    on = ["image", "seed"]
    pairs = group.merge(of_reference, on=on, suffixes=("", "_of_reference"))
    if pairs.empty:
        return None
    if pairs["value"].notna().all():
        everything = np.ones(len(pairs), dtype=bool)
        ours, theirs = (Times(pairs[f"value{end}"], everything) for end in ("", "_of_reference"))
    else:
        ours, theirs = (
            Times(pairs[f"steps{end}"], pairs[f"reached{end}"].astype(bool))
            for end in ("", "_of_reference")
        )
    ratios = pd.Series(paired_ratios(ours, theirs))
    if pairs["image"].notna().all():
        logs = np.log(ratios).groupby(pairs["image"].to_numpy()).mean()
        ratios = np.exp(logs)
    median, low, high = ratio_of_pairs(ratios)
    return {
        **{key: group[key].iloc[0] for key in (*_KEYS, "control", "scaled")},
        "reference": of_reference["control"].iloc[0],
        "reference_scaled": of_reference["scaled"].iloc[0],
        "n_pairs": len(pairs),
        "n_images": len(ratios) if pairs["image"].notna().all() else None,
        "n_reached": int(np.sum(ours.reached)),
        "n_reference_reached": int(np.sum(theirs.reached)),
        "n_neither_reached": int(np.sum(~np.asarray(ours.reached) & ~np.asarray(theirs.reached))),
        "ratio": median,
        "ratio_low": low,
        "ratio_high": high,
        "effect": standard_effect(ratios),
        "effect_sign": float(np.log(ratios).mean()),
        "better": int((ratios < 1).sum()),
        "worse": int((ratios > 1).sum()),
        "p_value": sign_flip_p(ratios),
    }


def effects_sentence(table: pd.DataFrame) -> str:
    """Return the finding in one plain sentence: every comparison that is decided."""
    if table.empty:
        return "No control has a run that can be paired with another."
    decided = table[table["verdict"] != "undecided"]
    if decided.empty:
        return f"None of {len(table)} comparisons of controls is decided by these runs."
    said = dict.fromkeys(
        f"{_named(row, '')} is {row['verdict']} than {_named(row, 'reference')}"
        for row in decided.to_dict("records")
    )
    undecided = len(table) - len(decided)
    rest = f"; {undecided} of {len(table)} comparisons are undecided" if undecided else ""
    return f"{'; '.join(said)}{rest}."


def _named(row: Mapping, which: str) -> str:
    """Return the name of a control in words; ``which`` is empty or "reference"."""
    name = row["reference"] if which else row["control"]
    scaled = row["reference_scaled"] if which else row["scaled"]
    other_output = str(row["scaled"]) != str(row["reference_scaled"])
    output = (" (scaled)" if str(scaled) == "True" else " (unscaled)") if other_output else ""
    return f"{name}{output}"
