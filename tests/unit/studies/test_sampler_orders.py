"""Orders of samplers and losses of round trips, on the exact model of a few points."""

import numpy as np
import pandas as pd
import pytest
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.sampling.reference import ExactReference, discretisation_error
from crosskrylov.studies.sampler_families import FAMILIES, family_of
from crosskrylov.studies.sampler_orders import (
    BASELINE,
    inversion_errors,
    inversion_table,
    ode_samplers,
    order_table,
    sampler_errors,
)

DATA = torch.sign(torch.randn((6, 1, 4, 4), generator=torch.Generator().manual_seed(4))) * 0.7


@pytest.fixture(scope="module")
def reference():
    return ExactReference(DATA, n_samples=9)


@pytest.fixture(scope="module")
def errors(reference):
    return sampler_errors(reference, ["ddim", "o_belm", "ode_rk45"], [9, 17, 33], 3)


def test_errors_of_the_groups_are_those_of_the_whole(reference, errors):
    ddim = errors[errors.sampler == "ddim"].groupby("function_evaluations").error
    whole, made = discretisation_error(reference, "ddim", 17)
    assert made in ddim.groups and ddim.size()[made] == 3
    assert np.sqrt((ddim.get_group(made) ** 2).mean()) == pytest.approx(whole)


def test_observed_orders_lie_in_their_intervals(errors):
    table = order_table(errors, 8).groupby("sampler").first()
    for sampler, order in (("ddim", 1), ("o_belm", 2)):
        row = table.loc[sampler]
        assert row.declared_order == order and row.observed_order == pytest.approx(order, abs=0.3)
        assert row.order_low <= row.observed_order <= row.order_high
        assert row.low <= row.error <= row.high
    # one that chooses its evaluations itself has errors, and no order
    assert np.isnan(table.observed_order["ode_rk45"]) and table.error["ode_rk45"] > 0


def test_order_counts_from_the_evaluations_that_it_is_told(errors):
    from_start, from_end = (order_table(errors, n).groupby("sampler").first() for n in (8, 20))
    assert from_start.observed_order["ddim"] > 0
    assert np.isnan(from_end.observed_order["ddim"])  # a single point is no slope


def test_every_deterministic_sampler_is_chosen_and_has_a_family():
    names = ode_samplers()
    assert {"ddim", "edict", "dc_solver", "sada"} <= set(names)
    assert not {"ddpm", "reverse_sde", "interpolant"} & set(names)
    families = {name: family_of(name) for name in names}
    assert families["ddim"] == FAMILIES[0] and families["edict"] == FAMILIES[1]
    assert families["dpm_solver_v3"] == family_of("dc_solver", 10) == FAMILIES[2]


def test_a_sampler_that_cannot_be_measured_is_said(reference):
    with pytest.raises(ConfigError, match="'ddcm' is stochastic"):
        sampler_errors(reference, ["ddcm"], [9], 3)
    with pytest.raises(ConfigError, match="has at most 3, but sampler 'edict' needs 5"):
        sampler_errors(reference, ["edict"], [2, 3], 3)
    with pytest.raises(ConfigError, match="'ddim', which cannot be run backwards"):
        inversion_errors(DATA, ["ddim"], [4], 1, (0.02, 20.0), 0)


def test_round_trips_by_precision():
    half = {"method": "bdia", "options": {"gamma": 0.5}, "name": "half"}
    table = inversion_table(inversion_errors(DATA, ["o_belm", half], [8, 40], 3, (0.5, 20.0), 0))
    error = table[table.direction == "noise"].set_index(["sampler", "precision", "steps"]).error
    assert error["o_belm", "float64", 40] < 1e-12 < 1e-9 < error["o_belm", "float32", 40] < 1e-3
    # the common inversion is as inexact in either precision, and less so with more steps
    common = error[BASELINE]
    assert common["float32", 8] == pytest.approx(common["float64", 8], rel=1e-3)
    assert common["float64", 40] < common["float64", 8] / 2
    # a bit is lost per step
    assert error["half", "float32", 40] > 1 > 1e-2 > error["half", "float32", 8]


def test_a_round_trip_that_overflows_has_no_interval():
    errors = pd.DataFrame(
        {"sampler": "a", "precision": "float32", "direction": "noise", "group": [0, 1]}
        | {"steps": 9, "function_evaluations": 9, "error": [np.nan, 1.0]}
    )
    row = inversion_table(errors).iloc[0]
    assert np.isinf(row.error) and np.isnan(row.low)
