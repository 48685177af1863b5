"""The engines against the march with SpSolve, the exact solution and closed forms."""

import numpy as np
import pytest
import torch

from crosskrylov.equation.assembly import assemble_systems
from crosskrylov.equation.density import initial_log_density
from crosskrylov.equation.exact import exact_log_density
from crosskrylov.equation.problem import (
    FokkerPlanckProblem,
    constant_diffusion,
    problem_from_config,
)
from crosskrylov.equation.stencil import score
from crosskrylov.errors import ConfigError, ConvergenceError
from crosskrylov.scores.engine_options import EngineOptions
from crosskrylov.scores.engines import batched_march
from crosskrylov.scores.engines.batched_march import BatchedMarch
from crosskrylov.scores.engines.block_equation import BlockEquation
from crosskrylov.scores.engines.block_score import block_score
from crosskrylov.scores.engines.density_form import DensityForm, density_operator
from crosskrylov.scores.engines.exact_transform import ExactTransform
from crosskrylov.scores.engines.solver_march import SolverMarch
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import MarchOptions
from crosskrylov.solvers.kernels.residuals import relative_residuals
from crosskrylov.solvers.registry import make_solver

EQUATIONS = {
    "published": {},
    "reflecting": {"boundary": "reflecting"},
    "ghost": {"border_gradient": "ghost"},
    "ghost reflecting": {"border_gradient": "ghost", "boundary": "reflecting"},
    "linear drift": {"drift": {"kind": "linear"}},
    "vp": {"drift": {"kind": "vp"}, "diffusion": {"kind": "vp"}, "boundary": "reflecting"},
    "growing g": {"diffusion": {"kind": "exponential", "sigma": 5.0}},
}
ALL_EQUATIONS = pytest.mark.parametrize("equation", EQUATIONS.values(), ids=EQUATIONS.keys())


def fields(n, height=12, width=None, seed=5):
    """Smooth random log-densities."""
    images = np.random.default_rng(seed).random((n, 1, height, width or height))
    return initial_log_density(images, n_samples=20000)


def difference(a, b):
    """Largest relative L2 difference of any image."""
    a, b = np.asarray(a), np.asarray(b)
    axes = tuple(range(1, a.ndim))
    return (np.sqrt(((a - b) ** 2).sum(axes)) / np.sqrt((b**2).sum(axes))).max()


@ALL_EQUATIONS
@pytest.mark.parametrize("shape", [(12, 12), (9, 14)])
def test_the_in_place_equation_is_the_assembled_one(equation, shape):
    problem = problem_from_config({"time_steps": 20, **equation}, *shape)
    previous, m = (torch.from_numpy(fields(3, *shape, seed=s)) for s in (1, 2))
    step = 7
    matrix, rhs = assemble_systems(problem, step, previous, m)
    block = BlockEquation(problem, 3, torch.float64, "cpu")
    block.set_step(step)
    own_rhs = block.right_hand_side(previous, torch.empty_like(m))
    torch.testing.assert_close(own_rhs, rhs)
    residual = block.residual(m, own_rhs, torch.empty_like(m))
    torch.testing.assert_close(residual, rhs - matrix.apply(m), rtol=1e-10, atol=1e-9)
    # b + N(m) - residual is P m: corrected by P^-1 of it, 0 becomes m to single precision
    image = block.scale * block.nonlinear(m, torch.empty_like(m)) + own_rhs - residual
    again = block.correct(torch.zeros_like(m), image)
    torch.testing.assert_close(again, m, rtol=1e-4, atol=1e-5)


@ALL_EQUATIONS
@pytest.mark.parametrize("max_picard", [2, 5, None])
def test_batched_march_equals_spsolve(equation, max_picard):
    problem = problem_from_config({"time_steps": 25, **equation}, 12, 12)
    initial, steps = fields(4), [1, 2, 12, 25]
    result = BatchedMarch(problem, steps, max_picard=max_picard).run(initial)
    assert not result.failures
    assert (result.max_residual <= 1e-8).all()
    options = MarchOptions(max_picard=max_picard or 30)
    expected = march(problem, initial, make_solver("spsolve"), options, stored_steps=steps)
    own = score(result.log_density.numpy(), problem.spacing)
    assert difference(own, expected.score(problem.spacing)) <= 1e-5


@ALL_EQUATIONS
def test_batched_march_equals_spsolve_to_rounding(equation):
    problem = problem_from_config({"time_steps": 25, **equation}, 12, 12)
    initial, steps = fields(2), [1, 12, 25]
    result = BatchedMarch(problem, steps, tolerance=1e-13, max_picard=None).run(initial)
    options = MarchOptions(picard_tolerance=1e-13, max_picard=60, tolerance=1e-10)
    expected = march(problem, initial, make_solver("spsolve"), options, stored_steps=steps)
    own = score(result.log_density.numpy(), problem.spacing)
    assert not result.failures
    assert difference(own, expected.score(problem.spacing)) <= 1e-9


def test_reported_residuals_are_true_ones():
    problem = problem_from_config({"time_steps": 10}, 12, 12)
    steps = range(11)
    result = BatchedMarch(problem, steps, tolerance=1e-4, max_picard=None).run(fields(3))
    trajectory = result.log_density
    worst = np.zeros(3)
    for step in range(1, 11):
        matrix, rhs = assemble_systems(problem, step, trajectory[:, step - 1], trajectory[:, step])
        worst = np.maximum(worst, relative_residuals(matrix, rhs, trajectory[:, step]))
    np.testing.assert_allclose(result.max_residual, worst, rtol=1e-6)
    assert (worst > 1e-9).all(), "the tolerance was not used"
    assert (worst <= 1e-4).all()


def test_steep_images_get_newton_and_the_same_solution():
    # a factor 1e8 between neighbours, far outside what the plain iteration contracts
    problem = problem_from_config({"time_steps": 10}, 12, 12)
    initial = np.zeros((3, 12, 12))
    initial[1, 4:8, 4:8] = 12.0
    initial[2] = fields(1)[0]
    result = BatchedMarch(problem, [1, 10], max_iterations=8, max_picard=None).run(initial)
    assert result.fallbacks[1] > 0
    assert result.fallbacks[2] == 0
    assert not result.failures
    options = MarchOptions(linearisation="newton", max_picard=60, picard_tolerance=1e-10)
    expected = march(problem, initial, make_solver("spsolve"), options, stored_steps=[1, 10])
    own = score(result.log_density.numpy(), problem.spacing)
    assert difference(own[1:], expected.score(problem.spacing)[1:]) <= 1e-5


def test_an_image_that_fails_leaves_the_others_alone():
    problem = problem_from_config({"time_steps": 10}, 12, 12)
    initial = fields(4)
    alone = BatchedMarch(problem, [5, 10]).run(initial).log_density
    initial[2, 3, 3] = np.nan
    result = BatchedMarch(problem, [5, 10]).run(initial)
    assert list(result.failures) == [2]
    assert "not finite" in result.failures[2]
    assert torch.isnan(result.log_density[2]).all()
    torch.testing.assert_close(
        result.log_density[[0, 1, 3]], alone[[0, 1, 3]], rtol=1e-12, atol=1e-12
    )


def test_float32_reaches_its_tolerance():
    problem = problem_from_config({"time_steps": 25}, 16, 16)
    initial = fields(3, 16)
    single = BatchedMarch(problem, [25], tolerance=1e-4, dtype=torch.float32).run(initial)
    double = BatchedMarch(problem, [25]).run(initial)
    assert not single.failures
    assert single.log_density.dtype == torch.float32
    assert (single.max_residual <= 1e-4).all()
    own, expected = (score(r.log_density.double(), problem.spacing) for r in (single, double))
    assert difference(own, expected) <= 1e-3


@pytest.mark.parametrize("equation", ["published", "reflecting", "growing g"])
@pytest.mark.parametrize("shape", [(12, 12), (9, 14)])
def test_exact_engine_equals_the_reference(equation, shape):
    problem = problem_from_config({"time_steps": 20, **EQUATIONS[equation]}, *shape)
    steps = np.array([0, 1, 3, 20])
    initial = fields(3, *shape)
    result = ExactTransform(problem, steps).run(initial)
    expected = exact_log_density(problem, initial, steps * problem.time_step)
    np.testing.assert_allclose(result.log_density.numpy(), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("boundary", ["zero_padding", "reflecting"])
def test_leaving_decayed_modes_out_leaves_the_exact_solution(boundary):
    problem = problem_from_config({"boundary": boundary}, 48, 40)
    steps = np.array([1, 10, 100])
    engine = ExactTransform(problem, steps)
    kept = [decay.shape for decay, _, _ in engine._times]
    assert kept[0][0] > kept[1][0] > kept[2][0]
    assert kept[2][0] < 12, "nothing was left out"
    initial = fields(3, 48, 40)
    expected = exact_log_density(problem, initial, steps * problem.time_step)
    np.testing.assert_allclose(engine.run(initial).log_density.numpy(), expected, atol=1e-11)


def test_the_score_of_a_block_is_the_score_to_the_last_bit():
    m = torch.from_numpy(fields(6, 9, 14)).view(2, 3, 9, 14)
    out = torch.full((2, 3, 2, 9, 14), torch.nan, dtype=m.dtype)
    block_score(m, 1 / 13, out)
    assert out.equal(score(m, 1 / 13))


@ALL_EQUATIONS
@pytest.mark.parametrize("corrections", [0, 2])
def test_corrections_and_gmres_give_the_same_early_steps(equation, corrections, monkeypatch):
    problem = problem_from_config({"time_steps": 25, **equation}, 12, 12)
    steps = [1, 2, 3]
    own = BatchedMarch(problem, steps).run(fields(3))
    monkeypatch.setattr(batched_march, "_CORRECTIONS", corrections)
    other = BatchedMarch(problem, steps).run(fields(3))
    assert (other.max_residual <= 1e-8).all()
    assert difference(own.log_density, other.log_density) < 1e-7


def test_exact_engine_refuses_a_drift():
    problem = problem_from_config({"drift": {"kind": "linear"}}, 8, 8)
    with pytest.raises(ConfigError, match="density_form"):
        ExactTransform(problem, [1])


def gaussian(n, mean, variance):
    nodes = np.arange(n) / (n - 1)
    row, col = (
        np.exp(-((nodes - mu) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance) for mu in mean
    )
    return np.log(np.outer(row, col))


def ou_error(n, steps, rate=1.0, g=0.3, final_time=0.2):
    """Largest log-density error of the density form where an Ornstein-Uhlenbeck Gaussian lives."""
    equation = {
        "final_time": final_time,
        "time_steps": steps,
        "diffusion": {"kind": "constant", "g": g},
        "drift": {"kind": "linear", "rate": rate},
        "boundary": "reflecting",
    }
    problem = problem_from_config(equation, n, n)
    mean, variance = np.array([0.45, 0.52]), 0.07**2
    result = DensityForm(problem, [steps]).run(gaussian(n, mean, variance)[None])
    decay = np.exp(-rate * final_time)
    later = variance * decay**2 + g**2 / (2 * rate) * (1 - decay**2)
    truth = gaussian(n, 0.5 + (mean - 0.5) * decay, later)
    own = result.log_density[0, 0].numpy()
    return np.abs(np.exp(own) - np.exp(truth)).max() / np.exp(truth).max()


def test_density_form_follows_the_ornstein_uhlenbeck_gaussian():
    coarse, fine = ou_error(25, 200), ou_error(49, 200)
    assert fine < 5e-3
    assert 3.5 < coarse / fine < 4.5  # second order in h


def test_density_form_is_second_order_in_time():
    reference, errors = None, []
    for steps in (160, 10, 20):
        equation = {
            "final_time": 0.2,
            "time_steps": steps,
            "drift": {"kind": "vp", "beta_max": 2.0},
            "diffusion": {"kind": "vp", "beta_max": 2.0},
        }
        problem = problem_from_config(equation, 12, 12)
        own = DensityForm(problem, [steps]).run(gaussian(12, (0.45, 0.52), 0.01)[None])
        if reference is None:
            reference = own.log_density
        else:
            errors.append(float((own.log_density.exp() - reference.exp()).abs().max()))
    assert 3.0 < errors[0] / errors[1] < 5.5


@pytest.mark.parametrize("boundary", ["zero_padding", "reflecting"])
def test_density_form_without_drift_is_the_exact_solution(boundary):
    problem = problem_from_config({"time_steps": 400, "boundary": boundary}, 10, 10)
    initial = fields(3, 10)
    own = DensityForm(problem, [200, 400]).run(initial).log_density.numpy()
    exact = ExactTransform(problem, [200, 400]).run(initial).log_density.numpy()
    np.testing.assert_allclose(own, exact, rtol=0, atol=2e-4)


def test_density_form_conserves_mass_under_reflection():
    problem = problem_from_config(
        {"time_steps": 30, "boundary": "reflecting", "drift": {"kind": "vp"}}, 11, 13
    )
    initial = fields(2, 11, 13)
    result = DensityForm(problem, [0, 1, 30]).run(initial)
    mass = result.log_density.exp().sum(dim=(2, 3)).numpy()
    np.testing.assert_allclose(mass, mass[:, :1] * np.ones(3), rtol=1e-12)
    operator, source = density_operator(problem, 0.3)
    assert np.abs(operator.sum(axis=0)).max() < 1e-10
    assert (source == 0).all()


def test_constant_density_is_stationary_under_zero_padding():
    problem = problem_from_config({}, 7, 8)
    operator, source = density_operator(problem, 0.0)
    assert np.abs(operator @ np.ones(56) + source).max() < 1e-10


def test_density_form_approaches_the_batched_march():
    errors = []
    for steps in (50, 200):
        problem = problem_from_config({"time_steps": steps, "drift": {"kind": "linear"}}, 16, 16)
        initial = fields(2, 16)
        form = DensityForm(problem, [steps]).run(initial).log_density
        batched = BatchedMarch(problem, [steps]).run(initial).log_density
        errors.append(difference(form, batched))
    assert errors[1] < 0.05
    assert errors[1] < errors[0]


@pytest.mark.parametrize("name", ["batched_bicgstab", "batched_gmres"])
@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_batched_solvers_in_the_march(name, library, precision):
    problem = problem_from_config({"time_steps": 5, "diffusion": {"kind": "exponential"}}, 12, 12)
    initial = fields(3) if library == "numpy" else torch.from_numpy(fields(3))
    solver = make_solver(name, {"preconditioner_precision": precision})
    own = march(problem, initial, solver)
    expected = march(problem, fields(3), make_solver("spsolve"))
    assert type(own.log_density) is type(initial)
    assert difference(own.log_density, expected.log_density) < 1e-7
    assert own.solver_iterations.sum() > 0


def test_a_batched_solver_that_misses_raises():
    problem = problem_from_config({"time_steps": 3}, 12, 12)
    solver = make_solver("batched_gmres", {"max_iterations": 1, "preconditioner": "none"})
    with pytest.raises(ConvergenceError, match="max_iterations") as caught:
        march(problem, fields(2), solver)
    assert caught.value.residual_history


@pytest.mark.parametrize("name", ["batched_bicgstab", "cross_matrix_galerkin"])
def test_a_registered_solver_as_engine(name):
    problem = problem_from_config({"time_steps": 4}, 12, 12)
    initial = fields(5)
    expected = march(problem, initial, make_solver("spsolve"), stored_steps=[2, 4]).log_density
    initial[1, 0, 0] = np.inf
    result = SolverMarch(problem, [2, 4], name, march_options=MarchOptions()).run(initial)
    assert list(result.failures) == [1]
    good = [0, 2, 3, 4]
    np.testing.assert_allclose(result.log_density.numpy()[good], expected[good], atol=1e-6)
    assert (result.max_residual[good] <= 1e-8).all()


def test_auto_takes_exact_where_it_applies():
    options = EngineOptions()
    assert options.resolved_method(problem_from_config({}, 8, 8)) == "exact"
    drifting = problem_from_config({"drift": {"kind": "linear"}}, 8, 8)
    assert options.resolved_method(drifting) == "density_form"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, "engine.method is 'magic'"),
        ({"dtype": "float32", "tolerance": 1e-9}, "at least 1e-05"),
        ({"tolerance": 0.0}, "engine.tolerance"),
        ({"workers": -1}, "engine.workers"),
        ({"chunk_images": 0}, "engine.chunk_images"),
        ({"colour": 1}, "engine.colour is no option"),
        ({"solver": {}}, "engine.solver has no method"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ConfigError, match=message):
        EngineOptions.from_config(options)


def test_gaussian_mixture_error_of_the_exact_engine_falls_with_h_squared():
    errors = []
    for n in (17, 33):
        problem = FokkerPlanckProblem(n, n, 1 / (n - 1), 0.05, 10, constant_diffusion(0.3))
        nodes = np.indices((n, n)) / (n - 1)

        def density(tau, nodes=nodes, n=n):
            p = np.ones((n, n))
            for weight, row, col in ((0.02, 0.45, 0.5), (0.015, 0.58, 0.47)):
                variance = 0.06**2 + 2 * tau
                distance = (nodes[0] - row) ** 2 + (nodes[1] - col) ** 2
                p += weight * np.exp(-distance / (2 * variance)) / (2 * np.pi * variance)
            return np.log(p)

        own = ExactTransform(problem, [10]).run(density(0.0)[None]).log_density[0, 0].numpy()
        errors.append(np.abs(own - density(problem.diffusion.tau(0.05))).max())
    assert 3.3 < errors[0] / errors[1] < 4.7
