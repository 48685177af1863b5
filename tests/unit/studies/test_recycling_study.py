"""Recycling on recorded systems: the same systems for all, ratios, and angles."""

import numpy as np
import pytest

from crosskrylov.errors import ConfigError
from crosskrylov.studies.recycling import record, recycling, replay
from crosskrylov.studies.windows import cut_windows
from tests.laboratory import bank, smooth_log_density

SOLVERS = {
    "gmres": {"method": "gmres"},
    "bicgstab": {"method": "bicgstab"},
    "sorted": {"method": "recycled_gcrot", "options": {"k": 4}},
    "alone": {"method": "recycled_gcrot", "options": {"recycle": "none"}},
}


@pytest.fixture(scope="module")
def table():
    return recycling(
        *(bank().problem, smooth_log_density(), {}, SOLVERS, "gmres", "bicgstab"),
        *(["none", "transform"], 1e-6, [0.0], 2, 2),
    ).set_index(["solver", "preconditioner", "start"])


def test_what_is_compared_with_itself_has_ratio_one(table):
    assert (table.loc["gmres"].products_vs_gmres == 1).all()
    assert (table.loc["gmres"].seconds_vs_gmres == 1).all()
    warm = table.xs("previous", level="start").loc["bicgstab"]
    assert (warm.products_vs_warm_bicgstab == 1).all()


def test_ratios_are_those_of_the_products(table):
    wanted = table.products_per_system["gmres", "none", "zero"]
    row = table.loc["sorted", "none", "zero"]
    assert row.products_vs_gmres == pytest.approx(wanted / row.products_per_system)


def test_only_recycling_has_angles_and_all_residuals_hold(table):
    assert table.loc["sorted"].angle_largest_degrees.between(0, 90).all()
    assert table.loc[["gmres", "alone"]].angle_largest_degrees.isna().all()
    assert (table.max_relative_residual <= 1e-6).all()


def test_gcrot_without_recycling_takes_gmres_products_or_fewer(table):
    """In one cycle both minimise over the same space; SciPy's GMRES forms a residual more."""
    alone, gmres = table.loc["alone"], table.loc["gmres"]
    assert (alone.products_per_system <= gmres.products_per_system).all()
    assert (alone.products_per_system >= gmres.products_per_system - 2.1).all()


def test_recorded_systems_are_those_that_are_open():
    windows = cut_windows(bank().problem, smooth_log_density(), [0.0], 2)
    (recorded,) = record(windows, {}, 1e-6, {"method": "bicgstab"})
    assert recorded.systems[0].step == 1 and len(recorded.systems[0]) == 5
    for systems in recorded.systems:
        start = systems.rhs - systems.matrix.apply(systems.start)
        assert (np.linalg.norm(start, axis=(1, 2)) > 0).all()
    before = recorded.systems[0].start.copy()
    replay([recorded], "bicgstab", {}, "zero")
    np.testing.assert_array_equal(recorded.systems[0].start, before)


def test_a_reference_that_is_not_run_is_named():
    with pytest.raises(ConfigError, match="compares with 'idr'"):
        recycling(
            *(bank().problem, smooth_log_density(), {}, SOLVERS, "idr", "bicgstab"),
            *(["none"], 1e-6, [0.0], 1, 1),
        )
