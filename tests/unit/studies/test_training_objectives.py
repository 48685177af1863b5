"""The study of objectives: its choices, its tables, and when a curve reaches a value."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.levels import LevelObjective
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.studies.data import StudyData
from crosskrylov.studies.objective_quantisation import check_quantised, chosen_inputs
from crosskrylov.studies.training_objectives import (
    Trainings,
    choices,
    first_passage,
    study_training_objectives,
    trained_on,
)

SETTINGS = {
    "against": "dsm",
    "steps": 3,
    "fine_tuning_steps": 2,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "fine_tuning_rate": 1e-4,
    "ema_decay": 0.9,
    "units": 8,
    "blocks": 1,
    "noise_levels": 50,
    "sigma_min": 0.02,
    "sigma_max": 20.0,
    "evaluate_at": [0.4, 1.0],
    "curve_evaluations": 3,
    "samplers": ["heun", "reverse_sde"],
    "function_evaluations": 3,
    "few_samplers": ["ddim"],
    "few_evaluations": [2],
    "quantised": [
        {"model": "dsm", "weight_bits": 2},
        {"model": "dsm", "weight_bits": 8},
        {"model": "dsm", "activation_bits": 8, "calibration": "first"},
        {"model": "diffuse_vae", "weight_bits": 4, "activation_bits": 8},
    ],
    "n_samples": 4,
    "frechet_features": "pixels",
    "sigmas": [1.0],
    "n_states": 4,
    "diagnosed_states": 2,
    "probes": 2,
    "gap_samplers": ["heun", "reverse_sde"],
    "gap_evaluations": 3,
    "repeats": 2,
    "timed_steps": 1,
    "sampled": ["dsm"],
    "sampled_with": ["heun"],
    "sampled_evaluations": [3],
    "kappas": [0, 1],
}
MODELS = [
    "dsm",
    {"model": "pfgmpp", "options": {"extra": 8}, "name": "student"},
    "flow_matching",
    {"model": "rectified", "options": {"pairs": 4}},
    {"model": "distilled", "options": {"first_steps": 4, "last_steps": 2, "updates": 2}},
    {"model": "mmd", "options": {"chain": 2}},
    {"model": "diffuse_vae", "options": {"updates": 2, "width": 8}},
    "score_embedding",
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    from crosskrylov.runtime.files import save_npz

    folder = tmp_path_factory.mktemp("objectives")
    rng = np.random.default_rng(2)
    images = rng.random((6, 1, 8, 8), dtype=np.float32)
    save_npz(folder / "images.npz", images=images)
    moved = rng.random((6, 3, 1, 8, 8), dtype=np.float32)
    save_npz(folder / "embedded.npz", embedded=moved)
    paths = {"images": folder / "images.npz", "embedded": folder / "embedded.npz"}
    data = StudyData(paths=paths, seed=3)
    return study_training_objectives(data, MODELS, **SETTINGS)


def test_every_training_is_in_every_table_that_it_can_be_in(tables):
    labels = ["dsm", "student", "flow_matching", "rectified", "distilled", "mmd", "diffuse_vae"]
    labels.append("score_embedding")
    errors = tables["objective_errors"]
    assert list(dict.fromkeys(errors.model)) == labels
    assert set(tables["objective_steps"].model) == set(labels)
    assert set(tables["objective_scores"].model) == set(labels) - {"diffuse_vae"}
    assert np.isfinite(errors.error).all()
    curves = tables["objective_curves"]
    assert curves.groupby("model").steps.max().to_dict() == {
        **dict.fromkeys(["dsm", "student", "flow_matching", "diffuse_vae", "score_embedding"], 3),
        **{"rectified": 2, "mmd": 2, "distilled": 2},
    }
    assert (tables["objective_steps"].seconds > 0).all()


def test_networks_are_held_against_the_equation_where_their_score_is_known(tables):
    found = tables["objective_diagnostics"]
    labels = ["exact", "dsm", "flow_matching", "rectified", "distilled", "mmd", "score_embedding"]
    assert list(dict.fromkeys(found.model)) == labels and set(found.sigma) == {1.0}
    exact, networks = found[found.model == "exact"], found[found.model != "exact"]
    assert exact.error.item() < 1e-9 and exact.gauge.item() < 1e-9 and exact.curl.item() < 1e-20
    assert (networks[["error", "curl", "share"]] > 1e-6).all(axis=None)
    # only those that a sampler with noise fits have a gap
    gaps = tables["objective_gap"]
    assert gaps.model.tolist() == ["exact", "dsm", "flow_matching", "score_embedding"]
    assert (gaps.floor > 0).all() and (gaps.ode_evaluations == 3).all()
    np.testing.assert_allclose(gaps.excess, gaps.gap - gaps.floor)
    related = tables["objective_relations"].set_index(["x", "y"]).models
    assert related["residual", "error"] == 6 and related["residual", "excess"] == 3


def test_only_what_trains_on_moved_images_has_an_error_of_its_own(tables):
    found = tables["objective_scores"].set_index("model")
    own = found.pop("own_error")
    assert own["score_embedding"] != found.error["score_embedding"]
    others = own.index != "score_embedding"
    assert (own[others] == found.error[others]).all()


def test_the_images_of_a_level_are_those_that_the_objective_draws():
    images, levels = torch.rand(1, 1, 4, 4), NoiseLevels.geometric(50, 0.02, 20.0)
    moved = torch.rand(1, 3, 1, 4, 4)
    objective = LevelObjective(images, levels, 64, embedded=moved)
    clean, t, _ = objective.draw(torch.Generator().manual_seed(1))
    for index, image in zip(t, clean, strict=True):
        found = trained_on(objective, float(levels.sigmas[index]))
        assert torch.equal(found[0], image)
    assert trained_on(LevelObjective(images, levels, 4), 1.0) is None


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"gap_samplers": ["reverse_sde", "heun"]}, "a sampler that draws no noise on the way and"),
        ({"sigmas": [1.0, 30.0]}, "sigmas has 30, and the networks' levels reach from"),
    ],
)
def test_what_would_fail_after_the_training_is_said_before(tmp_path, wrong, sentence):
    from crosskrylov.runtime.files import save_npz

    images = np.zeros((2, 1, 8, 8), dtype=np.float32)
    save_npz(tmp_path / "images.npz", images=images)
    data = StudyData(paths={"images": tmp_path / "images.npz"}, seed=3)
    with pytest.raises(ConfigError, match=sentence):
        alone = {"quantised": [], "sampled": [], "steps": 10**9}
        study_training_objectives(data, ["dsm"], **{**SETTINGS, **alone, **wrong})


def test_samplers_that_do_not_fit_are_left_out(tables):
    frechet = tables["objective_errors"].query("quantity == 'frechet'")
    by_model = frechet.groupby("model").sampler.agg(set)
    assert by_model["dsm"] == {"heun", "reverse_sde", "ddim"}
    assert by_model["student"] == by_model["rectified"] == {"heun", "ddim"}
    assert by_model["distilled"] == by_model["mmd"] == {"ddim"}


def test_what_was_tuned_on_is_told_beside_the_network_that_it_started_from(tables):
    tuned = tables["objective_errors"].query("quantity == 'frechet_tuned_on'")
    assert tuned.model.tolist() == ["mmd", "dsm"]


def test_a_training_reaches_its_own_last_distance(tables):
    steps = tables["objective_errors"].query("quantity == 'steps_to_reference'").set_index("model")
    assert steps.reached["dsm"] and steps.error["dsm"] <= 3


def test_quantised_networks_stand_beside_the_network_as_it_was_trained(tables):
    table = tables["objective_quantised"]
    columns = ["model", "weight_bits", "activation_bits", "calibration"]
    assert table[columns].to_numpy().tolist() == [
        ["dsm", 32, 32, ""],
        ["dsm", 2, 32, ""],
        ["dsm", 8, 32, ""],
        ["dsm", 32, 8, "first"],
        ["diffuse_vae", 32, 32, ""],
        ["diffuse_vae", 4, 8, "every"],
    ]
    full = table[(table.weight_bits == 32) & (table.activation_bits == 32)].set_index("model")
    assert (full.noise_change == 0).all() and (full.error == full.full_error).all()
    # these are the samples of the other table
    drawn = tables["objective_errors"].query("quantity == 'frechet' and sampler == 'heun'")
    assert full.error["dsm"] == drawn.set_index("model").error["dsm"]
    by_bits = table.query("model == 'dsm' and activation_bits == 32").set_index("weight_bits")
    assert by_bits.noise_change[2] > 4 * by_bits.noise_change[8] > 0
    assert (table.groupby("model").full_error.nunique() == 1).all()


def test_only_a_trained_network_is_quantised():
    entries = [{"model": "dms", "weight_bits": 4}]
    with pytest.raises(ConfigError, match=r"quantised names 'dms', which is not trained.*of dsm"):
        check_quantised(entries, ["dsm"])


def test_calibration_takes_as_many_inputs_from_all_calls_as_from_one():
    calls = [(torch.full((40, 2), float(k)), torch.full((40,), float(k))) for k in range(5)]
    images, times = chosen_inputs(calls, "every", 0)
    assert images.shape == (40, 2) and torch.equal(images[:, 0], times)
    assert set(times.tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}
    assert chosen_inputs(calls, "first", 0)[1].unique().tolist() == [0.0]
    assert chosen_inputs(calls, "last", 0)[1].unique().tolist() == [4.0]


def test_first_passage_is_interpolated_and_bounded():
    curve = [(10, 8.0), (40, 2.0), (80, 1.0)]
    assert first_passage(curve, 4.0) == (pytest.approx(20.0), True)
    assert first_passage(curve, 9.0) == (10.0, True)
    assert first_passage(curve, 0.5) == (80.0, False)


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        (["mmd", "dsm"], "has 'mmd', which starts from a trained 'dsm': put that before it"),
        (["dsm", "dsm"], "names 'dsm' twice"),
        ([{"model": "dsm", "name": "other"}], "'other' is compared with 'dsm', which is not"),
        (["dsm", "immisible"], r"no model \(did you mean 'immiscible'\?\)"),
        (["dsm", "dsm_scaled"], "'dsm_scaled', which is the same as 'dsm'"),
    ],
)
def test_impossible_choices_are_named(models, sentence):
    with pytest.raises(ConfigError, match=sentence):
        choices(models, 4, "dsm")


def test_samples_are_clipped_unless_a_network_was_trained_without(monkeypatch):
    from crosskrylov.studies import training_objectives as study

    asked = []

    def drawn(*arguments, clip, **options):
        asked.append(clip)
        return SimpleNamespace(images=torch.zeros(4, 1, 8, 8))

    monkeypatch.setattr(study, "draw_samples", drawn)
    images = np.random.default_rng(2).random((6, 1, 8, 8), dtype=np.float32)
    trainings = Trainings(images, 3, SETTINGS)
    for choice in choices(["dsm", {"model": "mmd", "options": {"chain": 2}}], 4, "dsm"):
        run = trainings.train(choice)
        asked.clear()
        trainings.samples(run, "ddim", 2)
        assert asked == [choice.label == "dsm"]
