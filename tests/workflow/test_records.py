"""Records of runs: what a fingerprint holds is what the rules got."""

import json
import re

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


@pytest.fixture(scope="module")
def flown(tmp_path_factory):
    """A copy of the project in which images have been embedded on the fly."""
    folder = copy_project(tmp_path_factory.mktemp("on_the_fly") / "project")
    (folder / "fly.yaml").write_text("embedding: {scores: on_the_fly}\n")
    run_snakemake(TARGETS[1], *RUN, "fly.yaml", cwd=folder)
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


def test_images_embedded_on_the_fly_leave_no_scores(flown):
    """Neither in the folder nor in the plan of a training; the steps hold what the rule got."""
    config = load_config(PROJECT / "config.yaml", TOY, flown / "fly.yaml")
    steps = embedding_steps(config, "toy", 7, config["embedding"])
    recorded = parameters_by_script(flown)
    assert set(recorded) == {"fetch_images.py", "embed_on_the_fly.py"}
    for step in steps:
        assert sorted(repr(v) for v in step.parameters.values()) in recorded[step.script]
    made = {file.name for file in (flown / "results" / "toy" / "seed7").glob("*.npz")}
    assert made == {"images.npz", "embedded.npz"}
    results = [
        f"results/training/{run}/seed7/result.json"
        for run in (
            "single_image/toy/score_embedding/image0",
            "ablation_single_image/toy/sum/image0",
        )
    ]
    plan = run_snakemake("--dry-run", *results, *RUN, "fly.yaml", cwd=flown).stdout
    rules = set(re.findall(r"rule (\w+):", plan))
    assert {"embed_on_the_fly", "train_single_image"} <= rules
    assert not {"estimate_density", "exact_scores", "solve_baseline", "embed_scores"} & rules
