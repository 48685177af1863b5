"""The papers of the list: what each claims, what was measured here, and a verdict.

Stated in papers.yaml, computed from the tables that it names: a verdict is never written down.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from crosskrylov.errors import ConfigError
from crosskrylov.metrics.intervals import (
    Interval,
    median_interval,
    order_interval,
    signed_interval,
)
from crosskrylov.reporting.tables.verdicts import NOT_REPRODUCED, REPRODUCED, judge

PAPERS_FILE = Path(__file__).resolve().parents[1] / "papers.yaml"
COLUMNS = (
    *("paper", "arxiv", "method", "claim", "tested", "claimed", "measured", "low", "high"),
    *("verdict", "evidence", "reason"),
)
HOLDS, FAILS = "holds here", "does not hold here"
UNDECIDED, NOT_APPLICABLE = "undecided", "not applicable"
VERDICTS = (HOLDS, FAILS, UNDECIDED, NOT_APPLICABLE)
_NONE = Interval(float("nan"), float("nan"), float("nan"))
#: What tells runs apart.
_RUN = ("dataset", "image_size", "seed")
#: Exactly one of these says what there is to say about a paper.
_WAYS = ("measured", "not_run", "not_applicable")


@cache
def papers(file: Path = PAPERS_FILE) -> tuple[Mapping[str, Any], ...]:
    """Return the stated papers in their order.

    Raises
    ------
    ConfigError
        If one lacks a statement, or says more or less than one way in which it was treated.
    """
    stated = tuple(yaml.safe_load(Path(file).read_text("utf-8")))
    for entry in stated:
        missing = [key for key in ("paper", "method", "claim") if not entry.get(key)]
        if missing or sum(way in entry for way in _WAYS) != 1:
            raise ConfigError(
                f"{file}: {entry.get('paper', entry)!r} must say paper, method, claim and one of "
                f"{', '.join(_WAYS)}."
            )
    return stated


def tables_read(file: Path = PAPERS_FILE) -> list[str]:
    """Return the names of the tables that the measurements are read from, sorted."""
    return sorted({entry["measured"]["table"] for entry in papers(file) if "measured" in entry})


def papers_table(
    tables: Mapping[str, pd.DataFrame | None], file: Path = PAPERS_FILE
) -> pd.DataFrame:
    """Return a row per paper, with `COLUMNS`.

    Parameters
    ----------
    tables : mapping
        Tables by name; one that is missing or None leaves its papers undecided.
    file : Path
        The stated papers.
    """
    return pd.DataFrame([_row(entry, tables) for entry in papers(file)], columns=list(COLUMNS))


def _row(entry: Mapping, tables: Mapping[str, pd.DataFrame | None]) -> dict:
    row = {key: entry.get(key) for key in ("paper", "arxiv", "method", "claim")}
    if "measured" not in entry:
        verdict = UNDECIDED if "not_run" in entry else NOT_APPLICABLE
        return row | {
            "verdict": verdict,
            "reason": entry.get("not_run") or entry.get("not_applicable"),
        }
    stated = entry["measured"]
    table = tables.get(stated["table"])
    found = _NONE if table is None else measure(stated, table)
    return row | {
        "tested": stated["tested"],
        "claimed": _claimed(stated["claimed"]),
        "measured": found.median,
        "low": found.low,
        "high": found.high,
        "verdict": verdict_on(found, stated["claimed"]),
        "evidence": "not run"
        if np.isnan(found.median)
        else f"results/tables/{stated['table']}.tsv",
        "reason": entry.get("note"),
    }


def _claimed(claimed: float | list[float] | None) -> str:
    if claimed is None:
        return "no such number"
    if isinstance(claimed, list):
        return f"{claimed[0]} to {claimed[1]}"
    return f"more than {claimed}"


def verdict_on(found: Interval, claimed: float | list[float] | None) -> str:
    """Return the verdict on a measured interval.

    Parameters
    ----------
    found : Interval
    claimed : float, (float, float) or None
        A bound that the interval has to exceed wholly, a range that it has to meet, or None: the
        paper states no number that this could be compared with.
    """
    if claimed is None:
        return UNDECIDED
    if isinstance(claimed, list):
        if np.isnan(found.low):
            return UNDECIDED
        return HOLDS if found.low <= claimed[1] and found.high >= claimed[0] else FAILS
    return {REPRODUCED: HOLDS, NOT_REPRODUCED: FAILS}.get(
        judge(found.low, found.high, claimed), UNDECIDED
    )


def measure(stated: Mapping, table: pd.DataFrame) -> Interval:
    """Return what a measurement of papers.yaml finds in its table, NaN where nothing fits.

    A ratio is taken where the second sampler ran nearest to ``at``; the first one's error there is
    interpolated linearly in logarithms, and must have runs on both sides.  Ratios and orders are
    taken for each group of starting points; the interval is that of their medians over image sets
    and random seeds, or, of a single run, over its groups.  ``error``
    and ``group`` name the columns of a table that calls them otherwise.  A ``correlation`` is read
    as it stands, one per run, less that of the same run at ``less`` where this is given.
    """
    table = table.rename(
        columns={stated[name]: name for name in ("error", "group") if name in stated}
    )
    runs = [name for name in _RUN if name in table]
    keys = [*runs, "group"]
    if "correlation" in stated:
        return _correlation(stated, table, runs)
    if "order" in stated:
        ((along, least),) = stated["from"].items()
        chosen = select(table, stated["order"])
        chosen = chosen[chosen[along] >= least]
        by_run = [
            order_interval((g[along], g.error) for _, g in run.groupby("group"))
            for run in _by_run(chosen, runs)
        ]
        factors = [2.0**order.median for order in by_run if np.isfinite(order.median)]
        if len(by_run) == 1:
            return by_run[0]
        return Interval(*np.log2(median_interval(factors))) if factors else _NONE
    ((along, at),) = stated["at"].items()
    first, second = (select(table, stated[name]) for name in ("of", "over"))
    theirs = dict(iter(first.groupby(keys)))
    by_run = []
    for run in _by_run(second, runs):
        pairs = [_ratio(theirs.get(key), g, along, at) for key, g in run.groupby(keys)]
        by_run.append([ratio for ratio in pairs if np.isfinite(ratio) and ratio > 0])
    by_run = [ratios for ratios in by_run if ratios]
    if not by_run:
        return _NONE
    return median_interval(by_run[0] if len(by_run) == 1 else [np.median(r) for r in by_run])


def _correlation(stated: Mapping, table: pd.DataFrame, runs: list[str]) -> Interval:
    """Return the correlation that a measurement names, or a difference of two, over the runs."""
    values, reach = [], 1 + ("less" in stated)
    for run in _by_run(table, runs):
        named = [select(run, stated[key]) for key in ("correlation", "less") if key in stated]
        found = [rows.correlation.iloc[0] if len(rows) else np.nan for rows in named]
        values.append(found[0] - sum(found[1:]))
    values = [value for value in values if np.isfinite(value)]
    return signed_interval(values, (-reach, reach)) if values else _NONE


def _by_run(table: pd.DataFrame, runs: list[str]) -> list[pd.DataFrame]:
    """Return the rows of every image set and random seed."""
    return [rows for _, rows in table.groupby(runs)] if runs and len(table) else [table]


def select(table: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows in which every named column has the given value."""
    chosen = pd.Series(True, index=table.index)
    for column, value in where.items():
        chosen &= table[column] == value
    return table[chosen]


def _ratio(first: pd.DataFrame | None, second: pd.DataFrame, along: str, at: float) -> float:
    if first is None:
        return float("nan")
    near = second.loc[(np.log(second[along] / at)).abs().idxmin()]
    first = first.sort_values(along)
    between = np.interp(
        np.log(near[along]),
        np.log(first[along].to_numpy(float)),
        np.log(first.error.to_numpy(float)),
        left=np.nan,
        right=np.nan,
    )
    return float(np.exp(between) / near.error)
