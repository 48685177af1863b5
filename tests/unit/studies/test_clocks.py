"""The interleaved clocks: who runs when, from which state, and what is counted."""

import numpy as np
import pytest

from crosskrylov.equation.problem import problem_from_config
from crosskrylov.errors import ConfigError
from crosskrylov.scores.march import PHASES, march
from crosskrylov.scores.march_options import march_options
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies import clocks
from crosskrylov.studies.clocks import study_clocks, time_solvers, window_states
from crosskrylov.studies.data import StudyData
from tests.laboratory import EQUATION, SIZE, seeds, smooth_log_density

MARCH = {"tolerance": 1e-10}
WINDOWS = [[1, 2], [5, 7]]
SOLVERS = {
    "spsolve": {"method": "spsolve"},
    "fast": {"method": "transform_bicgstab"},
    "projected": {"method": "cross_matrix_galerkin", "options": {"dimension": 4}},
    "other": {"method": "spsolve", "options": {"permc_spec": "MMD_AT_PLUS_A"}},
}


def timed(**changes):
    arguments = {"windows": WINDOWS, "repeats": 3, "march_images": 0, "seed": 1} | changes
    return time_solvers(EQUATION, smooth_log_density(), SOLVERS, MARCH, seeds(), **arguments)


@pytest.fixture(scope="module")
def table():
    return timed()


def test_every_solver_has_one_turn_in_every_repeat_of_a_window(table):
    assert len(table) == 3 * len(WINDOWS) * len(SOLVERS)
    for _, turns in table.groupby(["repeat", "first_step"]):
        assert sorted(turns.solver) == sorted(SOLVERS)
        assert turns.turn.tolist() == [1, 2, 3, 4]


def test_the_order_is_random_and_the_random_seeds(table):
    def orders(found):
        return [tuple(turns.solver) for _, turns in found.groupby(["repeat", "first_step"])]

    assert len(set(orders(table))) > 1
    assert orders(timed()) == orders(table)
    assert orders(timed(seed=2)) != orders(table)


def test_repeats_follow_one_another_so_that_solvers_share_what_the_machine_does(table):
    assert table.repeat.is_monotonic_increasing
    assert (
        table.groupby("repeat", sort=False)
        .first_step.apply(lambda steps: steps.is_monotonic_increasing)
        .all()
    )


def test_windows_start_from_the_reference_march_and_end_where_whole_marches_do():
    problem = problem_from_config(EQUATION, SIZE, SIZE)
    options = march_options(MARCH)
    whole = march(problem, smooth_log_density(), make_solver("spsolve"), options)
    parts = window_states(problem, smooth_log_density(), options, WINDOWS)
    assert [(w.first, w.last) for _, w in parts] == [(1, 2), (5, 7)]
    for state, window in parts:
        np.testing.assert_allclose(state, whole.log_density[:, window.first - 1], atol=1e-8)
        part = march(problem, state, make_solver("splu"), options, window=window)
        steps = slice(window.first - 1, window.last + 1)
        np.testing.assert_array_equal(part.steps, whole.steps[steps])
        np.testing.assert_allclose(part.log_density, whole.log_density[:, steps], atol=1e-8)
        rows = slice(window.first - 1, window.last)
        np.testing.assert_array_equal(part.picard_iterations, whole.picard_iterations[rows])
    assert parts[0][1].older is None
    np.testing.assert_allclose(parts[1][1].older, whole.log_density[:, 3], atol=1e-8)


def test_counts_are_those_of_the_window_and_the_same_in_every_repeat(table):
    for _, rows in table.groupby(["solver", "first_step"]):
        assert rows.systems.nunique() == rows.iterations.nunique() == 1
        assert rows.score_error_vs_exact.nunique() == 1
    assert (table.systems == table.mean_picard * table.n_steps * table.n_images).all()
    assert (table.max_relative_residual <= 1e-10).all()
    assert (table.iterations[table.family == "direct"] == 0).all()
    assert (table.iterations[table.solver == "fast"] > 0).all()


def test_solvers_agree_and_the_first_entry_of_the_published_method_is_the_baseline(table):
    assert set(table.solver[table.baseline]) == {"spsolve"}
    assert (table.score_error_vs_spsolve[table.solver == "spsolve"] == 0).all()
    assert table.score_error_vs_spsolve.max() < 1e-6
    assert (table.score_error_vs_exact > 1e-4).all()


def test_every_phase_is_timed(table):
    seconds = table[[f"{phase}_seconds" for phase in PHASES]]
    assert (seconds >= 0).all().all()
    assert (table.conversion_seconds[table.solver == "spsolve"] > 0).all()
    assert (seconds.assembly_seconds > 0).all()


def test_the_warm_up_comes_first_and_is_not_counted(monkeypatch):
    calls = []
    monkeypatch.setattr(clocks, "warm_up", lambda method, *args, **more: calls.append(method))

    def counted(*arguments, plain=clocks.march, **more):
        calls.append("timed")
        return plain(*arguments, **more)

    monkeypatch.setattr(clocks, "march", counted)
    found = timed(repeats=1, windows=[[1, 1]])
    assert calls == [entry["method"] for entry in SOLVERS.values()] + ["timed"] * len(found)


def test_the_check_marches_few_images_whole_with_a_tenth_of_them_as_seeds():
    found = timed(repeats=1, windows=[[1, 1]], march_images=3)
    check = found[found.part == "march"]
    assert sorted(check.solver) == sorted(SOLVERS)
    assert set(check.n_steps) == {EQUATION["time_steps"]}
    assert set(check.n_images) == {3}
    assert set(check.n_seeds) == {1}


def test_without_windows_the_whole_march_is_timed():
    found = timed(windows=None, repeats=1)
    assert set(found.n_steps) == {EQUATION["time_steps"]}


@pytest.mark.parametrize("window", [[5, 9], [9, 12], [3, 2], [0, 1]])
def test_a_window_outside_the_march_is_one_sentence(window):
    first, last = window
    with pytest.raises(
        ConfigError,
        match=rf"steps {first} to {last} does not lie in the march, which has the steps 1 to 8",
    ):
        timed(windows=[[1, 2], window])


def study(**options):
    settings = {"equation": EQUATION, "march": MARCH, "solvers": SOLVERS}
    data = StudyData(settings=settings)
    data.__dict__.update(log_density=smooth_log_density(), seeds=seeds())
    arguments = {"windows": [[1, 1]], "repeats": 1, "march_images": 0, "largest_size": {}}
    return study_clocks(data, **(arguments | options))["clocks"]


def test_a_solver_is_left_out_of_images_that_are_too_large_for_it():
    found = study(largest_size={"other": SIZE - 1, "fast": SIZE})
    assert set(found.solver) == set(SOLVERS) - {"other"}


def test_a_size_for_a_solver_that_is_not_timed_is_named():
    with pytest.raises(ConfigError, match=r"largest_size names 'fats', which is not timed"):
        study(largest_size={"fats": 64})
