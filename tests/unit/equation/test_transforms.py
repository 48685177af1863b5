"""Transforms against the operator that they diagonalise."""

import numpy as np
import pytest
import torch

from crosskrylov.equation.assembly import assemble_systems
from crosskrylov.equation.problem import (
    FokkerPlanckProblem,
    constant_diffusion,
    problem_from_config,
)
from crosskrylov.equation.transforms import (
    TransformCache,
    TransformPreconditioner,
    laplacian_eigenvalues,
    laplacian_symbol,
    transform_matrix,
)


@pytest.mark.parametrize("boundary", ["zero_padding", "reflecting"])
def test_transform_is_orthonormal_and_diagonalises_the_second_difference(boundary):
    n, h = 9, 0.2
    q = transform_matrix(n, boundary)
    np.testing.assert_allclose(q.T @ q, np.eye(n), atol=1e-13)
    second = np.diag(np.full(n - 1, 1.0), 1) + np.diag(np.full(n - 1, 1.0), -1) - 2 * np.eye(n)
    if boundary == "reflecting":
        second[0, 0] = second[-1, -1] = -1
    second /= h**2
    np.testing.assert_allclose(
        q.T @ second @ q, np.diag(laplacian_eigenvalues(n, h, boundary)), atol=1e-11
    )


@pytest.mark.parametrize("boundary", ["zero_padding", "reflecting"])
def test_preconditioner_inverts_the_system_of_a_flat_image(boundary):
    # a constant iterate has no gradient, so that nothing but the constant part is left
    p = FokkerPlanckProblem(
        8, 11, 0.1, 1.0, 10, constant_diffusion(0.5), boundary=boundary, border_gradient="one_sided"
    )
    rng = np.random.default_rng(2)
    flat = np.ones((3, 8, 11))
    matrix, _ = assemble_systems(p, 1, flat, flat)
    x = rng.normal(size=(3, 8, 11))
    solve = TransformPreconditioner(8, 11, 0.1, p.time_step, p.half_g2(1), boundary)
    np.testing.assert_allclose(solve(matrix.apply(x)), x, atol=1e-12)
    like = torch.zeros(1, dtype=torch.float32)
    solve32 = TransformPreconditioner(8, 11, 0.1, p.time_step, p.half_g2(1), boundary, like)
    got = solve32(torch.from_numpy(matrix.apply(x)).float())
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), x, atol=1e-4)


def test_cache_keeps_the_preconditioner_while_nothing_changes():
    constant = problem_from_config({}, 6, 7)
    varying = problem_from_config({"diffusion": {"kind": "vp"}}, 6, 7)
    cache, like = TransformCache(), np.empty(0)
    first = cache.get(constant, 1, like)
    assert cache.get(constant, 2, like) is first
    single = cache.get(constant, 2, like.astype(np.float32))
    assert single is not first
    assert single.inverse_symbol.dtype == np.float32
    later = [cache.get(varying, step, like).inverse_symbol for step in (1, 2)]
    assert not np.array_equal(*later)
    alone = TransformPreconditioner.of_step(varying, 2).inverse_symbol
    np.testing.assert_array_equal(later[1], alone)


def test_symbol_is_the_sum_over_both_axes():
    symbol = laplacian_symbol(4, 5, 0.1, "reflecting")
    rows, cols = (laplacian_eigenvalues(n, 0.1, "reflecting") for n in (4, 5))
    assert symbol.shape == (4, 5)
    assert symbol[2, 3] == rows[2] + cols[3]
