"""Chan and Ng's adaptive reseeding against SpSolve, and the seed's space that it grows."""

import numpy as np
import pytest

from crosskrylov.equation.problem import problem_from_config
from crosskrylov.equation.stencil import FivePointStencil
from crosskrylov.errors import ConfigError, ConvergenceError, DataError
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import MarchOptions
from crosskrylov.solvers.base import LinearSystems
from crosskrylov.solvers.kernels.growing import grow_space
from crosskrylov.solvers.kernels.residuals import relative_residuals
from crosskrylov.solvers.registry import make_solver
from tests.laboratory import bank, smooth_log_density

VARIANTS = {
    "published": {},
    "formed": {"inner_tolerance": None},
    "least_squares": {"projection": "least_squares"},
    "short": {"max_dimension": 4},
}


def solver_of(**options):
    return make_solver("cross_matrix_chan_ng", options)


def solution_of(systems, **options):
    return solver_of(**options).solve(systems)


def repeated(systems, position, times):
    """Return the same system several times."""
    who = np.full(times, position)
    return LinearSystems(
        systems.matrix.take(who), systems.rhs[who], systems.start[who], np.arange(times),
        systems.step, 1, systems.problem, systems.tolerance,
    )  # fmt: skip


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("start", ["previous", "zero"])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_agrees_with_spsolve_without_seeds(options, start, position):
    systems = bank().systems(position, 1e-9, start=start)
    expected = make_solver("spsolve").solve(systems).x
    solution = solution_of(systems, **options)
    assert (relative_residuals(systems.matrix, systems.rhs, solution.x) <= 1e-9).all()
    np.testing.assert_allclose(solution.x, expected, rtol=0, atol=1e-7 * np.abs(expected).max())
    assert not solution.fallbacks.any()


@pytest.mark.parametrize(
    ("entries", "options"),
    [
        ({"boundary": "reflecting"}, {}),
        ({"border_gradient": "ghost", "drift": {"kind": "linear"}}, {"linearisation": "newton"}),
    ],
)
def test_marches_of_other_equations(entries, options):
    m0 = smooth_log_density()
    problem = problem_from_config({"final_time": 0.1, "time_steps": 4} | entries, *m0.shape[1:])
    options = MarchOptions(tolerance=1e-9, **options)
    expected = march(problem, m0, make_solver("spsolve"), options)
    found = march(problem, m0, solver_of(), options)
    scale = np.abs(expected.log_density).max()
    np.testing.assert_allclose(found.log_density, expected.log_density, atol=1e-6 * scale)
    assert found.solver_iterations.sum() > 0


def test_a_constant_image_marches():
    m0 = np.full((1, 8, 8), -0.25)
    problem = problem_from_config({"time_steps": 3, "final_time": 0.03}, 8, 8)
    expected = march(problem, m0, make_solver("spsolve"), MarchOptions(tolerance=1e-9))
    found = march(problem, m0, solver_of(), MarchOptions(tolerance=1e-9))
    np.testing.assert_allclose(found.log_density, expected.log_density, atol=1e-7)


def test_the_order_of_images_changes_nothing_beyond_the_tolerance():
    systems = bank().systems(1, 1e-9)
    order = np.array([3, 0, 4, 2, 1])
    straight, mixed = solution_of(systems), solution_of(systems.take(order))
    np.testing.assert_allclose(mixed.x, straight.x[order], atol=1e-7 * np.abs(straight.x).max())


def test_copies_of_the_seed_are_solved_by_its_space_alone():
    systems = repeated(bank().systems(0, 1e-8), 2, 4)
    solution = solution_of(systems)
    seed = int(solution.iterations.argmax())
    others = np.delete(solution.iterations, seed)
    assert solution.iterations[seed] > 3
    assert (others == 1).all()  # one projection, no space of their own
    assert solution.setup_seconds > 0.0


def test_the_worst_system_is_the_first_seed():
    systems = bank().systems(1, 1e-8)
    start = make_solver("splu").solve(systems).x
    start[3] += 0.5 * np.abs(start[3]).max()
    systems.start[:] = start
    solution = solution_of(systems)
    assert solution.iterations[3] > 0 and not np.delete(solution.iterations, 3).any()
    np.testing.assert_array_equal(solution.x[0], start[0])


def test_iterations_are_products_with_the_matrix(monkeypatch):
    from crosskrylov.solvers.kernels import growing, split_products

    counted = np.zeros(1, dtype=int)
    real = split_products.BandedOperator

    class Counting(real):
        def __call__(self, fields, active):
            counted[0] += len(active)
            return super().__call__(fields, active)

    monkeypatch.setattr(growing, "BandedOperator", Counting)
    monkeypatch.setattr(split_products, "BandedOperator", Counting)
    systems = repeated(bank().systems(0, 1e-8), 2, 3)
    # copies need one product of each projection, so that none rests while others go on
    assert solution_of(systems).iterations.sum() == counted[0]


def test_zero_right_hand_side_gives_exactly_zero():
    systems = bank().systems(0, 1e-8)
    systems.rhs[[1, 4]] = 0.0
    solution = solution_of(systems)
    assert not solution.x[[1, 4]].any() and not solution.iterations[[1, 4]].any()
    assert (relative_residuals(systems.matrix, systems.rhs, solution.x) <= 1e-8).all()


@pytest.mark.parametrize("options", [{"max_iterations": 2}, {"max_seeds": 1}])
def test_a_miss_raises_with_its_history_or_is_counted(options):
    systems = bank().systems(0, 1e-10, start="zero")
    with pytest.raises(ConvergenceError, match=r"cross_matrix_chan_ng.*fallback") as caught:
        solution_of(systems, **options)
    assert caught.value.residual_history[-1] > 1e-10
    solution = solution_of(systems, fallback="spsolve", **options)
    assert solution.fallbacks.any()
    assert (relative_residuals(systems.matrix, systems.rhs, solution.x) <= 1e-10).all()


def test_values_that_are_not_finite_are_a_data_error():
    systems = bank().systems(0, 1e-8)
    systems.rhs[1, 3, 3] = np.nan
    with pytest.raises(DataError, match="image 1"):
        solution_of(systems)


def test_a_singular_matrix_is_a_data_error():
    systems = bank().systems(0, 1e-8)
    for a in systems.matrix.arrays():
        a[0, 2] = 0.0
    with pytest.raises(DataError, match="singular"):
        solution_of(systems)


@pytest.mark.parametrize(
    "options",
    [
        {"max_dimension": 0},
        {"max_seeds": 0},
        {"max_iterations": 0},
        {"projection": "petrov"},
        {"inner_tolerance": 1.0},
        {"fallback": "gmres"},
    ],
)
def test_options_that_do_not_fit_are_config_errors(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        solver_of(**options)


@pytest.mark.parametrize("projection", ["galerkin", "least_squares"])
def test_the_grown_space_is_an_arnoldi_basis_that_solves_its_seed(projection):
    systems = bank().systems(0, 1e-8)
    matrix = systems.matrix.take(slice(0, 1))
    residual = systems.rhs[0] - matrix.take(0).apply(systems.start[0])
    goal = 1e-7 * np.linalg.norm(residual)
    space = grow_space(matrix, residual, goal, 100, projection)
    flat = space.basis.reshape(len(space.basis), -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)), atol=1e-13)
    np.testing.assert_allclose(space.image, matrix.take(0).apply(space.basis), atol=1e-9)
    left = residual - matrix.take(0).apply(space.correction)
    assert np.linalg.norm(left) <= goal * (1 + 1e-6)
    # one dimension less does not do
    shorter = grow_space(matrix, residual, goal, len(flat) - 1, projection)
    assert np.linalg.norm(residual - matrix.take(0).apply(shorter.correction)) > goal


def test_an_exhausted_space_ends_early_and_solves():
    identity = np.ones((1, 3, 3))
    nothing = np.zeros((1, 3, 3))
    matrix = FivePointStencil(2.0 * identity, nothing, nothing, nothing, nothing)
    residual = np.arange(9.0).reshape(3, 3)
    space = grow_space(matrix, residual, 0.0, 9)
    assert len(space.basis) == 1
    np.testing.assert_allclose(space.correction, residual / 2.0)
    assert len(grow_space(matrix, 0.0 * residual, 0.0, 9).basis) == 0
