"""Restorations against the exact posterior: what the tables hold and what they must say."""

import pytest
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.studies.inverse_problems import (
    RESOLUTION,
    ROUNDING,
    inner_residuals,
    restoration_errors,
    restoration_table,
)

IMAGES = torch.sign(torch.randn((6, 1, 8, 8), generator=torch.Generator().manual_seed(4))) * 0.7
FEW = {"noises": [0.5], "n_problems": 2, "groups": 3, "seed": 0}


def errors(**changes):
    options = FEW | {"draws": 3} | changes
    methods = ["exact_sample", "pseudo_inverse", {"method": "dds", "options": {"cg_steps": 2}}]
    return restoration_errors(IMAGES, ["super_resolution"], methods, [4, 8], **options)


def test_every_method_has_a_row_per_group_and_references_one_number_of_evaluations():
    found = errors()
    counts = found.groupby(["method", "function_evaluations"]).size()
    assert counts.to_dict() == {
        ("exact_sample", 0): 3,
        ("pseudo_inverse", 0): 3,
        ("dds, cg_steps 2", 4): 3,
        ("dds, cg_steps 2", 8): 3,
    }
    assert set(found.cg_steps[found.method.str.startswith("dds")]) == {2}
    assert (found.error == found.posterior_error.clip(lower=RESOLUTION)).all()
    assert found.equals(errors())
    both = errors(noises=[0.5, 1.0])
    assert both[both.noise == 0.5].reset_index(drop=True).equals(found)


def test_draws_of_the_posterior_average_to_its_mean():
    noisy = {"noises": [2.0], "n_problems": 4, "groups": 1}
    few, many = (errors(draws=n, **noisy).iloc[0] for n in (1, 400))
    # one draw is as far as the posterior is wide, the mean of many is not
    assert few.mean_error == pytest.approx(few.posterior_error)
    assert many.mean_error < 0.15 * many.posterior_error
    assert many.effective_images > 1.5


def test_without_noise_the_posterior_is_the_measured_image():
    exact = errors(noises=[0.0]).iloc[0]
    assert exact.effective_images == 1 and exact.posterior_error == 0 and exact.true_error == 0


def test_the_table_has_medians_and_intervals():
    table = restoration_table(errors(noises=[1.0]))
    assert len(table) == 4
    assert (table.low <= table.posterior_error).all() and (table.high >= table.low).all()
    assert {"mean_error_low", "true_error_high", "misfit_low", "cg_steps"} <= set(table)
    none = restoration_table(errors(noises=[0.0])).iloc[0]
    # what is right to rounding has no interval of rounding
    ends = [none.posterior_error, none.low, none.high]
    assert ends == pytest.approx([RESOLUTION] * 3)


def test_conjugate_gradients_inside_sampling_reduce_both_systems():
    table = inner_residuals(IMAGES, ["super_resolution", "radon"], [3.0], gamma=1.0, steps=4, **FEW)
    assert len(table) == 2 * 2 * 5 and set(table.noise) == {0.0, 0.5}
    assert (table.residual[table.iteration == 0] == 1).all()
    # all singular values of block means are one: a single step is the projection
    first = table[(table.operator == "super_resolution") & (table.iteration == 1)]
    assert (first.residual[first.system == "projection"] == ROUNDING).all()
    assert (first.residual < 1e-10).all()
    slow = table[(table.operator == "radon") & (table.system == "projection")]
    assert slow.residual.iloc[-1] < slow.residual.iloc[0]


def test_an_unknown_operator_is_named():
    with pytest.raises(ConfigError, match="operator 'blurr' of an inverse problem is unknown"):
        restoration_errors(IMAGES, ["blurr"], ["dds"], [4], draws=1, **FEW)
