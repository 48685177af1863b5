"""Kept records in place of runs, and what a snapshot is told."""

import json

import pytest

from crosskrylov.errors import DataError
from crosskrylov.planning import kept
from crosskrylov.planning.config import check_config
from crosskrylov.planning.fingerprints import Step

PATH = "results/toy/seed7/studies/likeness.tsv"


@pytest.fixture
def config(tmp_path):
    return check_config(
        {
            "image_sets": {"toy": {"source": "digits"}, "faces": {"source": "celeba"}},
            "solvers": {"spsolve": {"method": "spsolve"}, "gmres": {"method": "gmres"}},
            "studies": {"trajectory": {"image_sets": ["toy"]}},
            "random_seeds": [7, 8],
            "records": {"take": True, "folder": str(tmp_path / "records")},
        }
    )


@pytest.fixture
def record(config, tmp_path):
    file = tmp_path / "records" / "toy/seed7/studies/likeness.tsv.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"fingerprint": "abc"}))
    return file


def test_a_record_is_taken_only_if_its_fingerprint_agrees(config, record):
    assert kept.kept_or_made(config, PATH, "abc") == record.as_posix()
    assert kept.kept_or_made(config, PATH, lambda: "abc") == record.as_posix()
    assert kept.kept_or_made(config, PATH, "abd") == PATH


def test_without_take_everything_is_made(config, record):
    config["records"]["take"] = False
    assert kept.kept_or_made(config, PATH, lambda: pytest.fail("asked")) == PATH


def test_without_a_record_the_fingerprint_is_not_asked_for(config):
    assert kept.kept_or_made(config, PATH, lambda: pytest.fail("asked")) == PATH


def test_a_damaged_record_is_named(config, record):
    record.write_text("{")
    with pytest.raises(DataError, match=r"likeness.tsv.json is no record of a run"):
        kept.kept_or_made(config, PATH, "abc")


def test_nothing_is_taken_by_default():
    assert not check_config({"image_sets": {"toy": {"source": "digits"}}})["records"]["take"]


def test_every_march_and_the_exact_solution_are_planned(config):
    planned = kept.march_runs(config)
    assert [run.path for run in planned[:3]] == [
        "results/toy/seed7/trajectories/spsolve.json",
        "results/toy/seed7/trajectories/gmres.json",
        "results/toy/seed7/exact_scores.json",
    ]
    assert len(planned) == 6
    assert len({run.fingerprint for run in planned if "trajectories" in run.path}) == 4
    (described, *_) = kept.described(planned)
    assert described["record"] == "toy/seed7/trajectories/spsolve.json.json"
    assert described["row"] == {
        "dataset": "toy",
        "seed": 7,
        "study": "trajectory",
        "solver": "spsolve",
    }


def test_a_runs_steps_are_asked_for_once():
    asked = []
    run = kept.PlannedRun("results/x.json", lambda: asked.append(1) or [Step("fetch_images.py")])
    assert run.fingerprint == run.fingerprint
    assert asked == [1]


# --- what a snapshot is told ----------------------------------------------------------------------


def test_manifest_names_tables_and_figures(config):
    targets = [
        "results/tables/solvers.tsv",
        "results/config.yaml",
        "results/figures/x.svg",
        "results/figures/x.png",
    ]
    found = kept.manifest(config, targets, {"x": "words"}, ["y"])
    assert found["tables"] == ["solvers.tsv"]
    assert found["figures"] == ["x.png", "x.svg"]
    assert found["captions"] == {"x": "words"}
    assert found["retained"] == ["y"]


def test_figures_with_pixels_of_unpublished_sets_are_withheld(config):
    figures = ["sample_grids-toy-seed7", "sample_grids-faces-seed7", "seconds_per_image"]
    assert kept.withheld_figures(config, figures) == ["sample_grids-faces-seed7"]


@pytest.mark.parametrize(("sets", "withheld"), [(["toy"], []), (["toy", "faces"], 1), (None, 1)])
def test_the_denoising_strip_shows_every_set_of_the_experiment(config, sets, withheld):
    config["training"]["single_image"]["image_sets"] = sets
    found = kept.withheld_figures(config, ["denoising_strip"])
    assert found == (["denoising_strip"] if withheld else [])


def test_a_grid_of_a_set_that_is_not_configured_is_withheld(config):
    assert kept.withheld_figures(config, ["sample_grids-gone-seed7"]) == ["sample_grids-gone-seed7"]
