"""Families of similar matrices: what they are, and that likeness falls with the perturbation."""

import numpy as np
import pytest
import scipy.sparse as sp

from crosskrylov.errors import DataError
from crosskrylov.studies.families import (
    FAMILIES,
    condition_number,
    convection_diffusion_matrices,
    darcy_matrices,
    distance_to_mean,
    gaussian_fields,
    helmholtz_matrices,
    similarity,
)

SIZE = 12


def family(name, parameter, n=4, size=SIZE, seed=3):
    return FAMILIES[name](n, size, parameter, seed)


def observed_order(error):
    """Return the slope of an error function of the number of nodes, against h = 1 / (n + 1)."""
    coarse, fine = 15, 31
    return np.log(error(coarse) / error(fine)) / np.log((fine + 1) / (coarse + 1))


def nodes(n):
    """Return rows and columns of the inner nodes, shape (n, n)."""
    line = np.arange(1, n + 1) / (n + 1)
    return np.meshgrid(line, line, indexing="ij")


def solved_error(matrix, source, u):
    x = np.linalg.solve(matrix.toarray(), source.ravel())
    return np.linalg.norm(x - u.ravel()) / np.linalg.norm(u)


# --- each family has the properties that it is taken for ---


@pytest.mark.parametrize("perturbation", [0.1, 1.0])
def test_darcy_is_symmetric_and_positive_definite(perturbation):
    for matrix in family("darcy", perturbation).matrices:
        dense = matrix.toarray()
        np.testing.assert_allclose(dense, dense.T, rtol=1e-14)
        assert np.linalg.eigvalsh(dense).min() > 0


def test_darcy_is_of_second_order():
    def error(n):
        rows, cols = np.meshgrid(*[np.linspace(0, 1, n + 2)] * 2, indexing="ij")
        (matrix,) = darcy_matrices(np.exp(rows + 2 * cols)[None])
        r, c = nodes(n)
        k, pi = np.exp(r + 2 * c), np.pi
        u = np.sin(pi * r) * np.sin(pi * c)
        slope = pi * (np.cos(pi * r) * np.sin(pi * c) + 2 * np.sin(pi * r) * np.cos(pi * c))
        return solved_error(matrix, k * (2 * pi**2 * u - slope), u)

    assert observed_order(error) == pytest.approx(2, abs=0.1)


def test_convection_diffusion_is_not_symmetric_and_its_velocity_has_no_divergence():
    for matrix in family("convection_diffusion", 0.5).matrices:
        skew = matrix - matrix.T
        assert sp.linalg.norm(skew) > 0.1 * sp.linalg.norm(matrix)
        # central differences of a discrete curl: its divergence vanishes inside the domain
        h, n = 1 / (SIZE + 1), SIZE
        south, east = np.zeros((2, n, n))
        dense = matrix.toarray()
        for i in range(n - 1):
            for j in range(n - 1):
                south[i, j] = dense[i * n + j, (i + 1) * n + j] * 2 * h + 2 / h
                east[i, j] = dense[i * n + j, i * n + j + 1] * 2 * h + 2 / h
        divergence = south[2:-1, 1:-2] - south[:-3, 1:-2] + east[1:-2, 2:-1] - east[1:-2, :-3]
        assert np.abs(divergence).max() < 1e-9 * np.abs(south).max() + 1e-9


def test_convection_diffusion_is_of_second_order():
    def error(n):
        r, c = nodes(n)
        pi = np.pi
        velocity = np.stack([10 * c, -10 * r])
        (matrix,) = convection_diffusion_matrices(velocity[None])
        u = np.sin(pi * r) * np.sin(pi * c)
        slopes = pi * np.cos(pi * r) * np.sin(pi * c), pi * np.sin(pi * r) * np.cos(pi * c)
        source = 2 * pi**2 * u + velocity[0] * slopes[0] + velocity[1] * slopes[1]
        return solved_error(matrix, source, u)

    assert observed_order(error) == pytest.approx(2, abs=0.1)


def test_helmholtz_is_symmetric_and_indefinite():
    for matrix in family("helmholtz", 0.1, size=16).matrices:
        dense = matrix.toarray()
        np.testing.assert_array_equal(dense, dense.T)
        eigenvalues = np.linalg.eigvalsh(dense)
        assert (eigenvalues < 0).sum() >= 5 and (eigenvalues > 0).sum() >= 5


def test_helmholtz_of_a_homogeneous_medium_has_the_eigenvalues_of_the_laplacian_shifted():
    n, wave_number = 10, 7.0
    (matrix,) = helmholtz_matrices(np.ones((1, n, n)), wave_number)
    line = 4 * (n + 1) ** 2 * np.sin(np.arange(1, n + 1) * np.pi / (2 * (n + 1))) ** 2
    expected = np.sort((line[:, None] + line[None] - wave_number**2).ravel())
    np.testing.assert_allclose(np.linalg.eigvalsh(matrix.toarray()), expected, rtol=1e-10)


def test_the_equation_is_posed_for_the_correction_of_the_step_before():
    found = family("equation", 0.01, n=2)
    assert found.rhs.shape == (2, SIZE**2) and np.linalg.norm(found.rhs, axis=1).min() > 0
    # off-diagonal entries differ by the gradient of the image's log-density alone
    first, second = found.matrices
    np.testing.assert_allclose(first.diagonal(), second.diagonal())
    assert abs(first - second).max() > 0


# --- fields, seeds, likeness ---


def test_fields_have_the_covariance_that_they_are_said_to_have():
    spacing, length = 1 / 31, 0.1
    fields = gaussian_fields(400, (32, 32), spacing, length, np.random.default_rng(1))
    assert fields.shape == (400, 32, 32)
    assert fields.mean() == pytest.approx(0, abs=0.05)
    assert fields.var() == pytest.approx(1, rel=0.1)
    for lag in (2, 4, 8):
        covariance = (fields[:, :-lag] * fields[:, lag:]).mean()
        expected = np.exp(-((lag * spacing) ** 2) / (2 * length**2))
        assert covariance == pytest.approx(expected, abs=0.08)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_seed_gives_the_same_systems_and_another_one_others(name):
    first, again, other = (family(name, 0.1, n=2, seed=seed) for seed in (5, 5, 6))
    for a, b in zip(first.matrices, again.matrices, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    np.testing.assert_array_equal(first.rhs, again.rhs)
    assert any(
        not np.array_equal(a.data, b.data)
        for a, b in zip(first.matrices, other.matrices, strict=True)
    )


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "equation"])
def test_similarity_falls_as_the_perturbation_grows(name):
    found = [similarity(family(name, p).matrices) for p in (1e-3, 1e-2, 1e-1, 1.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.9 and 0 < found[-1] < found[0] - 0.1


def test_distance_and_condition_are_those_of_dense_algebra():
    matrices = family("convection_diffusion", 0.5).matrices
    dense = [matrix.toarray() for matrix in matrices]
    mean = np.mean(dense, axis=0)
    norms = [np.linalg.norm((a - mean) @ np.linalg.inv(mean), 2) for a in dense]
    assert distance_to_mean(matrices) == pytest.approx(np.mean(norms), rel=5e-3)
    assert condition_number(matrices[0]) == pytest.approx(np.linalg.cond(dense[0]), rel=5e-3)
    assert similarity([matrices[0]] * 3) == pytest.approx(1.0)


def test_a_singular_mean_is_a_data_error():
    one = sp.eye_array(9, format="csr")
    with pytest.raises(DataError, match="singular"):
        distance_to_mean([one, -1.0 * one])
