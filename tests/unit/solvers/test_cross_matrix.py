"""Every solver in a whole march against SpSolve, and what the solvers do at the edges."""

import numpy as np
import pytest

from crosskrylov.equation.assembly import assemble_systems
from crosskrylov.equation.density import initial_log_density
from crosskrylov.equation.problem import problem_from_config
from crosskrylov.equation.stencil import FivePointStencil, score
from crosskrylov.errors import ConfigError, ConvergenceError, DataError, ShapeError
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import MarchOptions
from crosskrylov.scores.seeds import SeedAssignment, select_seeds
from crosskrylov.solvers.base import LinearSolver, LinearSystems, Solution
from crosskrylov.solvers.kernels.residuals import relative_residuals
from crosskrylov.solvers.registry import make_solver

SIZE, N_IMAGES = 16, 6
SOLVERS = {
    "gmres": ("gmres", {}),
    "gmres-amg": ("gmres", {"preconditioner": "amg", "restart": 5}),
    "bicgstab": ("bicgstab", {}),
    "bicgstab-ilu": ("bicgstab", {"preconditioner": "ilu"}),
    "galerkin": ("cross_matrix_galerkin", {}),
    "galerkin-0": ("cross_matrix_galerkin", {"dimension": 0}),
    "galerkin-gmres": (
        "cross_matrix_galerkin",
        {"dimension": 5, "refine": "gmres", "recycle": 2, "rebuild": "iteration"},
    ),
    "galerkin-only": (
        "cross_matrix_galerkin",
        {"projection": "least_squares", "refine": "none", "fallback": "spsolve"},
    ),
    "joint": ("cross_matrix_joint", {"projection": "least_squares", "rebuild": "iteration"}),
    "pod": ("cross_matrix_pod", {"recycle": True}),
    "pod-transform": (
        "cross_matrix_pod",
        {"projection": "least_squares", "refine_preconditioner": "transform", "history": 1},
    ),
    "deflated": ("deflated_gmres", {}),
    "seed-lu": ("seed_lu", {}),
    "seed-lu-gmres": ("seed_lu", {"krylov": "gmres", "refresh_steps": 4}),
    "transform-bicgstab": ("transform_bicgstab", {}),
    "transform-gmres": ("transform_gmres", {}),
}
SEEDED = ["galerkin", "joint", "pod", "deflated", "seed-lu"]


def pictures(n=N_IMAGES, size=SIZE, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.random((n, 1, 4, 4))
    return np.kron(coarse, np.ones((size // 4, size // 4)))


def equation(steps=10, size=SIZE, **entries):
    return problem_from_config({"final_time": 0.1, "time_steps": steps} | entries, size, size)


def solver_of(key):
    method, options = SOLVERS[key]
    return make_solver(method, options)


@pytest.fixture(scope="module")
def reference():
    problem, m0 = equation(), initial_log_density(pictures())
    trajectory = march(problem, m0, make_solver("spsolve"), MarchOptions(tolerance=1e-8))
    return problem, m0, trajectory.score(problem.spacing)


@pytest.mark.parametrize("key", SOLVERS)
def test_solver_agrees_with_spsolve_over_a_march(key, reference):
    problem, m0, expected = reference
    seeds = select_seeds(m0, 2)
    trajectory = march(problem, m0, solver_of(key), MarchOptions(tolerance=1e-8), seeds=seeds)
    found = trajectory.score(problem.spacing)
    for image in range(N_IMAGES):
        error = np.linalg.norm(found[image] - expected[image]) / np.linalg.norm(expected[image])
        assert error <= 1e-5
    assert trajectory.max_residual.max() <= 1e-8
    if SOLVERS[key][1].get("refine") == "none":
        assert trajectory.fallbacks.sum() > 0
    else:
        assert trajectory.fallbacks.sum() == 0
        assert (trajectory.solver_iterations > 0).any()


@pytest.mark.parametrize("key", ["galerkin", "joint", "pod", "deflated", "seed-lu", "gmres"])
@pytest.mark.parametrize(
    ("entries", "options"),
    [
        ({"boundary": "reflecting"}, {}),
        ({"border_gradient": "ghost", "drift": {"kind": "linear"}}, {"linearisation": "newton"}),
        ({"diffusion": {"kind": "exponential", "sigma": 2.0}}, {"start": "zero"}),
    ],
)
def test_other_equations_and_marches(key, entries, options):
    problem, m0 = equation(3, 8, **entries), initial_log_density(pictures(4, 8))
    options = MarchOptions(tolerance=1e-9, **options)
    expected = march(problem, m0, make_solver("spsolve"), options).log_density
    seeds = select_seeds(m0, 2)
    found = march(problem, m0, solver_of(key), options, seeds=seeds).log_density
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def first_systems(n=4, size=8, tolerance=1e-8):
    problem, m0 = equation(3, size), initial_log_density(pictures(n, size))
    matrix, rhs = assemble_systems(problem, 1, m0, m0)
    return LinearSystems(matrix, rhs, m0.copy(), np.arange(n), 1, 1, problem, tolerance), m0


def prepared(key_or_solver, systems, m0, seeds=None):
    solver = solver_of(key_or_solver) if isinstance(key_or_solver, str) else key_or_solver
    solver.prepare(systems.problem, m0, seeds or select_seeds(m0, 1, "first"))
    return solver


@pytest.mark.parametrize("key", SOLVERS)
def test_zero_right_hand_side_gives_exactly_zero(key):
    systems, m0 = first_systems()
    systems.rhs[[0, 2]] = 0.0
    solution = prepared(key, systems, m0).solve(systems)
    assert not solution.x[[0, 2]].any()
    assert (relative_residuals(systems.matrix, systems.rhs, solution.x) <= 1e-8).all()


@pytest.mark.parametrize("key", SOLVERS)
def test_systems_that_are_not_finite_are_a_data_error(key):
    systems, m0 = first_systems()
    systems.rhs[1, 3, 3] = np.nan
    with pytest.raises(DataError, match="image 1"):
        prepared(key, systems, m0).solve(systems)


@pytest.mark.parametrize("key", SOLVERS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_singular_seed_matrix_is_a_data_error(key):
    systems, m0 = first_systems()
    for a in systems.matrix.arrays():
        a[0, 2] = 0.0  # a row of pixels without any equation
    with pytest.raises(DataError, match="singular"):
        prepared(key, systems, m0).solve(systems)


@pytest.mark.parametrize("key", SOLVERS)
def test_one_constant_image(key):
    problem, m0 = equation(3, 8), initial_log_density(np.full((1, 1, 8, 8), 0.5))
    seeds = select_seeds(m0, 1)
    options = MarchOptions(tolerance=1e-9)
    expected = march(problem, m0, make_solver("spsolve"), options)
    found = march(problem, m0, solver_of(key), options, seeds=seeds)
    np.testing.assert_allclose(found.log_density, expected.log_density, atol=1e-6)


def test_constant_log_density_with_reflection_stays_constant():
    # the residual of every system is zero from the start: there is no Krylov space at all
    problem, m0 = equation(3, 8, boundary="reflecting"), np.zeros((2, 8, 8)) - 0.25
    for key in SEEDED:
        found = march(problem, m0, solver_of(key), seeds=select_seeds(m0, 1)).log_density
        np.testing.assert_allclose(found, -0.25, atol=1e-12)


@pytest.mark.parametrize("projection", ["galerkin", "least_squares"])
@pytest.mark.parametrize("method", ["cross_matrix_galerkin", "cross_matrix_joint"])
def test_a_target_equal_to_its_seed_is_solved_exactly_by_projection(method, projection):
    problem = equation(3, 4)
    m0 = np.repeat(initial_log_density(pictures(1, 4)), 2, axis=0)
    matrix, rhs = assemble_systems(problem, 1, m0, m0)
    systems = LinearSystems(matrix, rhs, m0.copy(), np.arange(2), 1, 1, problem, 1e-11)
    options = {"dimension": 16, "projection": projection, "refine": "none"}
    solution = prepared(make_solver(method, options), systems, m0).solve(systems)
    assert (relative_residuals(matrix, rhs, solution.x) <= 1e-11).all()
    np.testing.assert_allclose(solution.x[0], solution.x[1], atol=1e-12)
    assert not solution.fallbacks.any() and not solution.iterations.any()


def test_pod_solves_a_target_equal_to_its_seed_by_projection():
    systems, m0 = first_systems(2, tolerance=1e-9)
    same = np.array([0, 0])
    systems = LinearSystems(
        systems.matrix.take(same), systems.rhs[same], systems.start[same], np.arange(2), 1, 1,
        systems.problem, 1e-9,
    )  # fmt: skip
    solution = prepared("pod", systems, m0).solve(systems)
    assert solution.iterations[0] > 0 and solution.iterations[1] <= 1
    assert solution.setup_seconds > 0


def test_seed_lu_solves_the_seed_in_one_iteration():
    systems, m0 = first_systems()
    iterations = prepared("seed-lu", systems, m0).solve(systems).iterations
    assert iterations[0] == 1 and (iterations[1:] >= 1).all()


@pytest.mark.parametrize("method", ["cross_matrix_galerkin", "cross_matrix_joint", "cross_matrix_pod", "deflated_gmres"])  # fmt: skip # noqa: E501
def test_dimension_larger_than_the_system_is_a_config_error(method):
    systems, m0 = first_systems()
    with pytest.raises(ConfigError, match="between 0 and 64"):
        prepared(make_solver(method, {"dimension": 65}), systems, m0)


@pytest.mark.parametrize("key", SEEDED)
def test_seeds_are_needed_and_must_fit(key):
    systems, m0 = first_systems()
    with pytest.raises(ConfigError, match="needs seed images"):
        solver_of(key).prepare(systems.problem, m0, None)
    with pytest.raises(ConfigError, match="prepared"):
        solver_of(key).solve(systems)
    with pytest.raises(ShapeError, match="4 are marched"):
        solver_of(key).prepare(systems.problem, m0, select_seeds(m0[:3], 1))


@pytest.mark.parametrize("key", SEEDED)
def test_a_step_without_its_seeds_is_refused(key):
    systems, m0 = first_systems()
    solver = prepared(key, systems, m0)
    with pytest.raises(ConfigError, match="seed image 0 at time step 1"):
        solver.solve(systems.take(np.array([1, 2])))


@pytest.mark.parametrize("key", SEEDED)
def test_seeds_may_drop_out_of_later_picard_iterations(key):
    systems, m0 = first_systems()
    solver = prepared(key, systems, m0)
    solver.solve(systems)
    later = systems.take(np.array([1, 3]))
    later.picard = 2
    x = solver.solve(later).x
    assert (relative_residuals(later.matrix, later.rhs, x) <= 1e-8).all()


@pytest.mark.parametrize(
    "key",
    ["gmres", "bicgstab", "galerkin", "pod", "deflated", "seed-lu-gmres", "transform-gmres"],
)
def test_a_miss_raises_with_its_history_or_is_counted(key):
    systems, m0 = first_systems(tolerance=1e-12)
    method, options = SOLVERS[key]
    with pytest.raises(ConvergenceError, match=r"tolerance 1.0e-12.*fallback") as caught:
        prepared(make_solver(method, options | {"max_iterations": 1}), systems, m0).solve(systems)
    assert len(caught.value.residual_history) >= 1
    assert caught.value.residual_history[-1] > 1e-12
    assert caught.value.best.shape == (8, 8)
    options = options | {"max_iterations": 1, "fallback": "spsolve"}
    solution = prepared(make_solver(method, options), systems, m0).solve(systems)
    assert solution.fallbacks.any()
    assert (relative_residuals(systems.matrix, systems.rhs, solution.x) <= 1e-12).all()


def test_projection_without_refinement_raises_on_a_miss():
    systems, m0 = first_systems()
    solver = make_solver("cross_matrix_galerkin", {"dimension": 2, "refine": "none"})
    with pytest.raises(ConvergenceError, match="cross_matrix_galerkin"):
        prepared(solver, systems, m0).solve(systems)


class Planted(LinearSolver):
    """Solves every system but one image's at one step, which it gets wrong without saying so."""

    name, family = "planted", "direct"

    def __init__(self, image, step):
        self.image, self.step, self.honest = image, step, make_solver("spsolve")

    def solve(self, systems):
        x = self.honest.solve(systems).x
        if systems.step == self.step:
            x[systems.image_index == self.image, 3, 4] += 1e-3
        return Solution(x, np.zeros(len(systems), dtype=int))


def test_a_planted_miss_is_not_silent():
    problem, m0 = equation(4, 8), initial_log_density(pictures(3, 8))
    with pytest.raises(ConvergenceError, match=r"planted.*image 2, time step 3") as caught:
        march(problem, m0, Planted(2, 3), MarchOptions(tolerance=1e-8))
    assert caught.value.residual_history[0] > 1e-8


@pytest.mark.parametrize("inner_tolerance", [None, 1e-10])
def test_a_useless_basis_never_makes_the_start_worse(monkeypatch, inner_tolerance):
    from crosskrylov.solvers import cross_matrix
    from crosskrylov.solvers.kernels import reduced_iteration, split_products

    systems, m0 = first_systems()
    solver = make_solver("cross_matrix_galerkin", {"inner_tolerance": inner_tolerance})
    prepared(solver, systems, m0)
    monkeypatch.setattr(
        split_products,
        "projection_coefficients",
        lambda p, a, r, *rest: np.full((len(r), p.size), 1e6),
    )
    monkeypatch.setattr(
        reduced_iteration.ReducedSpace, "project",
        lambda self, apply, r, tolerance: reduced_iteration.ReducedProjection(
            r * 1e6, r - apply(r * 1e6), np.ones(len(r), dtype=int), np.ones(len(r), dtype=bool)
        ),
    )  # fmt: skip
    solver._spaces = [cross_matrix.SplitProducts(m0, systems.matrix.take(0))]
    np.testing.assert_array_equal(solver._project(systems), systems.start)


def test_a_start_that_meets_the_tolerance_is_left_alone():
    systems, m0 = first_systems()
    systems.start[2] = make_solver("spsolve").solve(systems).x[2]
    for key in ("galerkin", "pod", "deflated", "transform-gmres"):
        solution = prepared(key, systems, m0).solve(systems)
        assert solution.iterations[2] == 0 and solution.iterations[1] > 0
        np.testing.assert_array_equal(solution.x[2], systems.start[2])


def test_solving_images_together_equals_solving_them_one_by_one():
    systems, m0 = first_systems(4)
    seeds = SeedAssignment(np.array([0]), np.zeros(4, dtype=int), np.zeros(4))
    together = prepared("galerkin-gmres", systems, m0, seeds).solve(systems).x
    for target in (1, 2, 3):
        alone = prepared("galerkin-gmres", systems, m0, seeds).solve(
            systems.take(np.array([0, target]))
        )
        np.testing.assert_allclose(alone.x[1], together[target], atol=1e-8)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("gmres", {"preconditioner": "jacobi"}, "none, ilu, amg"),
        ("gmres", {"restart": 0}, "restart"),
        ("bicgstab", {"max_iterations": 0}, "max_iterations"),
        ("bicgstab", {"fallback": "gmres"}, "fallback"),
        ("cross_matrix_galerkin", {"projection": "petrov"}, "galerkin, least_squares"),
        ("cross_matrix_galerkin", {"refine": "cg"}, "refine"),
        ("cross_matrix_galerkin", {"rebuild": "never"}, "rebuild"),
        ("cross_matrix_galerkin", {"dimension": 2.5}, "dimension"),
        ("cross_matrix_galerkin", {"refine_preconditioner": "ilu"}, "transform"),
        ("cross_matrix_joint", {"rank_tolerance": 0.0}, "rank_tolerance"),
        ("cross_matrix_pod", {"history": 0}, "history"),
        ("deflated_gmres", {"dimension": 4, "n_deflated": 5}, "n_deflated"),
        ("seed_lu", {"krylov": "cg"}, "krylov"),
        ("seed_lu", {"refresh_steps": 0}, "refresh_steps"),
        ("seed_lu", {"no_such_option": 1}, "do not fit"),
        ("transform_gmres", {"max_iterations": 0}, "max_iterations"),
    ],
)
def test_options_that_do_not_fit_are_config_errors(method, options, message):
    with pytest.raises(ConfigError, match=message):
        make_solver(method, options)


def test_torch_systems_go_through_the_transform_solvers_only():
    torch = pytest.importorskip("torch")
    systems, m0 = first_systems()
    tensors = LinearSystems(
        FivePointStencil(*(torch.from_numpy(a) for a in systems.matrix.arrays())),
        torch.from_numpy(systems.rhs),
        torch.from_numpy(systems.start),
        systems.image_index, 1, 1, systems.problem, 1e-8,
    )  # fmt: skip
    x = prepared("transform-bicgstab", systems, m0).solve(tensors).x
    assert (relative_residuals(systems.matrix, systems.rhs, x.numpy()) <= 1e-8).all()
    with pytest.raises(DataError, match="NumPy"):
        prepared("galerkin", systems, m0).solve(tensors)


def test_score_of_extrapolated_start_agrees(reference):
    problem, m0, expected = reference
    options = MarchOptions(tolerance=1e-8, start="extrapolated")
    found = march(problem, m0, solver_of("galerkin"), options, seeds=select_seeds(m0, 2))
    error = score(found.log_density, problem.spacing) - expected
    assert np.linalg.norm(error) <= 1e-5 * np.linalg.norm(expected)
