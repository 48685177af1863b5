"""The batched Krylov kernels against SciPy, and what they do at the edges."""

import numpy as np
import pytest
import scipy.sparse.linalg as spla
import torch

from crosskrylov.equation.stencil import FivePointStencil, five_point_stencil
from crosskrylov.equation.transforms import TransformPreconditioner
from crosskrylov.errors import ShapeError
from crosskrylov.solvers.kernels.batched_krylov import StencilOperator, bicgstab, gmres

KERNELS = pytest.mark.parametrize("kernel", [bicgstab, gmres])
H = W = 12
SPACING, DT, HALF_G2 = 1 / 11, 0.02, 0.3


def as_torch(a):
    return torch.from_numpy(np.ascontiguousarray(a))


def systems(n, seed=11, scale=3.0):
    """Random advection-diffusion systems whose advection grows with the position in the batch."""
    rng = np.random.default_rng(seed)
    speed = scale * np.arange(1, n + 1)[:, None, None] / n
    v = rng.standard_normal((2, n, H, W)) * speed
    matrix = five_point_stencil(1 / DT, v[0], v[1], HALF_G2, SPACING, "zero_padding")
    return matrix, rng.standard_normal((n, H, W))


def direct(matrix, rhs):
    return np.stack(
        [
            spla.spsolve(matrix.take(i).to_csr(), rhs[i].ravel()).reshape(rhs[i].shape)
            for i in range(len(rhs))
        ]
    )


class Counting:
    """An operator that counts how many systems it was applied to."""

    def __init__(self, operator):
        self.operator, self.systems = operator, 0

    def __call__(self, fields, active):
        self.systems += len(active)
        assert len(fields) == len(active)
        return self.operator(fields, active)


@KERNELS
@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_agrees_with_a_direct_solver(kernel, library, preconditioned):
    matrix, rhs = systems(6)
    expected = direct(matrix, rhs)
    if library == "torch":
        matrix, rhs = FivePointStencil(*map(as_torch, matrix.arrays())), as_torch(rhs)
    inverse = None
    if preconditioned:
        inverse = TransformPreconditioner(H, W, SPACING, DT, HALF_G2, "zero_padding", like=rhs)
    result = kernel(StencilOperator(matrix), rhs, 0 * rhs, 1e-12, inverse)
    assert result.converged.all()
    assert type(result.x) is type(rhs)
    np.testing.assert_allclose(np.asarray(result.x), expected, rtol=0, atol=1e-10)


@KERNELS
def test_reported_residuals_are_the_true_ones_and_meet_the_tolerance(kernel):
    matrix, rhs = systems(5)
    result = kernel(StencilOperator(matrix), rhs, 0 * rhs, 1e-6)
    norm = lambda a: np.sqrt((a**2).sum(axis=(1, 2)))  # noqa: E731
    true = norm(rhs - matrix.apply(result.x)) / norm(rhs)
    np.testing.assert_allclose(result.relative_residuals, true, rtol=1e-12)
    assert (true <= 1e-6).all()
    assert (true > 1e-12).any(), "stopped far too late"


def scipy_history(name, matrix, rhs, steps):
    """Relative residuals of SciPy's iteration for one system."""
    csr, b = matrix.to_csr(), rhs.ravel()
    if name == "gmres":
        history = [1.0]
        spla.gmres(
            csr,
            b,
            rtol=1e-13,
            restart=steps,
            maxiter=1,
            callback=history.append,
            callback_type="pr_norm",
        )
        return np.array(history)
    history = [1.0]
    spla.bicgstab(
        csr,
        b,
        rtol=1e-13,
        maxiter=steps,
        callback=lambda x: history.append(np.linalg.norm(b - csr @ x) / np.linalg.norm(b)),
    )
    return np.array(history)


@KERNELS
def test_residual_history_follows_scipys(kernel):
    matrix, rhs = systems(3)
    result = kernel(StencilOperator(matrix), rhs, 0 * rhs, 1e-13, max_iterations=10)
    for i in range(3):
        expected = scipy_history(kernel.__name__, matrix.take(i), rhs[i], 10)
        np.testing.assert_allclose(
            result.residual_history[: len(expected), i], expected[:11], rtol=1e-6
        )


@KERNELS
def test_finished_systems_are_not_touched_again(kernel):
    matrix, rhs = systems(8, scale=8.0)
    counting = Counting(StencilOperator(matrix))
    result = kernel(counting, rhs, 0 * rhs, 1e-8)
    assert result.converged.all()
    per_iteration = 2 if kernel is bicgstab else 1
    assert len(set(result.iterations)) > 1, "the systems are too alike for this test"
    # plus the residual before and after; GMRES restarts add one product each
    assert (
        counting.systems
        <= per_iteration * result.iterations.sum() + 2 * len(rhs) + (result.iterations // 30).sum()
    )


@KERNELS
def test_a_system_does_not_notice_its_neighbours_in_the_batch(kernel):
    matrix, rhs = systems(7)
    together = kernel(StencilOperator(matrix), rhs, 0 * rhs, 1e-9)
    for i in range(7):
        alone = kernel(
            StencilOperator(matrix.take(slice(i, i + 1))), rhs[i : i + 1], 0 * rhs[:1], 1e-9
        )
        assert alone.iterations[0] == together.iterations[i]
        np.testing.assert_allclose(alone.x[0], together.x[i], rtol=1e-12, atol=1e-14)


@KERNELS
def test_own_tolerance_for_every_system(kernel):
    matrix, rhs = systems(2, scale=0.0)
    rhs[1] = rhs[0]
    result = kernel(StencilOperator(matrix), rhs, 0 * rhs, np.array([1e-2, 1e-10]))
    assert result.iterations[0] < result.iterations[1]
    assert result.converged.all()


@KERNELS
def test_a_zero_right_hand_side_gives_zero_whatever_the_start(kernel):
    matrix, rhs = systems(3)
    rhs[1] = 0.0
    result = kernel(StencilOperator(matrix), rhs, np.ones_like(rhs), 1e-8)
    assert (result.x[1] == 0).all()
    assert result.converged.all()
    assert result.iterations[1] == 0
    assert result.relative_residuals[1] == 0


@KERNELS
def test_an_exact_start_costs_nothing(kernel):
    matrix, rhs = systems(2)
    start = direct(matrix, rhs)
    result = kernel(StencilOperator(matrix), rhs, start, 1e-8)
    assert (result.iterations == 0).all()
    np.testing.assert_array_equal(result.x, start)


@KERNELS
def test_the_iteration_limit_is_reported_and_the_start_left_alone(kernel):
    matrix, rhs = systems(3)
    start = np.zeros_like(rhs)
    result = kernel(StencilOperator(matrix), rhs, start, 1e-12, max_iterations=3)
    assert not result.converged.any()
    assert (result.iterations == 3).all()
    assert (result.relative_residuals > 1e-12).all()
    assert (start == 0).all()


@KERNELS
def test_an_unreachable_tolerance_ends_by_stagnation(kernel):
    matrix, rhs = systems(2)
    result = kernel(StencilOperator(matrix), rhs, 0 * rhs, 1e-30, max_iterations=10_000)
    assert not result.converged.any()
    assert (result.iterations < 1_000).all()
    assert (result.relative_residuals < 1e-13).all()


def test_bicgstab_survives_breakdown_where_gmres_solves():
    # a rotation by 90 degrees: <r, A r> = 0, the first step of Bi-CGSTAB is undefined
    def rotate(fields, active):
        return np.stack([-fields[:, 1], fields[:, 0]], axis=1)

    rhs = np.ones((1, 2, 1))
    broken = bicgstab(rotate, rhs, 0 * rhs, 1e-10)
    assert not broken.converged.any()
    assert np.isfinite(broken.x).all()
    solved = gmres(rotate, rhs, 0 * rhs, 1e-10)
    assert solved.converged.all()
    np.testing.assert_allclose(rotate(solved.x, None), rhs, atol=1e-14)


def test_gmres_restarts():
    matrix, rhs = systems(4, scale=8.0)
    result = gmres(StencilOperator(matrix), rhs, 0 * rhs, 1e-9, restart=5)
    assert result.converged.all()
    assert (result.iterations > 5).all()


@KERNELS
def test_one_bad_system_does_not_spoil_the_others(kernel):
    matrix, rhs = systems(3)
    expected = direct(matrix, rhs)
    rhs[1, 0, 0] = np.nan
    result = kernel(StencilOperator(matrix), rhs, 0 * rhs, 1e-12)
    assert result.converged.tolist() == [True, False, True]
    np.testing.assert_allclose(result.x[[0, 2]], expected[[0, 2]], atol=1e-10)


@KERNELS
def test_singular_systems_are_reported_not_looped_over(kernel):
    rhs = np.ones((2, 3, 3))
    result = kernel(lambda fields, active: 0 * fields, rhs, 0 * rhs, 1e-8)
    assert not result.converged.any()
    assert np.isfinite(result.x).all()


@KERNELS
def test_float32_reaches_float32_accuracy(kernel):
    matrix, rhs = systems(3)
    matrix32 = FivePointStencil(*(a.astype(np.float32) for a in matrix.arrays()))
    result = kernel(StencilOperator(matrix32), rhs.astype(np.float32), 0 * rhs[:], 1e-5)
    assert result.converged.all()


def test_shapes_are_checked():
    with pytest.raises(ShapeError, match=r"\(2, 3, 3\) and \(3, 3\)"):
        gmres(lambda f, a: f, np.ones((2, 3, 3)), np.ones((3, 3)), 1e-8)
