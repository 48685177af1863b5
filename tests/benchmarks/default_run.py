"""Run the whole default experiment in an empty folder and print what it took.

    python tests/benchmarks/default_run.py [--cores 2] [--configfile X.yaml ...] [--keep FOLDER]

Prints wall-clock, the peak memory of the process tree (sum of resident sets: shared pages count
once per process, so this is an upper bound), the share of training and generation, the slowest
jobs, and the quality that was reached.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import psutil

ROOT = Path(__file__).resolve().parents[2]


def tree_memory_gib(process: psutil.Process) -> float:
    """Return the resident memory of a process and all its descendants in GiB."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 2**30


def run(folder: Path, cores: int, configfiles: list[str]) -> tuple[int, float, float]:
    """Run Snakemake with ``folder`` as its directory; return status, seconds and peak GiB."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--cores", str(cores)]
    if configfiles:
        command += ["--configfile", *(str(Path(name).resolve()) for name in configfiles)]
    started, peak = time.perf_counter(), 0.0
    with open(folder / "snakemake.log", "w") as log:
        child = psutil.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        while child.poll() is None:
            try:
                peak = max(peak, tree_memory_gib(child))
            except psutil.NoSuchProcess:
                break
            time.sleep(0.2)
    return child.wait(), time.perf_counter() - started, peak


def seconds_of(folder: Path, part: str) -> float:
    """Return the wall-clock during which jobs ran whose benchmark file is below ``part``.

    Jobs side by side count once: it is the length of the union of their intervals, each of which
    ends when its benchmark file was written.
    """
    intervals = []
    for path in (folder / "results" / "benchmarks" / part).rglob("*.tsv"):
        end = path.stat().st_mtime
        intervals.append((end - pd.read_csv(path, sep="\t")["s"].max(), end))
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return total


def slowest_jobs(folder: Path, n: int = 12) -> pd.DataFrame:
    """Return the ``n`` longest jobs from Snakemake's own benchmark files."""
    rows = []
    for path in sorted((folder / "results").rglob("benchmarks/**/*.tsv")):
        table = pd.read_csv(path, sep="\t")
        if {"s", "max_rss"} <= set(table.columns):
            job = path.relative_to(folder / "results").with_suffix("")
            rows.append((str(job), table["s"].max(), table["max_rss"].max()))
    frame = pd.DataFrame(rows, columns=["job", "seconds", "max_rss_mb"])
    return frame.sort_values("seconds", ascending=False).head(n)


def main() -> int:
    """Run, print, and return Snakemake's exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--configfile", nargs="+", default=[], help="overlays, in this order")
    parser.add_argument("--keep", help="run in this folder and keep it (default: a temporary one)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.keep or temporary).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        status, seconds, peak = run(folder, arguments.cores, arguments.configfile)
        print(
            f"exit status {status}; wall-clock {seconds / 60:.2f} min on {arguments.cores} cores; "
        )
        print(f"peak memory of the process tree {peak:.2f} GiB")
        disk = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 2**20
        print(f"disk {disk:.0f} MiB in {folder if arguments.keep else 'a temporary folder'}")
        share = seconds_of(folder, "training")
        print(f"training, generation and their metrics: {share / 60:.2f} min of the wall-clock\n")
        print(slowest_jobs(folder).to_string(index=False, float_format="%.1f"))
        training = folder / "results" / "tables" / "training.tsv"
        if training.exists():
            table = pd.read_csv(training, sep="\t")
            columns = ["experiment", "dataset", "model", "seed", "target_ssim", "reached"]
            columns += ["metric", "steps", "seconds", "wall_seconds", "ssim", "ssim_global"]
            print("\n" + table[[c for c in columns if c in table]].to_string(index=False))
        if status:
            lines = (folder / "snakemake.log").read_text().splitlines()
            print("\n" + "\n".join(lines[-30:]))
    return status


if __name__ == "__main__":
    sys.exit(main())
