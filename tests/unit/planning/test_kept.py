"""Kept records in place of runs, and what a snapshot is told."""

import copy
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
            "studies": {
                "trajectory": {"image_sets": ["toy"]},
                "time_to_residual": {"image_sets": ["toy"]},
                "likeness": {"image_sets": ["toy"]},
                "system_summary": {"image_sets": ["toy"]},
            },
            "training": {
                "single_image": {"image_sets": ["toy", "faces"], "models": ["ddpm"]},
                "budget": {"image_sets": ["faces"], "models": ["ddpm"]},
            },
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
    found = kept.withheld_figures(config)
    assert "sample_grids-faces-seed7" in found
    assert not [name for name in found if "toy" in name or name == "denoising_strip"]


def test_a_figure_needs_the_pixels_of_all_its_runs(config):
    lacking = "results/training/single_image/toy/ddpm/image0/seed7/result.json"
    found = kept.figures_of_kept_runs(config, lambda path: path != lacking)
    assert found == ["denoising_strip"]
    assert kept.figures_of_kept_runs(config, lambda path: True) == []


# --- studies and trainings ------------------------------------------------------------------------


def run_of(planned, ending):
    (found,) = [run for run in planned if run.path.endswith(ending)]
    return found


def test_a_study_per_solver_has_a_run_per_solver(config):
    before = kept.study_runs(config)
    run_of(before, "seed7/studies/time_to_residual/spsolve.tsv")
    gmres = run_of(before, "seed7/studies/time_to_residual/gmres.tsv").fingerprint
    config["solvers"]["spsolve"]["options"] = {"x": 1}
    run = run_of(kept.study_runs(config), "seed7/studies/time_to_residual/gmres.tsv")
    assert run.fingerprint == gmres


def test_tables_of_one_study_are_one_run(config):
    run = run_of(kept.study_runs(config), "seed7/studies/likeness_pairs.tsv")
    assert run.beside == ("likeness.tsv", "seed_choice.tsv")
    assert run.files[1] == "results/toy/seed7/studies/likeness.tsv"


def test_a_study_depends_on_the_tables_that_it_reads(config):
    before = run_of(kept.study_runs(config), "seed7/studies/system_summary.tsv").fingerprint
    config["studies"]["time_to_residual"]["repeats"] = 9
    assert run_of(kept.study_runs(config), "seed7/studies/system_summary.tsv").fingerprint != before


def test_a_calibration_is_kept_and_depends_on_every_model(config):
    path = "training/calibration/toy/together1.tsv"
    run = run_of(kept.training_runs(config), path)
    assert run.beside == ()
    # no matter of a step
    config["training"]["single_image"] |= {"targets": [0.5], "images": [0, 3, [1, 2]]}
    assert run_of(kept.training_runs(config), path).fingerprint == run.fingerprint
    config["training"]["single_image"]["models"].append("dsm")
    assert run_of(kept.training_runs(config), path).fingerprint != run.fingerprint


def test_a_bounded_run_depends_on_the_methods(config):
    section, embedding = config["training"]["single_image"], config["embedding"]
    section["models"], config["image_sets"]["toy"]["image_size"] = ["score_embedding", "ddpm"], 32
    ddpm = "single_image/toy/ddpm/image0/seed8/result.json"

    def found(noise, stop):
        embedding["noise_scale"], section["stop_at_ratio"] = noise, stop
        return run_of(kept.training_runs(config), ddpm).fingerprint

    assert found(0.1, None) == found(0.2, None)  # the embedding is the method's alone
    assert len({found(0.1, None), found(0.1, 1.4), found(0.1, 1.5), found(0.2, 1.4)}) == 4


def test_scores_on_the_fly_belong_to_the_runs_that_use_scores(config):
    section, density = config["training"]["single_image"], config["density"]
    section["models"], config["image_sets"]["toy"]["image_size"] = ["score_embedding", "ddpm"], 32

    def found(model, scores, offset=0.0):
        config["embedding"]["scores"], density["intensity_offset"] = scores, offset
        planned = kept.training_runs(config)
        run = run_of(planned, f"single_image/toy/{model}/image0/seed8/result.json")
        return run.fingerprint, {step.script for step in run.steps()}

    assert found("ddpm", "exact") == found("ddpm", "on_the_fly") == found("ddpm", "exact", 0.1)
    exact, stored = found("score_embedding", "exact")
    fly, made = found("score_embedding", "on_the_fly")
    assert stored - made == {"estimate_density.py", "exact_scores.py", "embed_scores.py"}
    assert made - stored == {"embed_on_the_fly.py"}
    assert len({exact, fly, found("score_embedding", "on_the_fly", 0.1)[0]}) == 3


def test_a_run_on_an_image_does_not_depend_on_what_other_images_are_run(config):
    section = config["training"]["single_image"]
    before = run_of(kept.training_runs(config), "toy/ddpm/image0/seed7/result.json").fingerprint
    section["images"] = [1, 0, [0, 1]]
    planned = kept.training_runs(config)
    after = [
        run_of(planned, f"toy/ddpm/image{image}/seed7/result.json").fingerprint
        for image in ("0", "1", "0+1")
    ]
    assert after[0] == before and len(set(after)) == 3


def test_training_runs_have_their_curve_beside_them(config):
    run = run_of(kept.training_runs(config), "budget/faces/ddpm/seed8/result.json")
    assert run.beside == ("curve.tsv",)
    before = run.fingerprint
    config["training"]["single_image"]["noise"] = 0.3  # another experiment's
    same = run_of(kept.training_runs(config), "budget/faces/ddpm/seed8/result.json")
    assert same.fingerprint == before
    config["training"]["budget"]["batch_size"] = 3
    other = run_of(kept.training_runs(config), "budget/faces/ddpm/seed8/result.json")
    assert other.fingerprint != before


def test_the_table_of_solvers_reads_marches_that_are_not_kept(config):
    assert not any(kept.march_files(config, lambda path: False).values())
    made = "results/toy/seed8/trajectories/gmres.json"
    found = kept.march_files(config, lambda path: path == made)
    assert found == {
        "histories": ["results/toy/seed8/trajectories/gmres.tsv"],
        "trajectories": ["results/toy/seed8/trajectories/gmres.npz"],
        "references": ["results/toy/seed8/trajectories/spsolve.npz"],
        "exact_scores": ["results/toy/seed8/exact_scores.npz"],
        "reference_runs": [["toy", 8]],
        "exact_runs": [["toy", 8]],
    }


def test_objectives_that_need_scores_depend_on_the_embedding(config):
    def found(models, noise):
        config["embedding"]["noise_scale"] = noise
        config["studies"]["training_objectives"] = {"image_sets": ["toy"], "models": models}
        planned = kept.study_runs(check_config(copy.deepcopy(config)))
        return run_of(planned, "seed7/studies/objective_errors.tsv").fingerprint

    assert found(["dsm"], 0.1) == found(["dsm"], 0.2)
    assert found(["dsm", "score_embedding"], 0.1) != found(["dsm", "score_embedding"], 0.2)
