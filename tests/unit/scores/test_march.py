"""The march against the closed form: convergence orders, linearisations, failure paths."""

import numpy as np
import pytest

from crosskrylov.equation.assembly import assemble_systems
from crosskrylov.equation.exact import exact_log_density
from crosskrylov.equation.problem import (
    FokkerPlanckProblem,
    constant_diffusion,
    exponential_diffusion,
)
from crosskrylov.equation.stencil import score
from crosskrylov.errors import ConfigError, ConvergenceError, DataError, ShapeError
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import MarchOptions
from crosskrylov.solvers.base import LinearSolver, Solution
from crosskrylov.solvers.kernels.residuals import relative_residuals
from crosskrylov.solvers.registry import make_solver

G = 0.3


def bumps(n, tau):
    """Return log(1 + sum of Gaussians), a solution on the whole plane, flat at the border."""
    r, c = np.indices((n, n)) / (n - 1)
    density = np.ones((n, n))
    for weight, row, col in ((0.02, 0.45, 0.5), (0.015, 0.58, 0.47)):
        variance = 0.06**2 + 2 * tau
        distance = (r - row) ** 2 + (c - col) ** 2
        density += weight * np.exp(-distance / (2 * variance)) / (2 * np.pi * variance)
    return np.log(density)


def problem(n, steps, boundary="zero_padding", diffusion=None, final_time=0.05):
    diffusion = diffusion or constant_diffusion(G)
    return FokkerPlanckProblem(n, n, 1 / (n - 1), final_time, steps, diffusion, boundary=boundary)


def final_score_error(n, steps, boundary, **options):
    p = problem(n, steps, boundary)
    result = march(
        p,
        bumps(n, 0.0)[None],
        make_solver("spsolve"),
        MarchOptions(picard_tolerance=1e-9, max_picard=20, **options),
        stored_steps=[steps],
    )
    truth = score(bumps(n, p.diffusion.tau(p.final_time)), p.spacing)
    exact = np.linalg.norm(truth)
    return np.linalg.norm(result.score(p.spacing)[0, 0] - truth) / exact


@pytest.mark.parametrize("boundary", ["zero_padding", "reflecting"])
def test_first_order_in_time(boundary):
    # on a fixed fine grid, against the semi-discrete limit by refinement
    n, p = 25, 25
    reference = None
    errors = []
    for steps in (320, 10, 20, 40):
        p = problem(n, steps, boundary)
        result = march(
            p,
            bumps(n, 0.0)[None],
            make_solver("spsolve"),
            MarchOptions(picard_tolerance=1e-9, max_picard=20),
            stored_steps=[steps],
        )
        s = result.score(p.spacing)
        if reference is None:
            reference = s
        else:
            errors.append(np.linalg.norm(s - reference))
    # error c (1/N - 1/320): ratios (1/10 - 1/320) / (1/20 - 1/320) = 2.07 and 2.14
    assert errors[0] / errors[1] == pytest.approx(2.07, abs=0.15)
    assert errors[1] / errors[2] == pytest.approx(2.14, abs=0.15)


@pytest.mark.parametrize("boundary", ["zero_padding", "reflecting"])
def test_second_order_in_space_with_the_time_step_tied_to_h_squared(boundary):
    errors = [final_score_error(n, steps, boundary) for n, steps in ((13, 3), (25, 12), (49, 48))]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders[-1] == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize("boundary", ["zero_padding", "reflecting"])
@pytest.mark.parametrize(
    ("diffusion", "final_time"),
    [(constant_diffusion(G), 0.04), (exponential_diffusion(0.2), 0.004)],
)
def test_exact_solution_matches_the_gaussian_mixture_with_h_squared(
    boundary, diffusion, final_time
):
    errors = []
    for n in (25, 49):
        p = problem(n, 1, boundary, diffusion, final_time=final_time)
        truth = bumps(n, p.diffusion.tau(final_time))
        exact = exact_log_density(p, bumps(n, 0.0)[None], [0.0, final_time])
        np.testing.assert_allclose(exact[0, 0], bumps(n, 0.0), atol=1e-12)
        errors.append(np.abs(exact[0, 1] - truth).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.2)


def test_exact_solution_conserves_mass_under_reflection():
    rng = np.random.default_rng(11)
    m = rng.normal(size=(2, 9, 12))
    p = FokkerPlanckProblem(9, 12, 1 / 11, 1.0, 1, constant_diffusion(0.5), boundary="reflecting")
    exact = exact_log_density(p, m, [0.3, 1.0])
    mass = np.exp(exact).sum(axis=(-2, -1))
    np.testing.assert_allclose(mass, np.exp(m).sum(axis=(-2, -1))[:, None] * np.ones(2), rtol=1e-12)


def test_newton_picard_and_extrapolation_reach_the_same_solution():
    n, p = 17, problem(17, 8, final_time=0.5)
    m = np.stack([bumps(n, 0.0), 0.5 * bumps(n, 0.01)])
    runs = {
        key: march(
            p,
            m,
            make_solver("spsolve"),
            MarchOptions(picard_tolerance=1e-12, max_picard=60, linearisation=key[0], start=key[1]),
        )
        for key in (
            ("picard", "previous"),
            ("newton", "previous"),
            ("newton", "extrapolated"),
            ("picard", "zero"),
        )
    }
    reference = runs["picard", "previous"]
    for result in runs.values():
        np.testing.assert_allclose(result.log_density, reference.log_density, atol=1e-10)
    newton = runs["newton", "extrapolated"].picard_iterations
    assert newton.sum() < reference.picard_iterations.sum()


def test_newton_converges_quadratically():
    n, p = 17, problem(17, 1, final_time=0.5)
    m = bumps(n, 0.0)[None]
    iterate, changes = m, []
    for _ in range(5):
        matrix, rhs = assemble_systems(p, 1, m, iterate, "newton")
        x = np.linalg.solve(matrix.take(0).to_csr().toarray(), rhs.ravel()).reshape(iterate.shape)
        changes.append(np.linalg.norm(x - iterate))
        iterate = x
    assert changes[2] / changes[1] ** 2 < 10 * changes[1] / changes[0] ** 2 + 10
    assert changes[3] < 1e-3 * changes[2]


def test_images_do_not_influence_each_other_and_the_converged_drop_out():
    n, p = 13, problem(13, 5, final_time=0.2)
    m = np.stack([bumps(n, 0.0), np.zeros((n, n)), 2 * bumps(n, 0.0)])
    together = march(p, m, make_solver("spsolve"))
    for i in range(3):
        alone = march(p, m[i : i + 1], make_solver("spsolve"))
        np.testing.assert_array_equal(together.log_density[i], alone.log_density[0])
        np.testing.assert_array_equal(
            together.picard_iterations[:, i], alone.picard_iterations[:, 0]
        )
    # the constant image (log-density 0) is a steady state and stops after one iteration
    assert (together.picard_iterations[:, 1] == 1).all()
    assert not together.log_density[1].any()


def test_observer_sees_every_system_and_residuals_are_true():
    n, p = 9, problem(9, 3)
    seen = []
    result = march(
        p,
        bumps(n, 0.0)[None],
        make_solver("spsolve"),
        observe=lambda s, x: seen.append(relative_residuals(s.matrix, s.rhs, x)[0]),
    )
    assert len(seen) == result.picard_iterations.sum()
    assert max(seen) == result.max_residual.max()


class _Wrong(LinearSolver):
    name, family = "wrong", "krylov"

    def solve(self, systems):
        return Solution(systems.start * 1.001, np.ones(len(systems), dtype=int))


def test_a_silent_miss_is_caught():
    n, p = 9, problem(9, 3)
    with pytest.raises(
        ConvergenceError, match=r"wrong left a relative residual .* image 0"
    ) as info:
        march(p, bumps(n, 0.0)[None], _Wrong())
    assert info.value.residual_history


def test_bad_input_has_clear_errors():
    n, p = 9, problem(9, 3)
    m = np.stack([bumps(n, 0.0)] * 2)
    with pytest.raises(ShapeError, match=r"\(N, 9, 9\)"):
        march(p, m[:, :5], make_solver("spsolve"))
    m[1, 2, 2] = np.nan
    with pytest.raises(DataError, match="image 1"):
        march(p, m, make_solver("spsolve"))
    with pytest.raises(ConfigError, match=r"0\.\.3"):
        march(p, m[:1], make_solver("spsolve"), stored_steps=[4])
    with pytest.raises(ConfigError, match="tolerance"):
        MarchOptions(tolerance=0)
    with pytest.raises(ConfigError, match="max_picard"):
        MarchOptions(max_picard=0)
    with pytest.raises(ConfigError, match="newton"):
        MarchOptions(linearisation="newtown")
    with pytest.raises(ConfigError, match="spsolve"):
        make_solver("spsolv")
