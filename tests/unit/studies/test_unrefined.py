"""Marches that go on from projected solutions alone."""

import numpy as np
import pytest

from crosskrylov.equation.exact import exact_log_density
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import MarchOptions
from crosskrylov.solvers.kernels.residuals import relative_residuals
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.unrefined import unrefined
from tests.laboratory import bank, seeds, smooth_log_density

UNREFINED = "cross_matrix_unrefined"


@pytest.fixture(scope="module")
def table():
    problem, steps = bank().problem, np.array([1, 4, 8])
    solvers = {
        "solved": {"method": "transform_bicgstab"},
        "nothing": {"method": UNREFINED, "options": {"dimension": 0}},
        "alone": {"method": UNREFINED, "options": {"dimension": 4}, "n_seeds": 2},
    }
    exact = exact_log_density(problem, smooth_log_density(), steps * problem.time_step)
    images = np.random.default_rng(0).random((5, 1, 10, 10), dtype=np.float32)
    found = unrefined(images, smooth_log_density(), problem, steps, exact, solvers, {}, 1e-8, "row")
    return found.set_index(["solver", "step"])


def test_the_refined_march_is_nearer_to_the_exact_scores(table):
    solved, alone, nothing = (table.loc[name] for name in ("solved", "alone", "nothing"))
    for quantity in ("residual", "score_error", "embedded_error"):
        assert (solved[quantity] <= alone[quantity]).all()
        assert alone[quantity][8] <= nothing[quantity][8]
    assert (solved.residual_max <= 1e-8).all() and (alone.residual_max > 1e-8).any()


def test_only_solvers_that_project_have_seeds(table):
    assert table.loc["solved"].n_seeds.isna().all()
    assert (table.loc["alone"].n_seeds == 2).all()
    assert not table.loc["alone"].states_tolerance.any()


def test_a_march_reports_the_residuals_of_a_solver_without_tolerance():
    options = MarchOptions(tolerance=1e-8)
    solver = make_solver(UNREFINED, {"dimension": 3})
    trajectory = march(bank().problem, smooth_log_density(), solver, options, seeds=seeds())
    assert trajectory.max_residual.max() > 1e-3
    assert np.isfinite(trajectory.log_density).all()
    assert not trajectory.solver_iterations.any()


def test_projected_solutions_never_have_a_larger_residual_than_their_start():
    systems = bank().systems(0, 1e-8)
    start = relative_residuals(systems.matrix, systems.rhs, systems.start)
    for space in ("nearest", "joint"):
        solver = make_solver(UNREFINED, {"dimension": 5, "space": space})
        solver.prepare(bank().problem, smooth_log_density(), seeds())
        after = relative_residuals(systems.matrix, systems.rhs, solver.solve(systems).x)
        assert (after <= start).all() and (after < 0.9 * start).any()
