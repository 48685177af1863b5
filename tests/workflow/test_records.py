"""Records of runs: what a fingerprint holds is what the rules got."""

import json

import pytest

from crosskrylov.planning.config import load_config
from crosskrylov.planning.fingerprints import embedding_steps, march_row_steps, study_steps
from tests.conftest import PROJECT, TOY, copy_project, run_snakemake

RUN = ("--configfile", TOY)
SOLVER = "results/toy/seed7/trajectories/cross_matrix_galerkin.npz"
TARGETS = ("results/toy/seed7/systems.npz", "results/toy/seed7/embedded.npz", SOLVER)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A copy of the project in which one run of every kind of step has been made."""
    folder = copy_project(tmp_path_factory.mktemp("records") / "project")
    spsolve = SOLVER.replace("cross_matrix_galerkin", "spsolve")
    run_snakemake(*TARGETS, spsolve, *RUN, cwd=folder)
    return folder


def parameters_by_script(folder):
    """Return the parameters, as Snakemake recorded them, that every script was run with."""
    found = {}
    metadata = folder / ".snakemake" / "metadata"
    for file in metadata.rglob("*"):
        if file.is_file():
            record = json.loads(file.read_text())
            script = record["code"].strip().strip('"').rpartition("/")[2]
            found.setdefault(script, []).append(sorted(record["params"]))
    return found


def test_steps_hold_exactly_the_parameters_of_the_rules(made):
    config = load_config(PROJECT / "config.yaml", TOY)
    run = (config, "toy", 7)
    solvers = list(config["solvers"])
    steps = [
        *march_row_steps(*run, "cross_matrix_galerkin", solvers),
        *embedding_steps(*run, config["embedding"]),
        *study_steps(*run, [], ["bank", "seeds", "log_density", "images", "exact"]),
    ]
    recorded = parameters_by_script(made)
    scripts = {step.script for step in steps if "/" not in step.script}
    assert scripts == set(recorded)
    for step in steps:
        if step.script in scripts:
            given = sorted(repr(value) for value in step.parameters.values())
            assert given in recorded[step.script], step.script
