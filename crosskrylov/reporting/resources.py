"""What the jobs of finished runs took, as the resources that a cluster should be asked for.

    python -m crosskrylov.reporting.resources results/benchmarks [more folders]

reads Snakemake's benchmark files and prints the entry ``set-resources`` of profiles/slurm: for
every rule the memory and the minutes of its most demanding job, with a margin.
"""

import argparse
import csv
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from crosskrylov.errors import CrosskrylovError, DataError

#: Two more Snakemakes run inside a Slurm job, beside the job proper, whatever the rule: MiB.
#: 149 of each were resident in the jobs of tests/cluster, and ten of srun; the rest is margin.
SNAKEMAKE_MB = 500
#: Times the measured memory and time that are asked for; a node may be slower than the machine
#: that was measured, and Snakemake looks at the memory only now and then.
MEMORY_MARGIN, TIME_MARGIN = 1.5, 4.0
#: Both are rounded up to multiples of this: MiB, minutes.
MEMORY_STEP, TIME_STEP = 250, 10


class Demand(NamedTuple):
    """What one rule's jobs took: their number, seconds of the longest, MiB of the largest."""

    jobs: int
    seconds: float
    memory_mb: float | None

    @property
    def ask_mb(self) -> int:
        """Memory to ask for, MiB, that of Snakemake itself included."""
        return _up(MEMORY_MARGIN * (self.memory_mb or 0.0) + SNAKEMAKE_MB, MEMORY_STEP)

    @property
    def ask_minutes(self) -> int:
        """Time to ask for, minutes."""
        return _up(TIME_MARGIN * self.seconds / 60, TIME_STEP)


def _up(value: float, step: int) -> int:
    return step * max(1, math.ceil(value / step))


def rule_of(file: str | Path) -> str:
    """Return the rule of a benchmark file: what stands before the first hyphen of its name.

    Examples
    --------
    >>> rule_of("results/benchmarks/toy/seed7/precompute_scores-1-of-2.tsv")
    'precompute_scores'
    """
    return Path(file).stem.split("-")[0]


def demands(folders: Iterable[str | Path], rules: Iterable[str] | None = None) -> dict[str, Demand]:
    """Return what each rule's jobs took, sorted by name.

    Parameters
    ----------
    folders : iterable of path-like
        Folders of benchmark files, looked through to the bottom.
    rules : iterable of str, optional
        The rules that count; files of others (tables and figures are named after what they show)
        are left out.

    Raises
    ------
    DataError
        If a folder holds no benchmark file.
    """
    known = None if rules is None else set(rules)
    seconds: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    for folder in folders:
        files = sorted(Path(folder).rglob("*.tsv"))
        if not files:
            raise DataError(f"{folder} holds no benchmark files: name results/benchmarks of a run.")
        for file in files:
            rule = rule_of(file)
            if known is not None and rule not in known:
                continue
            with file.open(encoding="utf-8", newline="") as lines:
                for row in csv.DictReader(lines, delimiter="\t"):
                    seconds.setdefault(rule, []).append(float(row["s"]))
                    if row["max_rss"] not in ("-", "NA", ""):
                        memory.setdefault(rule, []).append(float(row["max_rss"]))
    return {
        rule: Demand(len(times), max(times), max(memory.get(rule, []), default=None))
        for rule, times in sorted(seconds.items())
    }


def set_resources(found: dict[str, Demand]) -> str:
    """Return the entry ``set-resources`` of a profile; a second attempt asks for twice as much."""
    lines = ["set-resources:"]
    for rule, demand in found.items():
        measured = "" if demand.memory_mb is None else f", {demand.memory_mb:.0f} MiB"
        lines += [
            f"  {rule}:  # measured, {demand.jobs} jobs: {demand.seconds:.0f} s{measured}",
            f"    mem_mb: {demand.ask_mb} * attempt",
            f"    runtime: {demand.ask_minutes} * attempt",
        ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what to ask a cluster for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", help="results/benchmarks of finished runs")
    parser.add_argument("--rules", nargs="*", help="only these rules")
    options = parser.parse_args(arguments)
    try:
        print(set_resources(demands(options.folders, options.rules)))
    except CrosskrylovError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
