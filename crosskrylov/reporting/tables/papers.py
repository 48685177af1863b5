"""The papers of the list: what each claims, what was measured here, and a verdict.

Stated in papers.yaml, computed from the tables that it names: a verdict is never written down.
"""

from collections.abc import Mapping, Sequence
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
    *("bound", "further", "verdict", "evidence", "reason"),
)
HOLDS, FAILS = "holds here", "does not hold here"
UNDECIDED, NOT_APPLICABLE = "undecided", "not applicable"
VERDICTS = (HOLDS, FAILS, UNDECIDED, NOT_APPLICABLE)
_NONE = Interval(float("nan"), float("nan"), float("nan"))
_NO_NUMBER = "no such number"
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
        If one lacks a statement, or says more or less than one way in which it was treated, or
        has further measurements without a first.
    """
    stated = tuple(yaml.safe_load(Path(file).read_text("utf-8")))
    for entry in stated:
        missing = [key for key in ("paper", "method", "claim") if not entry.get(key)]
        if missing or sum(way in entry for way in _WAYS) != 1:
            raise ConfigError(
                f"{file}: {entry.get('paper', entry)!r} must say paper, method, claim and one of "
                f"{', '.join(_WAYS)}."
            )
        if "also" in entry and "measured" not in entry:
            raise ConfigError(f"{file}: {entry['paper']!r} has also, but no measured.")
    return stated


def measurements(entry: Mapping) -> list[Mapping]:
    """Return what is measured of a paper, the first measurement first; nothing of some."""
    return [entry["measured"], *entry.get("also", ())] if "measured" in entry else []


def tables_read(file: Path = PAPERS_FILE) -> list[str]:
    """Return the names of the tables that the measurements are read from, sorted."""
    return sorted({each["table"] for entry in papers(file) for each in measurements(entry)})


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
    every = [_measured(stated, tables) for stated in measurements(entry)]
    further = [f"{one['tested']}: {said(one)}, claimed {one['claimed']}" for one in every[1:]]
    return (
        row
        | every[0]
        | {
            "further": "; ".join(further),
            "verdict": overall([(one["verdict"], one["claimed"] != _NO_NUMBER) for one in every]),
            "reason": entry.get("note"),
        }
    )


def _measured(stated: Mapping, tables: Mapping[str, pd.DataFrame | None]) -> dict:
    """Return what a measurement finds, as columns of the table."""
    table = tables.get(stated["table"])
    found = _NONE if table is None else measure(stated, table)
    return {
        "tested": stated["tested"],
        "claimed": _claimed(stated["claimed"]),
        "measured": found.median,
        "low": found.low,
        "high": found.high,
        "bound": "" if table is None else bound(stated, table),
        "verdict": verdict_on(found, stated["claimed"]),
        "evidence": "not run"
        if np.isnan(found.median)
        else f"results/tables/{stated['table']}.tsv",
    }


def said(found: Mapping) -> str:
    """Return a measurement in words: its value, whether that is a bound, and its interval."""
    if pd.isna(found["measured"]):
        return "not run"
    ends = f" ({found['low']:.3g} to {found['high']:.3g})" if pd.notna(found["low"]) else ""
    before = f"{found['bound']} " if found["bound"] else ""
    return f"{before}**{found['measured']:.3g}**{ends}"


def overall(verdicts: Sequence[tuple[str, bool]]) -> str:
    """Return the verdict on a paper from those on its measurements: what all that decide agree on.

    Parameters
    ----------
    verdicts : sequence of (str, bool)
        Verdict, and whether the paper states a number that it could be judged by, of every
        measurement.  Where the first has none the paper is undecided; others without only inform.
    """
    decided = {verdict for verdict, _ in verdicts if verdict != UNDECIDED}
    return decided.pop() if verdicts[0][1] and len(decided) == 1 else UNDECIDED


def bound(stated: Mapping, table: pd.DataFrame) -> str:
    """Return "at most" where half the runs or more of what is divided by ended too early.

    Their number of steps is a lower bound (column ``reached``), so that the ratio is an upper one.
    """
    if "over" not in stated or "reached" not in table:
        return ""
    reached = select(table, stated["over"]).reached.dropna()
    return "at most" if len(reached) and reached.astype(bool).mean() <= 0.5 else ""


def _claimed(claimed: float | list[float] | None) -> str:
    if claimed is None:
        return _NO_NUMBER
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

    A ratio is taken where the second sampler ran nearest to ``at``; the first one's error there,
    or at ``at_of``, is interpolated linearly in logarithms, and must have runs on both sides.
    Ratios and orders are taken for each group of starting points; the interval is that of their
    medians over image sets and random seeds, or, of a single run, over its groups.  ``error``
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
    ((_, at_of),) = stated.get("at_of", {along: None}).items()
    first, second = (select(table, stated[name]) for name in ("of", "over"))
    theirs = dict(iter(first.groupby(keys)))
    by_run = []
    for run in _by_run(second, runs):
        pairs = [_ratio(theirs.get(key), g, along, at, at_of) for key, g in run.groupby(keys)]
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


def _ratio(
    first: pd.DataFrame | None,
    second: pd.DataFrame,
    along: str,
    at: float,
    at_of: float | None = None,
) -> float:
    if first is None:
        return float("nan")
    near = second.loc[(np.log(second[along] / at)).abs().idxmin()]
    first = first.sort_values(along)
    between = np.interp(
        np.log(near[along] if at_of is None else at_of),
        np.log(first[along].to_numpy(float)),
        np.log(first.error.to_numpy(float)),
        left=np.nan,
        right=np.nan,
    )
    return float(np.exp(between) / near.error)
