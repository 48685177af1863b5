"""A Slurm of three nodes on this machine, and runs of the workflow on it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import PROJECT, copy_project

HERE = Path(__file__).resolve().parent
SCRIPT = HERE / "local-slurm.sh"
NODES = 3

#: What a Slurm without accounting database needs beside the profile; and nodes of two cores.
WITHOUT_ACCOUNTING = (
    *("--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "6"),
)
SMALL = ("--cores", "2", "--latency-wait", "15")
#: The scores of engine.yaml alone, without the tables that a whole run makes of them.
SCORES = "results/toy/seed7/scores.json"
ENGINE = (SCORES, "--configfile", "presets/blank.yaml", "tests/cluster/engine.yaml")
#: Seconds that a run may take; the machine may be a slow one.
PATIENCE = float(os.environ.get("CLUSTER_TEST_PATIENCE", "900"))

# An end by `kill` or `timeout` is an interruption, after which Slurm is stopped as after Ctrl-C.
signal.signal(signal.SIGTERM, signal.default_int_handler)


def missing() -> str | None:
    """Return what keeps these tests from running here, as a sentence."""
    for program in ("slurmctld", "slurmd", "sbatch", "munge"):
        if shutil.which(program) is None:
            return (
                f"{program} is not installed: apt-get install slurmctld slurmd slurm-client munge."
            )
    if find_spec("snakemake_executor_plugin_slurm") is None:
        return "The plugin is not installed: pip install snakemake-executor-plugin-slurm."
    return None


class Cluster:
    """The running Slurm: its jobs, its nodes, and its controller's environment."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = {
            **os.environ,
            "SLURM_LOCAL_DIR": str(folder),
            "SLURM_CONF": str(folder / "slurm.conf"),
            "OMP_NUM_THREADS": "1",
        }

    def call(self, *command, check=True) -> str:
        done = subprocess.run(
            [*map(str, command)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        if check:
            assert done.returncode == 0, f"{command}: {done.stdout}"
        return done.stdout

    def script(self, *arguments):
        return self.call("bash", SCRIPT, *arguments)

    def jobs(self) -> dict[int, dict[str, str]]:
        """Return what Slurm says of every job that it ever had, ended ones included."""
        lines = self.call("scontrol", "--oneliner", "show", "job").splitlines()
        found = [dict(re.findall(r"(\S+?)=(.*?)(?=\s\S+?=|\s*$)", line)) for line in lines]
        return {int(job["JobId"]): job for job in found if "JobId" in job}

    def of_rule(self, rule, after=0) -> dict[int, dict[str, str]]:
        """Return the jobs of a rule, or of a group, that were submitted after job ``after``."""
        return {
            number: job
            for number, job in self.jobs().items()
            if number > after and rule in job.get("Comment", "")
        }

    def newest(self) -> int:
        """Return the number of the last job."""
        return max(self.jobs(), default=0)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Start Slurm for these tests, and stop it again; skip them where that cannot be."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    here = Cluster(tmp_path_factory.mktemp("slurm"))
    started = subprocess.run(
        ["bash", str(SCRIPT), "start", str(NODES)],
        env=here.environment,
        capture_output=True,
        text=True,
    )
    if started.returncode == 3:
        pytest.skip(started.stderr.strip())
    assert started.returncode == 0, started.stderr
    try:
        yield here
    finally:
        here.script("stop")


@pytest.fixture
def idle(cluster):
    """The cluster with all nodes up and nothing running, before and after the test."""
    yield cluster
    cluster.call("scancel", "--user", str(os.getuid()), check=False)
    for number in range(1, NODES + 1):
        pid = cluster.folder / f"slurmd-n{number}.pid"
        if not pid.exists() or not Path(f"/proc/{pid.read_text().strip()}").exists():
            cluster.script("node", "start", number)
        cluster.call("scontrol", "update", f"NodeName=n{number}", "State=RESUME", check=False)


class Run:
    """A copy of the project in a folder of its own, and Snakemake in it."""

    def __init__(self, folder: Path, cluster: Cluster | None = None):
        self.folder, self.cluster, self.process = copy_project(folder), cluster, None
        for extra in ("presets", "tests/config", "tests/cluster"):
            shutil.copytree(PROJECT / extra, self.folder / extra)
        self.log = self.folder / "run.log"

    def start(self, *arguments, profile="profiles/slurm", **environment):
        """Start Snakemake: on the cluster, or here with ``profile="profiles/default"``."""
        on_cluster = WITHOUT_ACCOUNTING if profile == "profiles/slurm" else ()
        command = [sys.executable, "-m", "snakemake", "--workflow-profile", profile]
        surroundings = self.cluster.environment if self.cluster else os.environ
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*command, *SMALL, *on_cluster, *map(str, arguments)],
                cwd=self.folder,
                env={**surroundings, **environment, "PYTHONPATH": str(self.folder)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def finish(self, status=0):
        """Wait for Snakemake to end, with this exit status."""
        try:
            found = self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"still running after {PATIENCE:.0f} s:\n{self.output()[-3000:]}")
        except KeyboardInterrupt:
            self.kill()
            raise
        assert found == status, self.output()[-3000:]
        return self

    def kill(self):
        """Kill Snakemake with -9, as a power cut of the login node would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=60)

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def submissions(self) -> int:
        """Return how often sbatch was called."""
        return self.output().count("has been submitted with SLURM jobid")

    def wait_for(self, condition, what):
        """Wait until ``condition()`` is true while Snakemake runs; return what it returned."""
        until = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert self.process.poll() is None, self.output()[-3000:]
            assert time.monotonic() < until, f"no {what} in {PATIENCE:.0f} s"
            time.sleep(0.2)
        return found


def faulty(log: Path, seed: int, dying: float, slow: float, seconds: float) -> dict[str, str]:
    """Return the environment in which sbatch is faulty/sbatch, which keeps a ``log``."""
    return {
        "PATH": f"{HERE / 'faulty'}{os.pathsep}{os.environ['PATH']}",
        "CLUSTER_FAULTS": f"{seed} {dying} {slow} {seconds}",
        "CLUSTER_FAULTS_LOG": str(log),
    }


@pytest.fixture
def run(tmp_path, idle):
    """A run on the cluster that is not started yet; killed if the test leaves it running."""
    one = Run(tmp_path / "project", idle)
    yield one
    if one.process is not None and one.process.poll() is None:
        one.kill()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The run of engine.yaml on one machine, without Slurm and without faults."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    one = Run(tmp_path_factory.mktemp("undisturbed") / "project")
    return one.start(*ENGINE, profile="profiles/default").finish()
