"""Shared by all tests: one BLAS thread, the project's paths, and a way to run Snakemake."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Before NumPy is imported: small matrices are slower on several threads, and cores are few.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# A shell starts what it puts in the background (`make test &`) with Ctrl-C ignored, here and in
# every process started from here; the tests of interruption need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

PROJECT = Path(__file__).resolve().parent.parent
TOY = PROJECT / "tests" / "config" / "toy.yaml"


def pytest_collection_modifyitems(items):
    """Begin with what takes minutes, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)


@pytest.fixture(scope="session")
def project() -> Path:
    """Return the root of the checkout."""
    return PROJECT


@pytest.fixture(scope="session")
def toy_config() -> Path:
    """Return the configuration of the toy run."""
    return TOY


@pytest.fixture
def project_copy(tmp_path) -> Path:
    """Return a copy of everything that the workflow reads, to edit and to run in."""
    return copy_project(tmp_path / "project")


def copy_project(target: Path) -> Path:
    """Copy the Snakefile, rules, scripts, library, configurations and profiles to ``target``."""
    target.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for folder in ("crosskrylov", "workflow", "profiles", "envs", "config"):
        shutil.copytree(PROJECT / folder, target / folder, ignore=ignored, symlinks=True)
    for file in ("Snakefile", "config.yaml"):
        shutil.copy(PROJECT / file, target / file, follow_symlinks=False)
    return target


def run_snakemake(*arguments, cwd, cores=2, check=True) -> subprocess.CompletedProcess:
    """Run Snakemake in ``cwd``; its output is in ``stdout`` (both streams, in order)."""
    # hundreds of jobs of one copy: without kept bytecode each of them compiles the library again
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,  # a guard against hanging; workers share the cores
    )
    if check and done.returncode != 0:
        lines = done.stdout.splitlines()
        errors = [line for line in lines if line.startswith(("ERROR", "Error in"))]
        shown = "\n".join([*errors, "...", done.stdout[-3000:]])
        pytest.fail(f"{' '.join(command)} left with {done.returncode}:\n{shown}")
    return done


@pytest.fixture
def snakemake():
    """Return `run_snakemake`."""
    return run_snakemake
