"""Which trainings a configuration asks for, and what each gets of it."""

import re

import pytest

from crosskrylov.errors import ConfigError
from crosskrylov.planning import training
from crosskrylov.planning.config import check_config
from crosskrylov.planning.kept import training_runs


@pytest.fixture
def config():
    """Every experiment on two image sets, one of which is not published; checked."""
    return check_config(
        {
            "random_seeds": [3, 4],
            "image_sets": {
                "a": {"source": "photos", "image_size": 16, "random_seeds": [8, 9]},
                "b": {"source": "digits", "image_size": 16},
            },
            "training": {
                "single_image": {"image_sets": ["a", "b"], "models": ["score_embedding", "ddpm"]},
                "budget": {"image_sets": ["b"], "models": ["dsm", "exact_target"]},
                "ablation": {
                    "single_image": {"image_sets": ["a"]},
                    "budget": {"image_sets": ["b"]},
                    "variants": {
                        "sum": {"variant": "sum", "steps": 4},
                        "scaled": {"scaled": True},
                        "loud": {"noise": 0.3},
                    },
                },
                "samplers": {"image_sets": ["b"], "models": ["dsm"]},
            },
        }
    )


def test_the_ablation_is_judged_on_the_ssim_that_its_runs_pursue(config):
    section = config["training"]["ablation"]["single_image"]
    for pursued, expected in (
        (["ssim", "ssim_global"], "ssim"),
        (["ssim_global"], "ssim_global"),
    ):
        section["metrics"] = pursued
        assert training.ablation_options(config)["metric"] == expected


def test_variants_of_the_ablation_train_score_embedding(config):
    names = [
        training.trained_model(config, "ablation_single_image", name) for name in ("sum", "scaled")
    ]
    assert names == ["score_embedding", "score_embedding_scaled"]
    assert training.trained_model(config, "budget", "dsm") == "dsm"
    assert training.model_file(config, "ablation_budget", "sum").name == "score_embedding.py"
    assert training.model_file(config, "samplers", "dsm").name == "denoising_score_matching.py"
    # asked for on the command line, past the check of the configuration
    with pytest.raises(ConfigError, match=r"^The target names 'dms', which is no model"):
        training.model_file(config, "samplers", "dms")


def test_a_run_gets_what_it_uses_and_nothing_else(config):
    single = training.training_section(config, "single_image", "ddpm")
    assert "budget" not in single and "image_sets" not in single["single_image"]
    loud = training.training_section(config, "ablation_single_image", "loud")["single_image"]
    assert loud["noise"] == 0.3 and loud["targets"] == [0.95] and loud["metrics"] == ["ssim"]
    assert single["single_image"]["metrics"] == ["ssim_global", "ssim"]
    assert "calibration" not in single and "stop_at_ratio" not in single["single_image"]
    plain = training.training_section(config, "ablation_single_image", "sum")["single_image"]
    assert plain["noise"] == single["single_image"]["noise"] == 0.1
    assert training.targets_of(config, "single_image", "ddpm") == [0.9, 0.95]
    budget = training.training_section(config, "budget", "dsm")
    assert set(budget["samplers"]) == {"langevin_snr", "pds_alpha", "pds_images"}
    samplers = training.training_section(config, "samplers", "dsm")
    assert samplers["samplers"]["function_evaluations"] == [10, 20, 50]


def test_models_of_a_family_share_the_learning_rate_of_single_images(config):
    config["training"]["single_image"]["learning_rates"] = {"score": 3e-3, "scaled_score": 5e-4}
    rates = {
        run: training.training_section(config, *run)["learning_rate"]
        for run in (
            ("single_image", "score_embedding"),
            ("single_image", "dsm"),
            ("single_image", "ddpm"),
            ("ablation_single_image", "sum"),
            ("ablation_single_image", "scaled"),
            ("budget", "dsm"),
        )
    }
    assert list(rates.values()) == [3e-3, 3e-3, 1e-3, 3e-3, 5e-4, 1e-3]
    section = training.training_section(config, "single_image", "dsm")["single_image"]
    assert "learning_rates" not in section  # another family's rate re-runs nothing


def test_which_runs_need_embedded_images(config):
    run = ("a", "score_embedding", "8")
    assert training.embedded_images(config, "single_image", *run) == {
        "embedded": "results/a/seed8/embedded.npz"
    }
    assert training.embedded_images(config, "ablation_single_image", "a", "sum", "8") == {
        "embedded": "results/a/seed8/embedded/sum.npz"
    }
    assert training.embedded_images(config, "single_image", "a", "ddpm", "8") == {}


def test_embedding_of_a_variant(config):
    assert training.embedding_for(config, "embedded/sum") == config["embedding"] | {
        "variant": "sum",
        "steps": 4,
    }
    assert training.embedding_for(config, "embedded") == config["embedding"]
    assert training.embedded_steps(config, "ablation_single_image", "sum") == 4
    assert training.embedded_steps(config, "single_image", "dsm") == 10
    config["training"]["ablation"]["variants"]["sum"]["scores"] = "spsolve"
    folder = "results/{images}/seed{seed}"
    assert training.scores_for(config, "embedded")["scores"] == f"{folder}/exact_scores.npz"
    assert training.scores_for(config, "embedded/sum") == {
        "scores": f"{folder}/trajectories/spsolve.npz",
        "summary": f"{folder}/trajectories/spsolve.json",
    }


def test_scores_on_the_fly_have_a_rule_of_their_own(config):
    def made(name):
        return [
            bool(re.fullmatch(training.embedded_names(config, on_the_fly), name))
            for on_the_fly in (False, True)
        ]

    assert made("embedded") == made("embedded/sum") == [True, False]
    config["training"]["ablation"]["variants"]["sum"]["scores"] = "on_the_fly"
    assert made("embedded") == [True, False] and made("embedded/sum") == [False, True]
    config["embedding"]["scores"] = "on_the_fly"
    config["training"]["ablation"]["variants"]["sum"]["scores"] = "exact"
    assert made("embedded") == [False, True] and made("embedded/sum") == [True, False]
    assert made("embedded/of_no_variant") == made("images") == [False, False]


def test_a_run_is_identified_in_tables(config):
    assert training.run_columns(config, "budget", "b", "dsm", "3") == {
        "experiment": "budget",
        "dataset": "b",
        "image_size": 16,
        "model": "dsm",
        "seed": 3,
        "learning_rate": 1e-3,
    }
    config["training"]["single_image"]["images_per_batch"] = 2
    for image, in_batch in (("3", 1), ("0+4+2", 2)):
        columns = training.run_columns(config, "single_image", "a", "ddpm", "8", image)
        assert (columns["image"], columns["images_per_batch"]) == (image, in_batch)


def test_every_entry_of_images_is_a_run_and_a_list_is_one_run_on_all_of_it(config):
    config["training"]["single_image"]["images"] = [0, [0, 4, 2], 7]
    assert training.image_groups(config) == ["0", "0+4+2", "7"]
    found = [p for p in training.results_of(config, "single_image") if "/a/ddpm/" in p]
    folders = [f"image{image}/seed{seed}" for seed in (8, 9) for image in ("0", "0+4+2", "7")]
    assert found == [f"results/training/single_image/a/ddpm/{at}/result.json" for at in folders]
    run = training.run_of(found[1])
    assert run == {
        "experiment": "single_image",
        "images": "a",
        "model": "ddpm",
        "image": "0+4+2",
        "seed": "8",
    }
    section = training.training_section(config, "single_image", "ddpm", run["image"])
    assert section["single_image"]["images"] == [0, 4, 2]
    # an ablation is of the same images, and what is trained on the whole set is none of this
    assert len(training.results_of(config, "ablation_single_image")) == 3 * 2 * 3
    (first, *_) = training.results_of(config, "budget")
    assert first == "results/training/budget/b/dsm/seed3/result.json"
    assert "image" not in training.run_of(first)


def test_a_baseline_is_bounded_by_the_methods_run_where_a_ratio_was_published(config):
    run, section, one = ("single_image", "a"), config["training"]["single_image"], "0"
    size = config["image_sets"]["a"]
    section["targets"], size["image_size"] = [0.97, 0.98, 0.99], 32
    assert training.stop_multiples(config, *run, "ddpm", one) == []  # not asked for
    section["stop_at_ratio"] = 1.4
    (at_098, at_099) = training.stop_multiples(config, *run, "ddpm", one)
    # the largest, of several papers and baselines
    assert at_098 == [0.98, pytest.approx(1.4 * 182.29 / 16.07)]
    assert at_099 == [0.99, pytest.approx(1.4 * 1634.93 / 60.27)]
    assert training.stop_multiples(config, *run, "ddpm_from_noise", one) == [at_098, at_099]
    assert training.method_result(config, *run, "ddpm", "5", "8") == {
        "method": "results/training/single_image/a/score_embedding/image5/seed8/result.json"
    }
    # where it draws from noise as the baseline does, that run is the one to compare with
    section["models"] = [*section["models"], "score_embedding_from_noise"]
    drawn = training.method_result(config, *run, "ddpm_from_noise", one, "8")["method"]
    assert "/score_embedding_from_noise/" in drawn
    assert "/score_embedding/" in training.method_result(config, *run, "ddpm", one, "8")["method"]
    for model in ("score_embedding", "score_embedding_from_noise", "dsm"):
        assert training.method_result(config, *run, model, one, "8") == {}
    assert training.stop_multiples(config, "ablation_single_image", "a", "ddpm", one) == []
    # of three images together other targets were published
    assert training.stop_multiples(config, *run, "ddpm", "0+1+2") == []
    section["models"] = ["dsm", "ddpm"]
    assert training.stop_multiples(config, *run, "ddpm", one) == []  # nothing to compare with


def test_a_calibration_gets_what_a_step_depends_on(config):
    assert training.calibrations(config) == [
        f"results/training/calibration/{name}/together1.tsv" for name in "ab"
    ]
    config["training"]["single_image"] |= {"images": [0, [1, 2, 3]], "images_per_batch": 2}
    assert training.calibrations(config)[:2] == [
        f"results/training/calibration/a/together{size}.tsv" for size in (1, 2)
    ]
    assert training.calibration_images(config, "a") == "results/a/seed8/images.npz"
    given = training.calibration_params(config, "a", "2")
    # those of its variants too, since a scaled one is another model
    assert given["models"] == ["score_embedding", "ddpm", "score_embedding_scaled"]
    assert training.calibration_params(config, "b", 1)["models"] == ["score_embedding", "ddpm"]
    run = {"experiment": "single_image", "dataset": "a", "image_size": 16}
    assert given["run"] == run | {"images_per_batch": 2}
    assert set(given["training"]["single_image"]) == {"images", *training.STEP_KEYS}
    assert given["training"]["single_image"]["images"] == [0, 1]
    assert "budget" not in given["training"] and given["training"]["calibration"]["repeats"] == 5
    names = {file.stem for file in training.calibration_files(config, "a")}
    assert names == {"score_embedding", "noise_prediction"}


def test_results_of_every_experiment(config):
    assert training.results_of(config, "samplers") == [
        f"results/training/samplers/b/dsm/seed{seed}/result.json" for seed in (3, 4)
    ]
    single = training.results_of(config, "single_image")
    assert len(single) == 8
    assert "results/training/single_image/a/ddpm/image0/seed9/result.json" in single
    config["training"]["single_image"]["images"] = [5, 0]
    shown = [training.run_of(path) for path in training.shown_results(config)]
    assert len(shown) == 4 and {run["image"] for run in shown} == {"5"}
    assert {run["images"] + run["seed"] for run in shown} == {"a8", "b3"}
    # lambda and the scaled output mean nothing over a schedule of levels
    assert {p.split("/")[4] for p in training.results_of(config, "ablation_budget")} == {"sum"}
    assert {p.split("/")[4] for p in training.results_of(config, "ablation_single_image")} == {
        "sum",
        "scaled",
        "loud",
    }
    config["training"]["ablation"]["single_image"]["variants"] = []
    assert training.results_of(config, "ablation_single_image") == []


def test_main_experiments_take_part_in_the_ablation(config):
    main = {
        tuple(path.split("/")[2:5])
        for path in training.ablation_results(config)
        if "ablation" not in path
    }
    assert main == {("single_image", "a", "score_embedding"), ("budget", "b", "dsm")}
    assert training.main_variants() == {"score_embedding": "published", "dsm": "no_embedding"}


def test_variants_are_controls_of_one_name_whether_scaled_or_not(config):
    variants = config["training"]["ablation"]["variants"]
    plain = {key: None for key in variants["sum"]} | {"scaled": False, "against": []}
    variants |= {
        "sum_scaled": variants["sum"] | {"scaled": True, "against": ["sum", "scaled"]},
        "ddpm": plain | {"model": "ddpm"},
        "quiet": plain | {"noise_scale": 0.0},
    }
    found = training.controls(config)
    single = {k.partition("/")[2]: v for k, v in found.items() if k.startswith("ablation_single")}
    assert {name: (entry["control"], entry["scaled"]) for name, entry in single.items()} == {
        "sum": ("sum", False),
        "scaled": ("published", True),
        "loud": ("loud", False),
        "sum_scaled": ("sum", True),
        "ddpm": ("ddpm", True),
        "quiet": ("quiet", False),
    }
    assert single["quiet"]["against"] == [["published", False]]
    assert single["sum_scaled"]["against"] == [["sum", False], ["published", True]]
    assert single["ddpm"]["model"] == "ddpm" and single["quiet"]["model"] == "score_embedding"
    assert single["sum"]["model"] is None  # of four embedded steps: not what was timed
    assert found["single_image/dsm_scaled"]["control"] == "no_embedding"
    assert found["budget/dsm"] == {
        "control": "no_embedding",
        "scaled": True,
        "model": "dsm",
        "against": [["published", True]],
    }
    # a variant that changes nothing is what the others are compared with
    variants["row"] = dict(plain)
    assert training.reference_control(config) == "row"
    assert training.controls(config)["ablation_single_image/quiet"]["against"] == [["row", False]]
    assert training.embedded_images(config, "ablation_single_image", "a", "ddpm", "8") == {}
    ran = training.results_of(config, "ablation_budget")
    assert {training.run_of(path)["model"] for path in ran} == {"sum", "ddpm", "quiet", "row"}


def test_the_sweep_has_a_run_for_every_rate_and_its_own_images(config):
    config["training"]["learning_rates"] |= {
        "image_sets": ["a"],
        "images": [1, 2],
        "models": ["dsm_scaled", "ddpm"],
        "rates": [1e-3, 5e-4],
        "target": 0.8,
    }
    config["training"]["single_image"]["learning_rates"] = {"scaled_score": 0.5}
    found = training.results_of(config, "learning_rates")
    folder = "results/training/learning_rates/a"
    assert f"{folder}/dsm_scaled-0.0005/image2/seed9/result.json" in found and len(found) == 16
    run = ("learning_rates", "dsm_scaled-0.0005")
    section = training.training_section(config, *run, "2")
    assert section["learning_rate"] == 5e-4 and "learning_rates" not in section
    assert section["single_image"]["targets"] == [0.8]
    assert section["single_image"]["metrics"] == ["ssim_global"]
    columns = training.run_columns(config, run[0], "a", run[1], "9", "2")
    assert columns["model"] == "dsm_scaled" and columns["learning_rate"] == 5e-4
    assert training.denoised_images(config, run[0], "a", run[1], "2", "9") == {}
    assert "dsm_scaled" in training.calibration_params(config, "a", 1)["models"]
    tables = training.tables(config)
    families = {"dsm_scaled": "scaled_score", "ddpm": "noise_levels"}
    assert tables["learning_rates"].options == {"families": families}
    goal = {"target": 0.8, "metric": "ssim_global"}
    assert tables["best_rates"].options == {"families": families} | goal
    assert "learning_rates" in training.figures(config)


def test_tables_and_figures_of_what_is_run(config):
    tables = training.tables(config)
    assert set(tables) == {
        *("training", "seconds_per_step", "paired", "quality", "score_error"),
        *("ablation", "controls", "control_effects"),
    }
    assert tables["paired"].options["against"] == ["ddpm", "ddpm_from_noise", "score_embedding"]
    assert tables["training"].options == {"baselines": ["ddpm", "ddpm_from_noise"]}
    assert tables["training"].inputs["calibrations"] == training.calibrations(config)
    assert tables["training"].targets == ("single_image", "budget")
    figures = training.figures(config)
    curves = figures["frechet_against_seconds"].inputs["curves"]
    assert curves[0] == "results/training/budget/b/dsm/seed3/curve.tsv" and len(curves) == 4
    for name in ("single_image", "budget", "samplers"):
        config["training"][name]["image_sets"] = []
    for name in ("single_image", "budget"):
        config["training"]["ablation"][name]["image_sets"] = []
    assert training.tables(config) == training.figures(config) == {}
    assert training.image_figures(config) == {}


def test_many_samples_judge_what_the_budget_and_its_ablation_trained(config):
    """Nothing is trained again, and real images stand beside the models."""
    config["training"]["quality"]["image_sets"] = ["b"]
    judged = training.results_of(config, "quality")
    trained = training.results_of(config, "budget")
    assert judged == [path.replace("/budget/", "/quality/") for path in trained]
    variants = training.results_of(config, "ablation_quality")
    assert variants == [
        f"results/training/ablation_quality/b/sum/seed{seed}/result.json" for seed in (3, 4)
    ]
    assert training.trained_model(config, "ablation_quality", "sum") == "score_embedding"
    assert training.training_of("ablation_quality") == "ablation_budget"
    floors = [f"results/training/quality/b/real/seed{seed}/result.json" for seed in (3, 4)]
    results = training.tables(config)["quality"].inputs["results"]
    assert set(floors) | set(judged) | set(variants) <= set(results)
    assert not set(floors) & set(training.tables(config)["training"].inputs["results"])
    assert "distance_against_samples" in training.figures(config)
    # a job gets its own section, and training does not change with it
    section = training.training_section(config, "quality", "dsm")
    assert section["quality"]["n_samples"] == 5000 and "samplers" not in section["samplers"]
    assert "quality" not in training.training_section(config, "budget", "dsm")
    kept = {run.path for run in training_runs(config)}
    assert {*floors, *judged, *variants} <= kept


def test_images_of_unpublished_sets_are_apart(config):
    grids = {"sample_grids-b-seed3", "sample_grids-b-seed4"}
    published = training.image_figures(config)
    assert set(published) == {"denoising_strip"} | grids
    assert all(shown.publish for shown in published.values())
    config["image_sets"]["b"]["publish"] = False
    figures = training.image_figures(config)
    assert {n for n, shown in figures.items() if not shown.publish} == grids | {
        "denoising_strip-unpublished"
    }
    pattern = training.name_pattern(figures, publish=False)
    assert re.fullmatch(pattern, "sample_grids-b-seed3")
    assert not re.fullmatch(pattern, "denoising_strip")
    assert not re.fullmatch(training.name_pattern({}), "")
    assert all("/a/" in path for path in figures["denoising_strip"].inputs["denoised"])
    assert all("/b/" in p for p in figures["denoising_strip-unpublished"].inputs["results"])


def test_quality_is_judged_of_trained_image_sets_only(config):
    config["training"]["quality"]["image_sets"] = ["a"]
    with pytest.raises(ConfigError, match=r"training\.quality\.image_sets names 'a'"):
        check_config(config)
    config["training"]["quality"] = {"image_sets": ["b"], "samplers": ["ddmi"]}
    with pytest.raises(ConfigError, match=r"training\.quality\.samplers\[0\].*did you mean"):
        check_config(config)
