"""The workflow on a real Slurm of three nodes: parts, a graphics processor, groups, faults.

`make test-cluster` runs these; `make test` does not.  See local-slurm.sh for what they need.
"""

import os
import signal
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from crosskrylov.runtime.files import read_tsv
from crosskrylov.scores.store import ScoreStore
from tests.cluster.conftest import ENGINE, NODES, PATIENCE, Run, faulty

SET = Path("results/toy/seed7")
#: Room for two jobs on a node, the second beside what is left of the first.
ONE_CORE = ("--set-threads", "precompute_scores=1")
#: Where the first part keeps its chunks until it has all of them.
STATE = SET / "scores_state" / "1-of-3"
LOG = Path("results/logs/toy/seed7/precompute_scores-1-of-3.log")


def arrays(folder: Path) -> dict[str, np.ndarray]:
    """Return every array that a run made, by path: images, and scores of the stored folder."""
    found = {}
    for file in sorted((folder / "results").rglob("*.npz")):
        with np.load(file) as archive:
            for name in archive.files:
                found[f"{file.relative_to(folder)}:{name}"] = archive[name]
    for manifest in sorted((folder / "results").rglob("manifest.json")):
        store = ScoreStore.open(manifest.parent)
        assert store.damaged() == []
        place = manifest.parent.relative_to(folder)
        found[f"{place}:scores"] = np.stack([store[k] for k in range(len(store))])
    return found


def assert_same(one: Path, other: Path):
    """Compare the files of two runs, value by value, and look for what is half written."""
    first, second = arrays(one), arrays(other)
    assert list(first) == list(second)
    assert any(name.endswith(":scores") for name in first)
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)
    made = [
        sorted(
            str(file.relative_to(folder))
            for file in (folder / "results").rglob("*")
            if file.is_file() and "logs" not in file.parts
        )
        for folder in (one, other)
    ]
    assert made[0] == made[1]
    assert list((other / "results").rglob("*.partial*")) == []


def test_parts_run_on_several_nodes(run, undisturbed):
    run.start(*ENGINE).finish()
    parts = run.cluster.of_rule("precompute_scores")
    assert len(parts) == 3
    assert {job["JobState"] for job in parts.values()} == {"COMPLETED"}
    assert len({job["NodeList"] for job in parts.values()}) == NODES
    assert_same(undisturbed.folder, run.folder)


def test_a_graphics_processor_is_asked_for_and_granted(run, undisturbed):
    """Only the last node has one, so that all parts come to it, one after the other."""
    newest = run.cluster.newest()
    run.start(*ENGINE, "--set-resources", "precompute_scores:gpu=1").finish()
    parts = run.cluster.of_rule("precompute_scores", after=newest)
    assert [job["NodeList"] for job in parts.values()] == [f"n{NODES}"] * 3
    assert all("gres:gpu" in job["TresPerJob"] for job in parts.values())
    times = sorted((job["StartTime"], job["EndTime"]) for job in parts.values())
    assert all(end <= start for (_, end), (start, _) in pairwise(times))
    assert_same(undisturbed.folder, run.folder)


def test_many_tiny_jobs_are_a_few_submissions(run):
    """Parts of one image each, many of them to a submission."""
    parts, together = 30, 10
    run.start(
        *(*ENGINE, "tests/cluster/tiny.yaml"),
        *("--groups", "precompute_scores=parts", "--group-components", f"parts={together}"),
        *("--set-resources", "precompute_scores:in_turn=1"),
        *("--set-scatter", f"engine={parts}"),
    ).finish()
    ran = len(list(run.folder.glob("results/benchmarks/toy/seed7/precompute_*.tsv")))
    assert ran == parts
    # the groups of parts, and the images before and the whole after them
    assert run.submissions() == parts // together + 2
    print(f"\n{ran} parts in {parts // together} submissions")


def test_the_toy_run_ends_well(run):
    run.start("--configfile", "tests/config/toy.yaml", "tests/cluster/toy.yaml").finish()
    jobs = read_tsv(run.folder / "results" / "tables" / "seconds.tsv").jobs.sum()
    assert run.submissions() < jobs / 1.5
    assert list((run.folder / "results").rglob("*.partial*")) == []
    print(f"\n{jobs} jobs with {run.submissions()} submissions")


def test_deaths_and_stragglers_change_nothing_but_the_time(run, tmp_path):
    """Many parts, of which some die at work and some start late; the same parts without faults."""
    parts, shares, late = 16, (0.1, 0.1), 30
    arguments = (*ENGINE, "tests/cluster/stragglers.yaml")
    undisturbed = Run(tmp_path / "undisturbed", run.cluster)
    seconds = {}
    for name, one, environment in (
        ("undisturbed", undisturbed, {}),
        ("disturbed", run, faulty(tmp_path / "faults.tsv", 2, *shares, late)),
    ):
        newest, before = run.cluster.newest(), time.monotonic()
        one.start(*arguments, **environment).finish()
        seconds[name] = time.monotonic() - before
    faults = [line.split("\t") for line in (tmp_path / "faults.tsv").read_text().splitlines()]
    died, slow = (sum(fault == kind for _, fault in faults) for kind in ("dies", "slow"))
    states = [job["JobState"] for job in run.cluster.of_rule("precompute_scores", newest).values()]
    assert died > 0 and slow > 0
    assert (states.count("COMPLETED"), len(states)) == (parts, parts + died)
    assert_same(undisturbed.folder, run.folder)
    columns = {"parts": parts, "died": died, "slow": slow, "seconds_late": late, **seconds}
    print("\n" + "\t".join(columns) + "\n" + "\t".join(f"{v:g}" for v in columns.values()))


# --- faults -------------------------------------------------------------------------------------


def content(file: Path) -> str:
    """Return what is in a file; nothing where a job has just removed it, to start anew."""
    try:
        return file.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def kept_chunks(run) -> dict[str, int]:
    """Return the complete chunks that the first part keeps, and when each was written."""
    return {
        record.with_suffix(".npy").name: record.with_suffix(".npy").stat().st_mtime_ns
        for record in (run.folder / STATE).glob("*/chunk-*.json")
    }


def first_part(run, newest):
    """Wait until the first part has kept a chunk; return its Slurm job and node."""

    def at_work():
        running = {
            number: job
            for number, job in run.cluster.of_rule("precompute_scores", after=newest).items()
            if job["JobState"] == "RUNNING" and "1-of-3" in job["Comment"]
        }
        return running if kept_chunks(run) else None

    ((number, job),) = run.wait_for(at_work, "part with a chunk").items()
    return number, job["NodeList"]


def script_of(run, part="1-of-3"):
    """Return the process that computes a part."""
    for file in (run.folder / ".snakemake" / "at-work").rglob("[0-9]*"):
        if part in content(file):
            return int(file.name)
    return None


def cancel(run, number, node):
    run.cluster.call("scancel", number)


def hang(run, number, node):
    """Stop the script and give its job a minute in all, which passes, so that Slurm ends it."""
    os.kill(run.wait_for(lambda: script_of(run), "script"), signal.SIGSTOP)
    run.cluster.call("scontrol", "update", f"JobId={number}", "TimeLimit=1")


def kill_snakemake(run, number, node):
    """Kill Snakemake; its Slurm jobs go on, and the restart comes when they have ended."""
    run.kill()
    until = time.monotonic() + PATIENCE
    while {"RUNNING", "PENDING"} & {job["JobState"] for job in run.cluster.jobs().values()}:
        assert time.monotonic() < until
        time.sleep(0.5)
    restart(run)


def restart(run):
    run.start("--unlock", *ENGINE).finish()
    run.start(*ENGINE, *ONE_CORE)


@contextmanager
def until_another_waits(run):
    """Let the first part's script stand still until another job for the same part waits for it."""
    script = run.wait_for(lambda: script_of(run), "script")
    os.kill(script, signal.SIGSTOP)
    try:
        yield
        log = run.folder / LOG
        run.wait_for(lambda: "waiting for it" in content(log), "job that waits")
    finally:
        os.kill(script, signal.SIGCONT)


def kill_snakemake_and_restart(run, number, node):
    """Kill Snakemake, and start it again while its Slurm jobs compute."""
    with until_another_waits(run):
        run.kill()
        restart(run)


def kill_slurmd(run, number, node):
    """Kill a node's slurmd; what it started goes on, and Slurm starts the job on another node."""
    with until_another_waits(run):
        run.cluster.script("node", "kill", node.removeprefix("n"))


def edit_module(run, number, node):
    module = run.folder / "crosskrylov" / "scores" / "march.py"
    module.write_text(module.read_text() + "\n# edited while the job ran\n")


#: What befalls the first part, and how many jobs Snakemake submits for it in all.
FAULTS = {
    "cancelled": (cancel, 2),
    "over_its_time": (hang, 2),
    "snakemake_killed": (kill_snakemake, 1),
    "snakemake_killed_and_restarted": (kill_snakemake_and_restart, 2),
    "module_edited": (edit_module, 2),
    "slurmd_killed": (kill_slurmd, 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_fault_the_files_are_those_of_an_undisturbed_run(run, undisturbed, fault):
    newest = run.cluster.newest()
    run.start(*ENGINE, *ONE_CORE)
    number, node = first_part(run, newest)
    kept = kept_chunks(run)
    happen, submitted = FAULTS[fault]
    happen(run, number, node)
    run.finish()
    jobs = run.cluster.of_rule("1-of-3", after=newest)
    assert len(jobs) == submitted
    assert jobs[max(jobs)]["JobState"] == "COMPLETED"
    assert jobs[number]["Restarts"] == ("1" if fault == "slurmd_killed" else "0")
    # the first part's chunks are the first of the set, linked there: the same, or made anew
    made = {name: (run.folder / SET / "scores" / name).stat().st_mtime_ns for name in kept}
    assert (made == kept) == (fault != "module_edited")
    assert_same(undisturbed.folder, run.folder)
    print(
        f"\n{fault}: "
        + ", ".join(f"{job['JobState']} on {job['NodeList']}" for job in jobs.values())
    )


def test_a_job_over_its_memory_is_tried_again_with_more(run, undisturbed):
    newest = run.cluster.newest()
    asked = "precompute_scores:mem_mb=60 if attempt == 1 else 2000"
    run.start(*ENGINE, "--set-resources", asked).finish()
    parts = run.cluster.of_rule("precompute_scores", after=newest)
    assert len(parts) == 6
    assert sum(job["JobState"] == "COMPLETED" for job in parts.values()) == 3
    assert_same(undisturbed.folder, run.folder)
