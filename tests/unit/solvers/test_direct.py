"""Direct solvers against SpSolve, to rounding."""

import numpy as np
import pytest

from crosskrylov.equation.assembly import assemble_systems
from crosskrylov.equation.problem import problem_from_config
from crosskrylov.equation.stencil import FivePointStencil
from crosskrylov.errors import ConfigError, DataError
from crosskrylov.solvers.base import LinearSystems
from crosskrylov.solvers.registry import make_solver
from tests.laboratory import bank

VARIANTS = {
    "spsolve-mmd": ("spsolve", {"permc_spec": "MMD_AT_PLUS_A"}),
    "spsolve-natural": ("spsolve", {"permc_spec": "NATURAL"}),
    "splu-colamd": ("splu", {"permc_spec": "COLAMD"}),
    "pardiso": ("pardiso", {}),
    "pardiso-anew": ("pardiso", {"reuse_analysis": False}),
    "banded": ("banded", {}),
    "block_tridiagonal": ("block_tridiagonal", {}),
}


def solver_of(key):
    method, options = VARIANTS[key]
    if method == "pardiso":
        pytest.importorskip("pypardiso")
    return make_solver(method, options)


def systems_of(shape, n=3, seed=0, **entries):
    problem = problem_from_config({"final_time": 0.1, "time_steps": 4} | entries, *shape)
    m0 = np.random.default_rng(seed).normal(scale=0.5, size=(n, *shape))
    matrix, rhs = assemble_systems(problem, 1, m0, m0, "newton")
    return LinearSystems(matrix, rhs, m0, np.arange(n), 1, 1, problem, 1e-10)


def assert_equal_to_spsolve(solver, systems):
    expected = make_solver("spsolve").solve(systems).x
    solution = solver.solve(systems)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(solution.x, expected, rtol=0, atol=1e-12 * scale)
    assert not solution.iterations.any()


@pytest.mark.parametrize("key", VARIANTS)
def test_agrees_with_spsolve_on_the_bank(key):
    solver = solver_of(key)
    for position in range(3):
        assert_equal_to_spsolve(solver, bank().systems(position, 1e-10))


@pytest.mark.parametrize("key", VARIANTS)
@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (2, 2)])
@pytest.mark.parametrize("boundary", ["zero_padding", "reflecting"])
def test_agrees_with_spsolve_on_oblong_images(key, shape, boundary):
    assert_equal_to_spsolve(solver_of(key), systems_of(shape, boundary=boundary))


def test_pardiso_analyses_a_pattern_once_and_again_when_it_changes(monkeypatch):
    solver = solver_of("pardiso")
    phases, real = [], solver._solver.set_phase
    monkeypatch.setattr(solver._solver, "set_phase", lambda p: (phases.append(p), real(p)))
    for shape in ((5, 5), (6, 4), (5, 5)):
        assert_equal_to_spsolve(solver, systems_of(shape, n=2))
    assert [p for p in phases if p in (11, 23)] == [11, 23, 23] * 3


@pytest.mark.parametrize("key", ["banded", "block_tridiagonal", "spsolve-mmd"])
def test_a_singular_matrix_is_a_data_error(key):
    systems = systems_of((5, 5))
    for a in systems.matrix.arrays():
        a[1, 2] = 0.0
    with pytest.raises(DataError, match="singular"):
        solver_of(key).solve(systems)


@pytest.mark.parametrize("key", ["banded", "block_tridiagonal"])
def test_zero_right_hand_side_gives_exactly_zero(key):
    systems = systems_of((6, 5))
    systems.rhs[1] = 0.0
    x = solver_of(key).solve(systems).x
    assert not x[1].any() and x[0].any()


def test_one_line_of_unknowns():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(2, 6, 1)) for _ in range(5)]
    arrays[0] += 9.0
    center, north, south, west, east = arrays
    north[:, 0], south[:, -1], west[:], east[:] = 0.0, 0.0, 0.0, 0.0
    matrix = FivePointStencil(center, north, south, west, east)
    systems = systems_of((5, 5))
    rhs = rng.normal(size=(2, 6, 1))
    systems = LinearSystems(matrix, rhs, rhs, np.arange(2), 1, 1, systems.problem, 1e-10)
    for key in ("banded", "block_tridiagonal"):
        assert_equal_to_spsolve(solver_of(key), systems)


@pytest.mark.parametrize("method", ["spsolve", "splu"])
def test_an_unknown_ordering_is_a_config_error(method):
    with pytest.raises(ConfigError, match="MMD_AT_PLUS_A"):
        make_solver(method, {"permc_spec": "AMD"})
