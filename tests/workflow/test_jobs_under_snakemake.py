"""Jobs of a real Snakemake run: code that changes meanwhile, what is said of a full disk."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SNAKEFILE = """
rule slow:
    input: library=["module.py"]
    output: "results/out.txt"
    log: "results/logs/slow.log"
    script: "script.py"
"""
SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, str(Path.cwd()))
import module
from crosskrylov.runtime.jobs import run_job

def main():
    Path("started").touch()
    until = time.monotonic() + 60
    while not Path("go-on").exists() and time.monotonic() < until:
        time.sleep(0.02)
    Path("results/out.txt").write_text(str(module.value))

if __name__ == "__main__":
    run_job(main, snakemake)
"""


@pytest.fixture
def workflow(tmp_path, project):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "module.py").write_text("value = 1\n")
    return tmp_path


def start(folder, project, target="results/out.txt"):
    path = os.pathsep.join([str(project), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", target],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(file: Path, process):
    until = time.monotonic() + 120
    while not file.exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
def test_a_module_edited_while_its_job_runs_makes_it_run_again(workflow, project):
    first = start(workflow, project)
    wait_for(workflow / "started", first)
    time.sleep(0.05)
    (workflow / "module.py").write_text("value = 2\n")
    (workflow / "go-on").touch()
    output = first.communicate(timeout=120)[0]
    assert first.returncode == 1
    assert "module.py changed while the job ran" in output
    assert not (workflow / "results" / "out.txt").exists()
    second = start(workflow, project)
    output = second.communicate(timeout=120)[0]
    assert second.returncode == 0, output
    assert (workflow / "results" / "out.txt").read_text() == "2"


@pytest.mark.slow
def test_a_job_that_outlives_its_snakemake_is_noticed(workflow, project):
    from crosskrylov.runtime.presence import still_at_work, warnings_of_others

    run = start(workflow, project)
    wait_for(workflow / "started", run)
    run.kill()  # -9, and Snakemake alone: its job goes on
    run.wait(timeout=60)
    ((process, task),) = still_at_work(workflow).items()
    assert task == "results/logs/slow.log"
    (warning,) = warnings_of_others(workflow)
    assert warning.startswith(f"Process {process} of another run is still working on results/logs")
    os.kill(process, signal.SIGKILL)
    until = time.monotonic() + 60
    while still_at_work(workflow) and time.monotonic() < until:
        time.sleep(0.05)
    assert warnings_of_others(workflow) == []


FULL = """
from crosskrylov.runtime.files import check_writable_or_exit

rule fill:
    output: "results/out.npz"
    log: "results/logs/fill.log"
    script: "fill.py"

onstart:
    check_writable_or_exit("results")
"""
FILL = """
import numpy as np
from crosskrylov.runtime.files import save_npz
from crosskrylov.runtime.jobs import run_job

def main(out_path="results/out.npz"):
    save_npz("results/out.npz", values=np.zeros(10**6))

if __name__ == "__main__":
    run_job(main, snakemake)
"""


@pytest.fixture
def full_disk(tmp_path):
    """A workflow whose results are on a disk of 64 kB without a free byte."""
    (tmp_path / "Snakefile").write_text(FULL)
    (tmp_path / "fill.py").write_text(FILL)
    place = tmp_path / "results"
    (place).mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    (place / "logs").mkdir()
    try:
        with (place / "rest").open("wb", buffering=0) as rest:
            while True:
                rest.write(bytes(4096))
    except OSError:
        pass
    yield tmp_path
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_a_read_only_one_too(full_disk, project):
    output = start(full_disk, project, "results/out.npz").communicate(timeout=120)[0]
    assert output.count("The disk is full: results/out.npz could not be written") == 1
    assert "Traceback" not in output
    command = ["mount", "-o", "remount,ro", str(full_disk / "results")]
    assert subprocess.run(command, capture_output=True).returncode == 0
    run = start(full_disk, project, "results/out.npz")
    output = run.communicate(timeout=120)[0]
    assert run.returncode == 1
    assert output.strip().splitlines()[-1].startswith(f"Error: {full_disk / 'results'} cannot be")
    assert "Traceback" not in output
