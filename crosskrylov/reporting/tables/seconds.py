"""Where the seconds of a run went: Snakemake's benchmark files, gathered by rule."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

#: Columns of results/tables/seconds.tsv, in order.
COLUMNS = ("rule", "jobs", "seconds", "max_memory_mb")


def seconds_table(folder: str | Path, patterns: Mapping[str, str]) -> pd.DataFrame:
    """Return jobs, wall-clock time and memory of every rule, the longest first.

    Parameters
    ----------
    folder : path-like
        Folder of the benchmark files, looked through to the bottom.
    patterns : mapping of str to str
        Rule name to regular expression for the paths of its benchmark files.  Files that fit none
        were left by other rules, image sets or solvers, and do not count.

    Returns
    -------
    DataFrame
        With `COLUMNS`: seconds are summed over the jobs, whichever of them ran side by side;
        max_memory_mb is the largest resident set of one job, MiB, empty where all jobs ended before
        Snakemake looked.
    """
    expressions = {rule: re.compile(pattern) for rule, pattern in patterns.items()}
    seconds: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    for file in sorted(Path(folder).rglob("*.tsv")):
        rule = next((name for name, e in expressions.items() if e.fullmatch(file.as_posix())), None)
        if rule is None:
            continue
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t"))
        seconds.setdefault(rule, []).append(sum(float(row["s"]) for row in rows))
        memory.setdefault(rule, []).extend(
            float(row["max_rss"]) for row in rows if row["max_rss"] not in ("-", "NA", "")
        )
    table = pd.DataFrame(
        [
            (rule, len(times), round(sum(times), 2), max(memory[rule], default=None))
            for rule, times in seconds.items()
        ],
        columns=list(COLUMNS),
    )
    return table.sort_values(["seconds", "rule"], ascending=[False, True], ignore_index=True)
