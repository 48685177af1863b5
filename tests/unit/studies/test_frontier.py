"""The projection's choices: which are run, what is counted, and what windows of a march are."""

from dataclasses import replace

import numpy as np
import pytest

from crosskrylov.equation.problem import problem_from_config
from crosskrylov.errors import ConfigError
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import MarchOptions
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.frontier import (
    CONVERGED,
    Case,
    Laboratory,
    best_cases,
    grid_cases,
    measure,
    tabulate,
    varied_cases,
)
from crosskrylov.studies.windows import cut_windows, window_problem
from tests.laboratory import EQUATION, SIZE, bank, smooth_log_density

SETTING = {"tolerance": 1e-6, "start": "previous", "density": "smoothed"}
SOLVERS = {
    "spsolve": {"method": "spsolve"},
    "nearest": {"method": "cross_matrix_galerkin", "grid": True},
    "joint": {"method": "cross_matrix_joint", "grid": True},
}


def test_grid_keeps_the_total_dimension_and_leaves_a_target():
    cases = grid_cases(SOLVERS, [1, 2, 8], [4, 20, CONVERGED], 40, n_images=5)
    names = {(c.solver, c.n_seeds, c.dimension) for c in cases}
    assert ("nearest", 2, 20) in names and ("joint", 2, CONVERGED) in names
    assert not any(n_seeds == 8 for _, n_seeds, _ in names)
    assert not any(solver == "joint" and n_seeds == 1 for solver, n_seeds, _ in names)
    grown = next(c for c in cases if c.dimension == CONVERGED and c.n_seeds == 2)
    assert grown.options == {"dimension": 20, "grow": True}
    tight = grid_cases(SOLVERS, [2], [20], 39, n_images=5)
    assert tight == []


def test_settings_vary_one_at_a_time():
    case = Case("a", "spsolve", {}, tolerance=1e-6, start="previous", density="smoothed")
    changed = varied_cases([case], [1e-3, 1e-6], ["zero", "previous"], ["smoothed", "kde"])
    assert [(c.varied, c.tolerance, c.start, c.density) for c in changed] == [
        ("tolerance", 1e-3, "previous", "smoothed"),
        ("start", 1e-6, "zero", "smoothed"),
        ("density", 1e-6, "previous", "kde"),
    ]


def test_best_points_are_those_of_least_time_on_the_grid():
    cases = [
        Case(name, "x", {}, varied=kind) for name, kind in zip("abc", ["reference"] + 2 * ["grid"])
    ]
    seconds = [np.full(3, 0.1), np.array([3.0, 1.0, 1.0]), np.full(3, 2.0)]
    assert [c.solver for c in best_cases(cases, seconds, 1)] == ["b"]


@pytest.fixture(scope="module")
def measured():
    laboratory = Laboratory(
        bank().problem, {"smoothed": smooth_log_density}, [0.0, 1.0], 2, {"picard_tolerance": 1e-6}
    )
    plain = {"method": "cross_matrix_galerkin", "options": {"dimension": 0}}
    cases = [
        Case("spsolve", "spsolve", {}),
        Case("plain", **plain),
        *grid_cases(SOLVERS, [2], [6, CONVERGED], 60, 5),
    ]
    cases = [replace(case, **SETTING) for case in cases]
    cases.append(Case("loose", **plain, **SETTING | {"tolerance": 1e-2}))
    counts, seconds = measure(laboratory, cases, 2, np.random.default_rng(0))
    return tabulate(cases, counts, seconds, 5).set_index(["solver", "dimension"])


def test_a_direct_solver_has_no_products_and_others_have(measured):
    assert np.isnan(measured.products_per_system["spsolve"].iloc[0])
    others = measured.drop("spsolve")
    assert (others.products_per_system >= others.matrix_products).all()
    assert (others.matrix_products > 0).all()


def test_all_points_solve_the_same_equation(measured):
    tight = measured.drop("loose")
    assert np.ptp(tight.score_error) < 1e-4
    assert (tight.score_difference <= 1e-4).all()
    assert (tight.max_relative_residual <= 1e-6).all()
    assert measured.score_difference["loose"].isna().all()  # no direct solver in its setting


def test_ratios_are_to_the_refinement_alone_of_the_same_setting(measured):
    assert measured.seconds_vs_unprojected["plain"].iloc[0] == 1.0
    assert measured.seconds_vs_unprojected["loose"].iloc[0] == 1.0
    assert measured.seconds_vs_unprojected["joint"].notna().all()


def test_grown_spaces_report_the_dimension_they_reached(measured):
    reached = measured.mean_dimension
    assert reached["nearest", 6] == 6
    assert 0 < reached["nearest", CONVERGED] < 30


def test_a_window_goes_on_where_the_march_stood():
    equation = {
        **EQUATION,
        "diffusion": {"kind": "exponential", "sigma": 2.0},
        "drift": {"kind": "linear", "rate": 0.5},
    }
    problem = problem_from_config(equation, SIZE, SIZE)
    fields, options = smooth_log_density()[:2], MarchOptions(tolerance=1e-10)
    whole = march(problem, fields, make_solver("splu"), options)
    window = window_problem(problem, 3, 4)
    part = march(window, whole.log_density[:, 3], make_solver("splu"), options)
    np.testing.assert_allclose(part.log_density, whole.log_density[:, 3:8], atol=1e-9)
    assert window.diffusion.tau(0.01) == pytest.approx(
        problem.diffusion.tau(problem.time(3) + 0.01) - problem.diffusion.tau(problem.time(3))
    )


def test_windows_that_would_reach_beyond_the_end_begin_earlier():
    windows = cut_windows(bank().problem, smooth_log_density(), [0.0, 0.9, 1.0], 3)
    assert [w.first for w in windows] == [0, 5]
    with pytest.raises(ConfigError, match="does not fit a march of 8"):
        cut_windows(bank().problem, smooth_log_density(), [0.0], 9)
