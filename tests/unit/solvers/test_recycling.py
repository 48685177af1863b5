"""Recycled GCROT against SpSolve; what it carries, counts and leaves."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp

from crosskrylov.errors import ConfigError, ConvergenceError, DataError
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import MarchOptions
from crosskrylov.solvers import recycling
from crosskrylov.solvers.kernels.residuals import relative_residuals
from crosskrylov.solvers.recycling import CountedOperator, carried_angles, recycled_gcrot
from crosskrylov.solvers.registry import make_solver
from tests.laboratory import bank, smooth_log_density

VARIANTS = {
    "default": {},
    "few": {"k": 2, "m": 4},
    "given": {"order": "given", "k": 5},
    "time": {"recycle": "time", "k": 5},
    "alone": {"recycle": "none"},
    "transform": {"preconditioner": "transform", "k": 5},
}


def prepared(**options):
    solver = make_solver("recycled_gcrot", options)
    solver.prepare(bank().problem, smooth_log_density())
    return solver


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_agrees_with_spsolve_on_the_bank(options):
    solver = prepared(**options)
    for position in range(3):
        systems = bank().systems(position, 1e-9)
        expected = make_solver("spsolve").solve(systems).x
        solution = solver.solve(systems)
        assert (relative_residuals(systems.matrix, systems.rhs, solution.x) <= 1e-9).all()
        np.testing.assert_allclose(solution.x, expected, rtol=0, atol=1e-7 * np.abs(expected).max())
        assert (solution.iterations > 0).all()


@pytest.mark.parametrize("key", ["default", "time"])
def test_a_march_agrees_with_spsolve(key):
    options = MarchOptions(tolerance=1e-9)
    m0 = smooth_log_density()
    expected = march(bank().problem, m0, make_solver("splu"), options).log_density
    solver = make_solver("recycled_gcrot", VARIANTS[key])
    found = march(bank().problem, m0, solver, options).log_density
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_products_are_all_that_are_made(monkeypatch):
    made = []
    real = CountedOperator._multiply
    monkeypatch.setattr(
        CountedOperator, "_multiply", lambda self, v: (made.append(1), real(self, v))[1]
    )
    solution = prepared(k=3).solve(bank().systems(0, 1e-9))
    assert solution.iterations.sum() == len(made) > 0


def test_systems_are_taken_in_the_chain_and_directions_passed_on():
    solver, seen = prepared(k=4), []
    solver.observe = lambda matrix, image, taken, left: seen.append((image, taken, left))
    solver.solve(bank().systems(0, 1e-9))
    images = [image for image, _, _ in seen]
    assert images == list(np.argsort(solver._rank)) and images != [0, 1, 2, 3, 4]
    assert len(seen[0][1]) == 0
    for (_, _, left), (_, taken, _) in pairwise(seen):
        assert taken is left and 1 <= len(left) <= 4
        np.testing.assert_allclose(np.linalg.norm(left, axis=1), 1.0)


def test_every_image_keeps_its_own_directions_over_time():
    solver, seen = prepared(recycle="time"), {}

    def observe(matrix, image, taken, left):
        assert taken is seen.get(image, taken) and bool(len(taken)) == (image in seen)
        seen[image] = left

    solver.observe = observe
    for position in range(3):
        solver.solve(bank().systems(position, 1e-9))
    assert sorted(seen) == [0, 1, 2, 3, 4]


def test_recycling_saves_products_on_an_ill_conditioned_family():
    rng = np.random.default_rng(0)
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(120, 120))
    rhs, counts = rng.normal(size=120), []
    for keep in (False, True):
        carried, total = np.zeros((0, 120)), 0
        for i in range(8):
            matrix = sp.csr_array(line + 1e-4 * i * sp.eye_array(120))
            x, left, products, history = recycled_gcrot(
                matrix, rhs, 1e-6 * np.linalg.norm(rhs), carried, m=20, k=15, max_products=3000
            )
            assert np.linalg.norm(rhs - matrix @ x) == pytest.approx(history[-1])
            assert history[-1] <= 1e-6 * np.linalg.norm(rhs)
            carried, total = (left if keep else carried), total + products
        counts.append(total)
    assert counts[1] < 0.7 * counts[0]


def test_angles_between_the_carried_and_the_new_space():
    rng = np.random.default_rng(1)
    u = rng.normal(size=(3, 30))
    a = sp.csr_array(np.diag(rng.uniform(1.0, 2.0, 30)))
    np.testing.assert_allclose(carried_angles(u, a, 3.0 * a), 0.0, atol=1e-7)
    b = sp.csr_array(a + 0.1 * rng.normal(size=(30, 30)))
    small, large = carried_angles(u, a, a + 0.01 * (b - a)), carried_angles(u, a, b)
    assert (np.diff(large) >= 0).all() and large.shape == (3,)
    assert 0 < small.max() < large.max() <= np.pi / 2
    assert carried_angles(u[:0], a, b).shape == (0,)


def test_zero_right_hand_side_and_solved_starts_cost_nothing():
    systems = bank().systems(0, 1e-8)
    systems.rhs[1] = 0.0
    systems.start[2] = make_solver("splu").solve(systems).x[2]
    solution = prepared().solve(systems)
    assert not solution.x[1].any() and not solution.iterations[[1, 2]].any()
    np.testing.assert_array_equal(solution.x[2], systems.start[2])


def test_a_miss_raises_with_its_history_or_is_counted():
    systems = bank().systems(0, 1e-12, start="zero")
    options = {"max_iterations": 2, "m": 2, "k": 1}
    with pytest.raises(ConvergenceError, match=r"recycled_gcrot.*fallback") as caught:
        prepared(**options).solve(systems)
    assert caught.value.residual_history[-1] > 1e-12
    solution = prepared(**options, fallback="spsolve").solve(systems)
    assert solution.fallbacks.any()
    assert (relative_residuals(systems.matrix, systems.rhs, solution.x) <= 1e-12).all()


def test_values_that_are_not_finite_and_singular_matrices_are_data_errors():
    systems = bank().systems(0, 1e-8)
    systems.rhs[1, 3, 3] = np.nan
    with pytest.raises(DataError, match="image 1"):
        prepared().solve(systems)
    systems = bank().systems(0, 1e-8)
    for a in systems.matrix.arrays():
        a[0, 2] = 0.0
    with pytest.raises(DataError, match="singular"):
        prepared().solve(systems)


def test_it_must_be_prepared():
    with pytest.raises(ConfigError, match="prepared"):
        make_solver("recycled_gcrot").solve(bank().systems(0, 1e-8))


@pytest.mark.parametrize(
    "options",
    [
        {"k": 0}, {"m": 0}, {"order": "random"}, {"recycle": "space"},
        {"preconditioner": "ilu"}, {"max_iterations": 0}, {"fallback": "gmres"},
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_config_errors(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        make_solver("recycled_gcrot", options)


def test_a_breakdown_of_scipy_is_a_miss(monkeypatch):
    def fail(*args, **kwargs):
        raise np.linalg.LinAlgError

    monkeypatch.setattr(recycling.spla, "gcrotmk", fail)
    with pytest.raises(ConvergenceError):
        prepared().solve(bank().systems(0, 1e-9))
