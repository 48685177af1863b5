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


def start(folder, project):
    path = os.pathsep.join([str(project), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", "results/out.txt"],
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
