"""The small Galerkin systems solved by iteration against those that are formed."""

import numpy as np
import pytest

from crosskrylov.equation.stencil import FivePointStencil
from crosskrylov.errors import ConfigError
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import MarchOptions
from crosskrylov.solvers.kernels.residuals import norms
from crosskrylov.solvers.kernels.split_products import SplitProducts, projected_corrections
from crosskrylov.solvers.kernels.subspace import arnoldi, joint_basis
from crosskrylov.solvers.registry import make_solver
from tests.laboratory import bank, seeds, smooth_log_density


def projected(systems, inner_tolerance, precision="float64", products=None):
    residual = systems.rhs - systems.matrix.apply(systems.start)
    if products is None:
        bases = arnoldi(systems.matrix.apply, residual, 6)
        products = SplitProducts(
            joint_basis([bases.basis(p) for p in (0, 3)]), systems.matrix.take(0)
        )
    return products, projected_corrections(
        products, systems.matrix, residual, "galerkin", inner_tolerance, precision
    )


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize(
    ("inner_tolerance", "precision", "error"),
    [(1e-12, "float64", 1e-10), (1e-2, "float64", 3e-2), (1e-2, "float32", 3e-2)],
)
def test_iteration_agrees_with_the_formed_projection(position, inner_tolerance, precision, error):
    systems = bank().systems(position, 1e-8)
    products, exact = projected(systems, None)
    _, found = projected(systems, inner_tolerance, precision, products)
    assert found.solved.all() and (exact.products == 1).all()
    difference = norms(found.residual - exact.residual)
    # what single precision leaves of a residual that the projection would annihilate
    rounding = (1e-12 if precision == "float64" else 1e-7) * norms(systems.rhs)
    assert (difference <= error * norms(found.residual) + rounding).all()
    np.testing.assert_allclose(
        found.residual,
        systems.rhs - systems.matrix.apply(systems.start + found.correction),
        atol=1e-11 * np.abs(systems.rhs).max(),
    )
    orthogonality = np.linalg.norm(
        found.residual.reshape(len(systems), -1) @ products.flat.T, axis=1
    )
    assert (orthogonality <= inner_tolerance * norms(found.residual) * (1 + 1e-6)).all()


def test_systems_far_from_the_reference_are_formed_instead():
    systems = bank().systems(0, 1e-8)
    products, _ = projected(systems, None)
    for a in systems.matrix.arrays():
        a[2] *= 7.0  # the reference's inverse overshoots sixfold
    residual = systems.rhs - systems.matrix.apply(systems.start)
    found = projected_corrections(products, systems.matrix, residual, "galerkin", 1e-8)
    formed = projected_corrections(products, systems.matrix, residual, "galerkin", None)
    np.testing.assert_allclose(found.correction[2], formed.correction[2], atol=1e-12)
    assert found.solved.all() and (norms(found.residual) <= 2 * norms(residual)).all()


def test_a_singular_reference_is_formed_instead():
    systems = bank().systems(0, 1e-8)
    products, exact = projected(systems, None)
    zero = FivePointStencil(*(np.zeros_like(a[0]) for a in systems.matrix.arrays()))
    _, found = projected(systems, 1e-8, products=SplitProducts(products.basis, zero))
    assert SplitProducts(products.basis, zero).reduced() is None
    np.testing.assert_allclose(found.correction, exact.correction, atol=1e-10)


def test_residuals_that_are_not_finite_do_not_spread():
    systems = bank().systems(0, 1e-8)
    products, exact = projected(systems, None)
    systems.rhs[1, 0, 0] = np.nan
    with np.errstate(invalid="ignore"):
        _, found = projected(systems, 1e-10, products=products)
    good = np.array([0, 2, 3, 4])
    np.testing.assert_allclose(found.correction[good], exact.correction[good], atol=1e-9)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("cross_matrix_galerkin", {"dimension": 10}),
        ("cross_matrix_joint", {"dimension": 8}),
        ("cross_matrix_pod", {"dimension": 4}),
    ],
)
def test_the_default_gives_the_iterations_of_the_formed_projection(method, options):
    for position in range(3):
        counts = []
        for inner_tolerance in (1e-10, None):
            solver = make_solver(method, options | {"inner_tolerance": inner_tolerance})
            solver.prepare(bank().problem, smooth_log_density(), seeds())
            counts.append(solver.solve(bank().systems(position, 1e-8)).iterations)
        assert np.abs(counts[0] - counts[1]).sum() <= 1


@pytest.mark.parametrize("method", ["cross_matrix_galerkin", "cross_matrix_joint"])
def test_bases_kept_over_steps_and_single_precision_reach_the_tolerance(method, monkeypatch):
    m0, options = smooth_log_density(), MarchOptions(tolerance=1e-9)
    expected = march(bank().problem, m0, make_solver("splu"), options).log_density
    for variant, builds in (({"refresh_steps": 3}, 3), ({}, 8)):
        solver = make_solver(
            method, {"precision": "float32", "inner_tolerance": 0.1, "dimension": 5} | variant
        )
        built, real = [], solver._build
        monkeypatch.setattr(
            solver, "_build", lambda s, p, b=built, f=real: (b.append(s.step), f(s, p))
        )
        found = march(bank().problem, m0, solver, options, seeds=seeds())
        np.testing.assert_allclose(found.log_density, expected, atol=1e-6 * np.abs(expected).max())
        assert len(built) == builds


@pytest.mark.parametrize(
    "options",
    [
        {"inner_tolerance": 0.0},
        {"inner_tolerance": "tight"},
        {"precision": "half"},
        {"refresh_steps": 0},
    ],
)
def test_options_that_do_not_fit_are_config_errors(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        make_solver("cross_matrix_joint", options)
