"""Bases and projections against dense linear algebra."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosskrylov.equation.stencil import FivePointStencil, five_point_stencil
from crosskrylov.errors import ConfigError, ShapeError
from crosskrylov.solvers.deflation import harmonic_ritz_basis
from crosskrylov.solvers.kernels.operators import BandedOperator
from crosskrylov.solvers.kernels.split_products import SplitProducts, projection_coefficients
from crosskrylov.solvers.kernels.subspace import (
    arnoldi,
    galerkin_project,
    joint_basis,
    least_squares_project,
    pod_basis,
)

BOUNDARIES = pytest.mark.parametrize("boundary", ["zero_padding", "reflecting"])
KINDS = {"galerkin": galerkin_project, "least_squares": least_squares_project}


def systems(n, height=6, width=7, boundary="zero_padding", seed=0, speed=2.0):
    rng = np.random.default_rng(seed)
    v = speed * rng.standard_normal((2, n, height, width))
    matrix = five_point_stencil(20.0, v[0], v[1], 0.2, 0.1, boundary)
    return matrix, rng.standard_normal((n, height, width)), rng.standard_normal((n, height, width))


def dense(matrix, position):
    return matrix.take(position).to_csr().toarray()


def rows(basis):
    return basis.reshape(len(basis), basis.shape[1] * basis.shape[2])


def dense_projection(a, r, v, kind):
    if kind == "galerkin":
        return np.linalg.solve(v @ a @ v.T, v @ r)
    return np.linalg.lstsq(a @ v.T, r, rcond=None)[0]


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(1, 4),
    m=st.integers(1, 30),
    seed=st.integers(0, 10**6),
    boundary=st.sampled_from(["zero_padding", "reflecting"]),
)
def test_arnoldi_bases_are_orthonormal_and_satisfy_their_relation(n, m, seed, boundary):
    matrix, r, _ = systems(n, boundary=boundary, seed=seed)
    bases = arnoldi(matrix.apply, r, m)
    for s in range(n):
        v = rows(bases.basis(s))
        assert len(v) == m
        np.testing.assert_allclose(v @ v.T, np.eye(m), atol=1e-12)
        image = rows(bases.images[s])
        np.testing.assert_allclose(image, v @ dense(matrix, s).T, atol=1e-9)
        square = bases.hessenberg[s, :m]
        np.testing.assert_allclose(v @ image.T, square, atol=1e-9)
        assert not np.tril(square, -2).any()


def test_arnoldi_stops_where_the_krylov_space_is_exhausted():
    matrix, r, _ = systems(2, 4, 4, speed=0.0)
    r[0] = np.ones((4, 4))  # eight symmetries: the space has far fewer than 16 dimensions
    r[1] = 0.0
    bases = arnoldi(matrix.apply, r, 16)
    assert 1 <= bases.sizes[0] <= 3
    assert bases.sizes[1] == 0 and not bases.vectors[1].any()
    x = galerkin_project(matrix.take([0]), r[:1], 0 * r[:1], bases.basis(0))
    assert x.relative_residuals[0] < 1e-12


@pytest.mark.parametrize("m", [43, -1])
def test_dimension_must_fit_the_system(m):
    matrix, r, _ = systems(1)
    with pytest.raises(ConfigError, match="between 0 and 42"):
        arnoldi(matrix.apply, r, m)


@settings(deadline=None, max_examples=25)
@given(
    n=st.integers(1, 5),
    m=st.integers(0, 12),
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(list(KINDS)),
    boundary=st.sampled_from(["zero_padding", "reflecting"]),
)
def test_projection_equals_dense_reference(n, m, seed, kind, boundary):
    matrix, b, x0 = systems(n, boundary=boundary, seed=seed)
    basis = joint_basis([np.random.default_rng(seed).standard_normal((m, 6, 7))])
    result = KINDS[kind](matrix, b, x0, basis)
    for t in range(n):
        a, v = dense(matrix, t), rows(basis)
        r = b[t].ravel() - a @ x0[t].ravel()
        y = dense_projection(a, r, v, kind) if m else np.zeros(0)
        np.testing.assert_allclose(result.coefficients[t], y, rtol=1e-7, atol=1e-9)
        x = x0[t].ravel() + y @ v
        np.testing.assert_allclose(result.x[t].ravel(), x, rtol=1e-7, atol=1e-9)
        size = np.linalg.norm(b[t])
        expected = np.linalg.norm(b[t].ravel() - a @ x) / size
        assert result.relative_residuals[t] == pytest.approx(expected, rel=1e-6, abs=1e-12)
        assert result.start_residuals[t] == pytest.approx(np.linalg.norm(r) / size)


@pytest.mark.parametrize("kind", KINDS)
def test_projection_is_exact_when_the_krylov_space_is_exhausted(kind):
    matrix, b, x0 = systems(1, 4, 4)
    bases = arnoldi(matrix.apply, b - matrix.apply(x0), 16)
    assert KINDS[kind](matrix, b, x0, bases.basis(0)).relative_residuals[0] < 1e-11


def test_least_squares_residual_never_grows_with_the_dimension():
    matrix, b, x0 = systems(4, seed=5)
    basis = arnoldi(matrix.apply, b - matrix.apply(x0), 25).basis(0)
    last = least_squares_project(matrix, b, x0, basis[:0])
    np.testing.assert_allclose(last.relative_residuals, last.start_residuals)
    for m in range(1, 26):
        result = least_squares_project(matrix, b, x0, basis[:m])
        assert (result.relative_residuals <= last.relative_residuals * (1 + 1e-10)).all()
        galerkin = galerkin_project(matrix, b, x0, basis[:m])
        assert (result.relative_residuals <= galerkin.relative_residuals * (1 + 1e-10)).all()
        last = result


@BOUNDARIES
def test_split_products_are_exact_for_any_five_point_matrix(boundary):
    rng = np.random.default_rng(1)
    matrix, _, _ = systems(3, boundary=boundary)
    arbitrary = FivePointStencil(*(rng.standard_normal((3, 6, 7)) for _ in range(5)))
    basis = rng.standard_normal((4, 6, 7))
    for stencil, reference in ((matrix, matrix.take(1)), (arbitrary, matrix.take(0))):
        products = SplitProducts(basis, reference)
        found = products.image(products.terms(stencil), slice(0, 3), slice(0, 42))
        for t in range(3):
            np.testing.assert_allclose(
                found[t].reshape(basis.shape), stencil.take(t).apply(basis), atol=1e-10
            )
    # the published case needs two terms per target: the two advective coefficients
    if boundary == "zero_padding":
        assert len(SplitProducts(basis, matrix.take(0)).terms(matrix)) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_own_directions_extend_the_basis(kind):
    matrix, b, _ = systems(3)
    v = np.linalg.qr(np.random.default_rng(2).standard_normal((42, 7)))[0].T.reshape(7, 6, 7)
    extra = np.stack([np.stack([v[5], v[6]]), np.stack([v[5], 0 * v[6]]), 0 * v[5:]])
    products = SplitProducts(v[:5], matrix.take(0))
    y = projection_coefficients(products, matrix, b, kind, extra)
    for t, size in enumerate((7, 6, 5)):
        expected = dense_projection(dense(matrix, t), b[t].ravel(), rows(v[:size]), kind)
        np.testing.assert_allclose(y[t, :size], expected, rtol=1e-8, atol=1e-10)
        assert not y[t, size:].any()


def test_projection_works_in_blocks(monkeypatch):
    from crosskrylov.solvers.kernels import split_products

    matrix, b, x0 = systems(5, 40, 40)
    basis = arnoldi(matrix.apply, b, 6).basis(2)
    whole = galerkin_project(matrix, b, x0, basis)
    monkeypatch.setattr(split_products, "BLOCK_ELEMENTS", 3000)
    np.testing.assert_allclose(galerkin_project(matrix, b, x0, basis).x, whole.x, rtol=1e-10)


def test_projection_refuses_shapes_that_do_not_fit():
    matrix, b, x0 = systems(2)
    with pytest.raises(ShapeError, match="basis"):
        galerkin_project(matrix, b, x0, np.zeros((3, 7, 7)))


def test_joint_basis_reveals_the_rank():
    matrix, r, _ = systems(2)
    bases = arnoldi(matrix.apply, r, 5)
    joint = joint_basis([bases.basis(0), bases.basis(1), bases.basis(0)])
    v = rows(joint)
    assert len(v) == 10
    np.testing.assert_allclose(v @ v.T, np.eye(10), atol=1e-12)
    for s in range(2):  # the sum contains both spaces
        w = rows(bases.basis(s))
        np.testing.assert_allclose((w @ v.T) @ v, w, atol=1e-7)
    assert len(joint_basis([bases.basis(0)[:0]])) == 0
    assert len(joint_basis([np.zeros((3, 6, 7))])) == 0


def test_pod_basis_is_the_truncated_singular_value_decomposition():
    snapshots = np.random.default_rng(4).standard_normal((8, 6, 7))
    snapshots[7] = snapshots[6]
    _, _, vt = np.linalg.svd(rows(snapshots), full_matrices=False)
    basis = pod_basis(snapshots, 4)
    v = rows(basis)
    np.testing.assert_allclose(v @ v.T, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(np.abs(np.sum(v * vt[:4], axis=1)), 1.0, atol=1e-8)
    assert len(pod_basis(snapshots)) == 7
    assert len(pod_basis(np.zeros((3, 6, 7)))) == 0
    assert len(pod_basis(np.zeros((0, 6, 7)))) == 0


def test_harmonic_ritz_vectors_of_an_exhausted_space_are_eigenvectors():
    matrix, r, _ = systems(1, 4, 4)
    bases = arnoldi(matrix.apply, r, 16)
    a = dense(matrix, 0)
    values = np.linalg.eigvals(a)
    count = 3 + np.iscomplex(values[np.argsort(np.abs(values))[2]])
    v = rows(harmonic_ritz_basis(bases, 0, int(count)))
    np.testing.assert_allclose(v @ v.T, np.eye(len(v)), atol=1e-10)
    ritz = np.linalg.eigvals(v @ a @ v.T)
    assert np.abs(ritz).max() <= np.sort(np.abs(values))[len(v) - 1] * (1 + 1e-6)


@BOUNDARIES
def test_banded_operator_equals_the_stencil(boundary):
    matrix, x, _ = systems(4, boundary=boundary)
    operator = BandedOperator(matrix)
    everyone, some = np.arange(4), np.array([1, 3])
    for active in (everyone, some, some, everyone):
        expected = matrix.take(active).apply(x[active])
        np.testing.assert_allclose(operator(x[active], active), expected, atol=1e-12)
