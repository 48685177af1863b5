"""Learned conjugate directions: what they solve, what training does, and how they fail."""

import numpy as np
import pytest
import torch

from crosskrylov.equation.stencil import FivePointStencil
from crosskrylov.equation.transforms import transform_matrix
from crosskrylov.errors import ConfigError, ConvergenceError, DataError
from crosskrylov.solvers.base import LinearSystems
from crosskrylov.solvers.kernels.learned_directions import train_directions
from crosskrylov.solvers.kernels.residuals import relative_residuals
from crosskrylov.solvers.kernels.work import counted_work
from crosskrylov.solvers.registry import make_solver
from tests.laboratory import bank, smooth_log_density

#: Few weights and few steps: seconds, not what it can do.
SMALL = {"channels": 4, "training_steps": 40, "learning_rate": 5e-3}


def solver(**options):
    made = make_solver("deep_conjugate", SMALL | options)
    made.prepare(bank().problem, smooth_log_density())
    return made


def symmetric(tolerance=1e-8):
    """The image-independent part P of the bank's systems, symmetric positive definite."""
    systems = bank().systems(0, tolerance)
    problem, shape = systems.problem, systems.rhs.shape
    beside = -problem.half_g2(1) / problem.spacing**2
    arrays = [np.full(shape, beside) for _ in range(4)]
    arrays[0][:, 0] = arrays[1][:, -1] = arrays[2][..., 0] = arrays[3][..., -1] = 0.0
    center = np.full(shape, 1 / problem.time_step - 4 * beside)
    rhs = np.random.default_rng(1).standard_normal(shape)
    return LinearSystems(
        FivePointStencil(center, *arrays),
        rhs,
        np.zeros(shape),
        systems.image_index,
        1,
        1,
        problem,
        tolerance,
    )


@pytest.mark.parametrize("step", ["residual", "energy"])
def test_directions_alone_solve_symmetric_systems_in_either_variant(step):
    systems = symmetric()
    solution = solver(step=step, refine="none", max_directions=200).solve(systems)
    assert (relative_residuals(systems.matrix, systems.rhs, solution.x) <= 1e-8).all()
    assert (solution.iterations > 0).all() and solution.setup_seconds > 0


def test_directions_alone_solve_our_systems_in_the_residual_variant():
    systems = bank().systems(1, 1e-8)
    made = solver(refine="none", max_directions=200)
    solution = made.solve(systems)
    expected = make_solver("spsolve").solve(systems).x
    np.testing.assert_allclose(solution.x, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    # trained once: the next call has no setup, and another march has
    assert made.solve(systems).setup_seconds == 0
    made.prepare(bank().problem, smooth_log_density())
    assert made.solve(systems).setup_seconds > 0


def test_refinement_finishes_what_few_directions_leave():
    systems = bank().systems(1, 1e-9)
    few = solver(max_directions=2).solve(systems)
    assert (relative_residuals(systems.matrix, systems.rhs, few.x) <= 1e-9).all()
    none = solver(max_directions=0).solve(systems)
    assert none.setup_seconds == 0
    assert (few.iterations > 2).all() and (none.iterations > 0).all()


def test_what_misses_the_tolerance_raises_or_falls_back():
    systems = bank().systems(1, 1e-9)
    with pytest.raises(ConvergenceError, match="deep_conjugate reached a relative residual"):
        solver(refine="none", max_directions=2).solve(systems)
    solution = solver(refine="none", max_directions=2, fallback="splu").solve(systems)
    assert solution.fallbacks.all()
    assert (relative_residuals(systems.matrix, systems.rhs, solution.x) <= 1e-9).all()


def test_systems_that_are_not_finite_are_named():
    systems = bank().systems(1, 1e-9)
    rhs = systems.rhs.copy()
    rhs[2] = np.nan
    systems.rhs = rhs
    with pytest.raises(DataError, match="of image 2 at time step"):
        solver().solve(systems)


def test_a_zero_right_hand_side_is_solved_by_zero():
    systems = bank().systems(1, 1e-9)
    systems.rhs = systems.rhs.copy()
    systems.rhs[0] = 0.0
    solution = solver().solve(systems)
    assert not solution.x[0].any()
    assert (relative_residuals(systems.matrix, systems.rhs, solution.x) <= 1e-9).all()


def test_an_untrained_network_is_the_residual_and_training_shortens_the_way():
    systems = symmetric()
    modes = tuple(transform_matrix(n, "zero_padding") for n in systems.rhs.shape[1:])
    options = {"channels": 8, "batch_size": 10, "learning_rate": 5e-3, "seed": 0}
    residuals = np.random.default_rng(5).standard_normal(systems.rhs.shape)
    left = []
    for steps in (0, 150):
        directions = train_directions(systems.matrix, modes, steps=steps, **options)
        q = directions(systems.matrix, residuals)
        if not steps:
            unit = residuals / np.linalg.norm(residuals, axis=(1, 2), keepdims=True)
            np.testing.assert_allclose(q / q.std(), unit / unit.std(), atol=1e-3)
        product = systems.matrix.apply(q)
        length = (product * residuals).sum((1, 2)) / (product**2).sum((1, 2))
        after = residuals - length[:, None, None] * product
        left.append(float(np.linalg.norm(after) / np.linalg.norm(residuals)))
    assert left[1] < 0.8 * left[0]


def test_training_repeats_itself_and_leaves_the_random_state_alone():
    systems = bank().systems(1, 1e-6)
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    first = solver(refine="none", max_directions=100).solve(systems).x
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(solver(refine="none", max_directions=100).solve(systems).x, first)


def test_the_work_counts_the_network():
    systems = bank().systems(1, 1e-6)
    made = solver(refine="none", max_directions=100)
    with counted_work() as work:
        solution = made.solve(systems)
    network = 18 * (3.5 * 4**2 + 7 * 4) / 2
    assert work.products >= solution.iterations.sum()
    assert work.vectors >= network * solution.iterations.sum()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"step": "energi"}, "step is 'energi'"),
        ({"channels": 0}, "channels is 0"),
        ({"max_directions": -1}, "max_directions is -1"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
    ],
)
def test_options_out_of_range_are_refused(options, told):
    with pytest.raises(ConfigError, match=told):
        make_solver("deep_conjugate", options)
