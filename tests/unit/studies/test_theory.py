from dataclasses import replace

import numpy as np
import pytest

from crosskrylov.equation.problem import problem_from_config
from crosskrylov.equation.stencil import FivePointStencil, five_point_stencil
from crosskrylov.errors import ConfigError
from crosskrylov.solvers.kernels.subspace import arnoldi, least_squares_project
from crosskrylov.studies.spectra import Spectrum, drift_of, perturbation_bound
from crosskrylov.studies.theory import (
    energy_constants,
    fixed_point_contraction,
    perturbation_norm,
    theory,
)
from tests.laboratory import EQUATION, bank, seeds


def random_systems(boundary, n_systems=3, size=9, seed=0):
    problem = problem_from_config({**EQUATION, "boundary": boundary}, size, size)
    spectrum = Spectrum(problem, 1)
    v = 4.0 * np.random.default_rng(seed).standard_normal((2, n_systems, size, size))
    step, half_g2 = problem.time_step, problem.half_g2(1)
    return spectrum, five_point_stencil(1 / step, *v, half_g2, problem.spacing, boundary), v


@pytest.mark.parametrize("boundary", ["zero_padding", "reflecting"])
def test_norm_is_that_of_the_dense_matrix_and_within_the_bound(boundary):
    spectrum, matrix, v = random_systems(boundary)
    epsilon = perturbation_bound(matrix, spectrum)
    p = spectrum.matrix(1).take(0).to_csr().toarray()
    for k in range(3):
        a = matrix.take(k).to_csr().toarray()
        norm = np.linalg.norm((a - p) @ np.linalg.inv(p), 2)
        assert perturbation_norm(matrix.take(k), spectrum) == pytest.approx(norm, rel=1e-3)
        assert norm <= epsilon[k]
    np.testing.assert_allclose(drift_of(matrix, spectrum)[0], v[0], atol=1e-9)


def test_the_bound_is_nearly_reached_so_that_its_constant_cannot_be_smaller():
    # constant advection, and a grid that holds the worst eigenvalue 1 / (half_g2 dt)
    problem = replace(random_systems("zero_padding", size=65)[0].problem, time_steps=2)
    spectrum = Spectrum(problem, 1)
    v = np.stack([np.full((1, 65, 65), 2.0), np.zeros((1, 65, 65))])
    half_g2, h = problem.half_g2(1), problem.spacing
    matrix = five_point_stencil(1 / problem.time_step, *v, half_g2, h, "zero_padding")
    ratio = perturbation_norm(matrix.take(0), spectrum) / perturbation_bound(matrix, spectrum)[0]
    assert 0.9 < ratio <= 1


def test_a_matrix_of_newton_is_refused():
    spectrum, matrix, _ = random_systems("zero_padding")
    other = FivePointStencil(matrix.center * 1.1, *matrix.arrays()[1:])
    with pytest.raises(ConfigError, match=r"march.linearisation to picard"):
        drift_of(other, spectrum)


@pytest.mark.parametrize("boundary", ["zero_padding", "reflecting"])
def test_one_seed_stays_above_its_floor_at_every_dimension(boundary):
    spectrum, _, _ = random_systems(boundary)
    residuals = np.random.default_rng(4).standard_normal((4, 9, 9))
    p = spectrum.matrix(4)
    basis = arnoldi(p.take([0]).apply, residuals[:1], 30).basis(0)
    size = np.linalg.norm(residuals[1:], axis=(1, 2))
    floor = spectrum.outside(residuals[1:], residuals[:1]) / size
    assert (floor > 0.3).all()
    start = np.zeros((3, 9, 9))
    targets = p.take([1, 2, 3]), residuals[1:], start
    for m in (1, 5, 12, 30):
        found = least_squares_project(*targets, basis[:m]).relative_residuals
        assert (found >= floor * (1 - 1e-9)).all()
    # Arnoldi's method in rounding does not get to the end, the seed's parts by shell do: the floor
    # is the best that any space of polynomials reaches
    seed, parts = spectrum.coefficients(residuals[0]).ravel(), []
    for group in spectrum.shells:
        for modes in group:
            part = np.zeros(81)
            part[modes] = seed[modes] / np.linalg.norm(seed[modes])
            parts.append(spectrum.fields(part.reshape(9, 9)))
    found = least_squares_project(*targets, np.array(parts)).relative_residuals
    np.testing.assert_allclose(found, floor, rtol=1e-6)


def test_as_many_seeds_as_a_shell_has_modes_leave_no_floor():
    spectrum, _, _ = random_systems("zero_padding")
    residuals = np.random.default_rng(4).standard_normal((4, 9, 9))
    largest = max(modes.shape[1] for modes in spectrum.shells)
    one, two = (spectrum.outside(residuals[3:], residuals[:q])[0] for q in (1, 2))
    assert two < one
    more = np.random.default_rng(5).standard_normal((largest, 9, 9))
    assert spectrum.outside(residuals[3:], more)[0] < 1e-8
    assert sum(modes.size for modes in spectrum.shells) == 81


def test_an_image_that_is_its_own_seed_has_no_floor():
    spectrum, _, _ = random_systems("reflecting")
    field = np.random.default_rng(6).standard_normal((1, 9, 9))
    assert spectrum.outside(field, -3 * field)[0] < 1e-10


def test_energy_constants_are_those_of_dense_matrices():
    spectrum, matrix, _ = random_systems("zero_padding", 1)
    alpha, beta = energy_constants(matrix.take(0), spectrum)
    p = spectrum.matrix(1).take(0).to_csr().toarray()
    values, vectors = np.linalg.eigh(p)
    root = vectors / np.sqrt(values) @ vectors.T
    a = root @ matrix.take(0).to_csr().toarray() @ root
    assert beta == pytest.approx(np.linalg.norm(a, 2), rel=1e-3)
    assert alpha == pytest.approx(np.linalg.eigvalsh(0.5 * (a + a.T))[0], rel=1e-3)


def test_spectra_know_moments_signs_and_powers():
    spectrum, _, _ = random_systems("zero_padding")
    mode = np.zeros((1, 9, 9))
    mode[0, 2, 3] = 1.0
    mean, spread = spectrum.moments(spectrum.fields(mode))
    assert mean[0] == pytest.approx(spectrum.eigenvalues[2, 3]) and spread[0] < 1e-6
    field = np.random.default_rng(0).standard_normal((2, 9, 9))
    other = spectrum.with_spectrum_of(field, np.random.default_rng(1))
    np.testing.assert_allclose(
        np.abs(spectrum.coefficients(other)), np.abs(spectrum.coefficients(field)), atol=1e-12
    )
    np.testing.assert_allclose(
        spectrum.power(field, 1.0), spectrum.matrix(2).apply(field), rtol=1e-9, atol=1e-7
    )


def test_the_fixed_point_contracts_within_its_bound():
    for position in range(3):
        bound, measured = fixed_point_contraction(bank(), position, np.arange(5))
        assert np.isfinite(measured).all()
        assert (measured > 0).all() and (measured <= bound).all() and (bound < 1).all()


def test_what_is_proved_holds_on_the_bank():
    tables = theory(bank(), seeds(), dimensions=[4, 8], tolerance=1e-6, n_norms=2, n_bins=8)
    table = tables["theory"]
    assert list(table.columns[:4]) == ["statement", "step", "predicted", "measured"]
    proved = ["perturbation", "gmres", "fixed_point", "floor_p", "floor_leakage", "quasi_optimal"]
    for statement in proved:
        rows = table[(table.statement == statement) & (table.dimension == 4)]
        assert len(rows) == 3 and (rows.holds == 1).all(), statement
    assert set(table[table.statement == "floor"].dimension) == {4, 8}
    energy = tables["theory_spectra"].groupby(["step", "stage"]).energy.sum()
    np.testing.assert_allclose(energy, 1.0)
