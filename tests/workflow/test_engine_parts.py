"""A part of the engine that is killed inside Snakemake, and a second run beside the first."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from crosskrylov.runtime.files import save_npz
from crosskrylov.scores.store import ScoreStore

# the rule `precompute_scores` of workflow/rules/engine.smk without the rest of the workflow
SNAKEFILE = """
rule precompute_scores:
    input: images="images.npz", library=["library.py"]
    output: scores=directory("{run}/scores/{scatteritem}")
    log: "{run}/{scatteritem}.log"
    params:
        state="{run}/state/{scatteritem}",
        equation={"time_steps": 100},
        density={"method": "smoothed"},
        march={},
        engine={"method": "batched", "chunk_images": 2},
        seed=17,
    script: "SCRIPT"
"""


@pytest.fixture
def workflow(tmp_path, project):
    script = project / "workflow" / "scripts" / "precompute_scores.py"
    (tmp_path / "Snakefile").write_text(SNAKEFILE.replace("SCRIPT", str(script)))
    (tmp_path / "library.py").write_text("")
    save_npz(tmp_path / "images.npz", images=np.random.default_rng(4).random((16, 1, 32, 32)))
    return tmp_path


def snakemake(folder, project, *arguments):
    path = os.pathsep.join([str(project), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(found, process):
    until = time.monotonic() + 300
    while not (there := found()):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < until
        time.sleep(0.02)
    return there


@pytest.mark.slow
def test_a_part_killed_inside_snakemake_goes_on_at_its_last_chunk(workflow, project):
    target, state = "killed/scores/1-of-1", workflow / "killed" / "state" / "1-of-1"
    first = snakemake(workflow, project, target)
    try:
        (record,) = wait_for(lambda: list(state.glob("*/chunk-00001.json")), first)
        # it stands still while a second run starts in the same folder, which says so and ends
        os.killpg(first.pid, signal.SIGSTOP)
        second = snakemake(workflow, project, target)
        output = second.communicate(timeout=300)[0]
        assert second.returncode == 1
        assert "Directory cannot be locked" in output
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    store = ScoreStore.open(record.parent)
    complete = [chunk for chunk in range(store.n_chunks) if store.is_intact(chunk)]
    assert 2 <= len(complete) < store.n_chunks
    # a file that is moved keeps its number and its time, one that is made again has others
    made = {c: store.array_path(c).stat() for c in complete}
    assert snakemake(workflow, project, "--unlock").wait(timeout=300) == 0
    again = snakemake(workflow, project, "--rerun-incomplete", target)
    output = again.communicate(timeout=300)[0]
    assert again.returncode == 0, output
    assert not state.exists()
    whole = ScoreStore.open(workflow / target)
    assert not whole.damaged()
    for chunk, status in made.items():
        now = whole.array_path(chunk).stat()
        assert (now.st_ino, now.st_mtime_ns) == (status.st_ino, status.st_mtime_ns)
    undisturbed = snakemake(workflow, project, "undisturbed/scores/1-of-1")
    output = undisturbed.communicate(timeout=300)[0]
    assert undisturbed.returncode == 0, output
    other = ScoreStore.open(workflow / "undisturbed" / "scores" / "1-of-1")
    for chunk in range(whole.n_chunks):
        assert whole.array_path(chunk).read_bytes() == other.array_path(chunk).read_bytes()
