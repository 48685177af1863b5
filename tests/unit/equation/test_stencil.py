"""The five-point operator against independent constructions and known fields."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crosskrylov.equation.assembly import assemble_systems
from crosskrylov.equation.problem import FokkerPlanckProblem, constant_diffusion, linear_drift
from crosskrylov.equation.stencil import coefficient_gradient, ghost_gradient, gradient
from crosskrylov.errors import ShapeError


def difference_matrix(n, h, boundary, *, order):
    """Return the 1-D central first (order 1) or second (order 2) difference with ghost nodes."""
    if order == 1:
        matrix = sp.diags_array([-np.ones(n - 1), np.ones(n - 1)], offsets=[-1, 1]).tolil()
        if boundary == "reflecting":
            matrix[0, 0], matrix[-1, -1] = -1, 1
        return (matrix / (2 * h)).tocsr()
    matrix = sp.diags_array(
        [np.ones(n - 1), -2 * np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1]
    ).tolil()
    if boundary == "reflecting":
        matrix[0, 0] = matrix[-1, -1] = -1
    return (matrix / h**2).tocsr()


def one_sided_matrix(n, h):
    matrix = difference_matrix(n, h, "zero_padding", order=1).tolil()
    matrix[0, 0], matrix[0, 1] = -1 / h, 1 / h
    matrix[-1, -1], matrix[-1, -2] = 1 / h, -1 / h
    return matrix.tocsr()


def make_problem(height, width, boundary, border_gradient="one_sided", drift=None):
    return FokkerPlanckProblem(
        height=height,
        width=width,
        spacing=1 / (max(height, width) - 1),
        final_time=1.0,
        time_steps=50,
        diffusion=constant_diffusion(0.7),
        drift=drift,
        boundary=boundary,
        border_gradient=border_gradient,
    )


@pytest.mark.parametrize("boundary", ["zero_padding", "reflecting"])
@pytest.mark.parametrize("border_gradient", ["one_sided", "ghost"])
@pytest.mark.parametrize("linearisation", ["picard", "newton"])
@pytest.mark.parametrize("drift", [None, linear_drift(1.3, 0.4)])
@settings(max_examples=8, deadline=None)
@given(
    height=st.integers(3, 7), width=st.integers(3, 7), seed=st.integers(0, 2**31), data=st.data()
)
def test_matrix_equals_kronecker_products(
    boundary, border_gradient, linearisation, drift, height, width, seed, data
):
    problem = make_problem(height, width, boundary, border_gradient, drift)
    h, half_g2, dt = problem.spacing, problem.half_g2(1), problem.time_step
    rng = np.random.default_rng(seed)
    previous, iterate = rng.normal(size=(2, 1, height, width))
    matrix, rhs = assemble_systems(problem, 1, previous, iterate, linearisation)

    eye_r, eye_c = sp.eye_array(height), sp.eye_array(width)
    ghost = [
        sp.kron(difference_matrix(height, h, boundary, order=1), eye_c),
        sp.kron(eye_r, difference_matrix(width, h, boundary, order=1)),
    ]
    laplacian = sp.kron(difference_matrix(height, h, boundary, order=2), eye_c) + sp.kron(
        eye_r, difference_matrix(width, h, boundary, order=2)
    )
    if border_gradient == "one_sided":
        frozen = [
            sp.kron(one_sided_matrix(height, h), eye_c),
            sp.kron(eye_r, one_sided_matrix(width, h)),
        ]
    else:
        frozen = ghost
    m = iterate[0].ravel()
    f = [np.zeros((height, width))] * 2
    divergence = np.zeros(height * width)
    if drift is not None:
        rows, cols = np.indices((height, width)) * h
        f = drift(rows, cols, problem.time(1))
        divergence = sp.kron(one_sided_matrix(height, h), eye_c) @ f[0].ravel()
        divergence = divergence + sp.kron(eye_r, one_sided_matrix(width, h)) @ f[1].ravel()
    expected = sp.eye_array(height * width) / dt - half_g2 * laplacian
    expected_rhs = previous[0].ravel() / dt - divergence
    for k in range(2):
        expected = expected + sp.diags_array(f[k].ravel() - half_g2 * (frozen[k] @ m)) @ ghost[k]
        if linearisation == "newton":
            expected = expected - half_g2 * sp.diags_array(ghost[k] @ m) @ frozen[k]
            expected_rhs = expected_rhs - half_g2 * (frozen[k] @ m) * (ghost[k] @ m)

    scale = abs(expected).max()
    csr = matrix.take(0).to_csr()
    np.testing.assert_allclose(csr.toarray(), expected.toarray(), rtol=0, atol=4e-15 * scale)
    np.testing.assert_allclose(rhs[0].ravel(), expected_rhs, rtol=0, atol=1e-14 * scale)
    x = rng.normal(size=(1, height, width))
    np.testing.assert_allclose(
        matrix.apply(x)[0].ravel(), expected @ x.ravel(), rtol=0, atol=2e-14 * scale
    )


def test_interior_row_sums_are_the_inverse_time_step_and_border_coefficients_are_zero():
    problem = make_problem(9, 9, "zero_padding")
    m = np.random.default_rng(7).normal(size=(2, 9, 9))
    matrix, _ = assemble_systems(problem, 1, m, m)
    sums = sum(matrix.arrays())
    np.testing.assert_allclose(sums[:, 1:-1, 1:-1], 1 / problem.time_step, rtol=1e-12)
    assert (matrix.north[:, 0] == 0).all()
    assert (matrix.south[:, -1] == 0).all()
    assert (matrix.west[:, :, 0] == 0).all()
    assert (matrix.east[:, :, -1] == 0).all()
    # a dropped neighbour leaves its share of the diffusion on the diagonal
    assert (sums[:, 0, 1:-1] != 1 / problem.time_step).all()


def test_reflecting_rows_all_sum_to_the_inverse_time_step():
    problem = make_problem(6, 8, "reflecting")
    m = np.random.default_rng(7).normal(size=(1, 6, 8))
    matrix, _ = assemble_systems(problem, 1, m, m)
    np.testing.assert_allclose(sum(matrix.arrays()), 1 / problem.time_step, rtol=1e-12)


def test_action_on_a_quadratic_field_is_exact_in_the_interior():
    # A x with x = r^2 + 3 c: central differences are exact for quadratics
    problem = make_problem(11, 11, "zero_padding")
    h, d = problem.spacing, problem.half_g2(1)
    r, c = np.indices((11, 11)) * h
    iterate = (2 * r - c)[None]
    matrix, _ = assemble_systems(problem, 1, iterate, iterate)
    x = r**2 + 3 * c
    expected = x / problem.time_step - d * 2 + (-d * 2) * 2 * r + (-d * -1) * 3
    inner = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(matrix.apply(x[None])[0][inner], expected[inner], rtol=1e-12)


def test_gradient_matches_numpy_and_ghost_gradient_sees_the_boundary():
    x = np.random.default_rng(3).normal(size=(2, 5, 6))
    d_row, d_col = gradient(x, 0.25)
    np.testing.assert_allclose(d_row, np.gradient(x, 0.25, axis=1), rtol=1e-13)
    np.testing.assert_allclose(d_col, np.gradient(x, 0.25, axis=2), rtol=1e-13)
    ones = np.ones((1, 5, 6))
    assert ghost_gradient(ones, 1.0, "zero_padding")[0][0, 0, 0] == 0.5
    assert not ghost_gradient(ones, 1.0, "reflecting")[0].any()
    assert not coefficient_gradient(ones, 1.0, "zero_padding", "one_sided")[1].any()


def test_torch_and_numpy_agree():
    problem = make_problem(6, 5, "reflecting", drift=linear_drift(0.5, 0.5))
    rng = np.random.default_rng(5)
    previous, iterate, x = rng.normal(size=(3, 2, 6, 5))
    matrix, rhs = assemble_systems(problem, 3, previous, iterate, "newton")
    matrix_t, rhs_t = assemble_systems(
        problem, 3, torch.from_numpy(previous), torch.from_numpy(iterate), "newton"
    )
    np.testing.assert_allclose(rhs_t.numpy(), rhs, rtol=1e-13)
    np.testing.assert_allclose(
        matrix_t.apply(torch.from_numpy(x)).numpy(), matrix.apply(x), rtol=1e-12, atol=1e-10
    )


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"\(1, 5\)"):
        gradient(np.zeros((1, 5)), 0.1)
    problem = make_problem(4, 4, "zero_padding")
    m = np.zeros((2, 4, 4))
    with pytest.raises(ShapeError, match=r"\(2, 4, 4\)"):
        assemble_systems(problem, 1, m, m)[0].to_csr()
