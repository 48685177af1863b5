"""ODE and SDE samples of potentials, with the exact model at the floor."""

import math

import pytest
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.plane_mixtures import plane_mixture
from crosskrylov.studies.potential_gap import error_rows, gap_rows, penalty, potential_tables

SETTINGS = {
    "units": 8,
    "sharpness": 5,
    "steps": [2],
    "learning_rates": [1e-3],
    "batch_size": 8,
    "points": 8,
    "box": 3.5,
    "span": (1e-3, 4.0),
    "n_samples": 400,
    "groups": 4,
    "sampling_steps": 100,
    "truncation": 4.0,
    "times": [0.01, 1.0],
    "n_states": 50,
}


def test_the_exact_model_has_its_gap_at_the_floor_and_no_residual():
    data = plane_mixture("nine_gaussians")
    assert penalty(data, SETTINGS, 0) < 1e-12
    errors = error_rows(data, data, SETTINGS, 0)
    assert max(row[k] for row in errors for k in row if k != "time") < 1e-6
    rows = gap_rows(data.float(), data, SETTINGS, 0)
    gap, floor = (sum(row[key] for row in rows) / len(rows) for key in ("gap", "floor"))
    assert 0.7 * floor < gap < 1.3 * floor
    assert max(row["ode_outside"] for row in rows) == 0


def test_a_wrong_score_has_a_gap_above_the_floor():
    data = plane_mixture("nine_gaussians").float()
    wrong = lambda x, t: 0.7 * data(x, t)  # noqa: E731
    rows = gap_rows(wrong, data, SETTINGS, 0)
    assert all(row["gap"] > 1.5 * row["floor"] for row in rows)


def test_samples_outside_are_counted_and_left_out():
    data = plane_mixture("nine_gaussians").float()
    few = SETTINGS | {"n_samples": 50, "groups": 1, "sampling_steps": 30}
    (row,) = gap_rows(data, data, few | {"truncation": 2.5}, 0)
    assert 0 < row["ode_outside"] < 1 and row["gap"] < 4
    (row,) = gap_rows(data, data, few | {"truncation": 1e-6}, 0)
    assert math.isnan(row["gap"]) and row["sde_outside"] == 1


def test_a_run_has_the_exact_model_and_every_weight_for_every_seed():
    few = SETTINGS | {"n_samples": 50, "groups": 1, "sampling_steps": 10}
    tables = potential_tables(["nine_gaussians"], [0, 1.0], [3, 4], few)
    gaps = tables["potential_gap"]
    assert gaps.network.tolist() == ["exact", "weight 0", "weight 1"] * 2
    assert gaps.seed.tolist() == [3] * 3 + [4] * 3
    assert gaps.residual[gaps.network == "exact"].max() < 1e-6 < gaps.residual[1]
    assert len(tables["potential_errors"]) == 2 * 3 * 2
    assert (gaps.score_residual <= gaps.residual).all()


def test_an_unknown_law_and_steps_without_a_rate_are_told_before_any_training():
    with pytest.raises(ConfigError, match="data_sets names 'spirals'; available are nine_gauss"):
        potential_tables(["nine_gaussians", "spirals"], [0], [1], SETTINGS)
    with pytest.raises(ConfigError, match=r"steps \[2\] and learning_rates \[0.1, 0.01\]"):
        potential_tables(["nine_gaussians"], [0], [1], SETTINGS | {"learning_rates": [0.1, 0.01]})


def test_the_exact_model_is_in_the_precision_that_it_is_asked_for():
    data = plane_mixture("nine_gaussians").float()
    assert data(torch.zeros((1, 2)), torch.ones(1)).dtype == torch.float32
