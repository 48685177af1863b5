"""`solve_many` on families of matrices, and the page that shows it."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import crosskrylov
from crosskrylov.errors import ConfigError, ConvergenceError, DataError, ShapeError
from crosskrylov.solvers.many import DIRECT, METHODS, UNSHARED, solve_many

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "solve-your-own-matrices.md"
N, SIZE = 6, 12


def family(spread=0.05, seed=0, dtype=float):
    """Return convection-diffusion matrices that differ by their coefficients, and their sides."""
    rng = np.random.default_rng(seed)
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(SIZE, SIZE))
    wind = sp.diags_array([-0.2, 0.2], offsets=[-1, 1], shape=(SIZE, SIZE))
    base = sp.csr_array(sp.kronsum(line + wind, line))
    n = SIZE**2
    matrices = []
    for _ in range(N):
        shift = sp.diags_array(0.1 + spread * rng.random(n))
        matrices.append(sp.csr_array(base + shift).astype(dtype))
    return matrices, rng.normal(size=(N, n)).astype(dtype)


def direct(matrices, rhs):
    return np.array([np.linalg.solve(a.toarray(), b) for a, b in zip(matrices, rhs, strict=True)])


def assert_solved(found, matrices, rhs, tol):
    np.testing.assert_allclose(found.x, direct(matrices, rhs), atol=1e3 * tol)
    for i, (a, b) in enumerate(zip(matrices, rhs, strict=True)):
        relative = np.linalg.norm(b - a @ found.x[i]) / np.linalg.norm(b)
        assert relative == pytest.approx(found.relative_residuals[i], rel=1e-6, abs=1e-15)
        assert relative <= tol
    assert found.converged.all() and sorted(found.order) == list(range(len(matrices)))
    assert (found.seconds > 0).all() and found.setup_seconds >= 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("krylov", ["bicgstab", "gmres"])
def test_every_method_solves_every_system(method, krylov):
    matrices, rhs = family()
    found = solve_many(matrices, rhs, method=method, tol=1e-9, krylov=krylov, k=3, m=8)
    assert_solved(found, matrices, rhs, 1e-9)
    assert (found.products > 0).all() == (method not in DIRECT)
    assert not found.fallbacks.any()


@pytest.mark.parametrize("method", METHODS)
def test_different_patterns_and_formats(method):
    matrices, rhs = family()
    for i in range(N):
        matrices[i] = matrices[i].tolil()
        matrices[i][i, 40 + i] = 0.01
        matrices[i] = sp.coo_matrix(matrices[i]) if i % 2 else matrices[i].tocsc()
    found = solve_many(matrices, rhs, method=method, tol=1e-8)
    assert_solved(found, matrices, rhs, 1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_complex_matrices(method):
    matrices, rhs = family(dtype=complex)
    matrices = [a + 0.3j * sp.eye_array(SIZE**2) for a in matrices]
    assert_solved(solve_many(matrices, rhs, method=method, tol=1e-8), matrices, rhs, 1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_zero_right_hand_side_and_one_side_for_all(method):
    matrices, rhs = family()
    rhs[2] = 0.0
    found = solve_many(matrices, rhs, method=method)
    assert not found.x[2].any() and found.products[2] == 0 and found.converged.all()
    one = solve_many(matrices, rhs[0], method=method)
    assert_solved(one, matrices, np.tile(rhs[0], (N, 1)), 1e-8)


def test_single_precision_is_solved_in_double():
    matrices, rhs = family(dtype=np.float32)
    found = solve_many(matrices, rhs, method="lu_of_mean", tol=1e-10)
    assert found.x.dtype == np.float64 and found.converged.all()


def test_sharing_a_factorisation_saves_products_while_matrices_are_alike():
    counts = {}
    for spread in (1e-3, 2.0):
        matrices, rhs = family(spread)
        for method in ("bicgstab", "lu_of_mean", "lu_of_one"):
            found = solve_many(matrices, rhs, method=method)
            counts[method, spread] = found.products.mean()
    assert counts["lu_of_mean", 1e-3] < 0.2 * counts["bicgstab", 1e-3]
    assert counts["lu_of_mean", 1e-3] < counts["lu_of_mean", 2.0]
    assert counts["lu_of_mean", 2.0] <= counts["lu_of_one", 2.0]


def test_the_krylov_space_of_a_system_solves_it():
    """A space as large as its matrix's minimal polynomial leaves its own system nothing to do."""
    matrices, rhs = family()
    options = {"m": SIZE**2, "tol": 1e-6, "reference": 2}
    alone = solve_many(matrices, rhs, method="galerkin_of_one", **options)
    assert alone.products[2] == SIZE**2  # those of the projection
    small = solve_many(matrices, rhs, method="galerkin_of_one", m=5)
    joint = solve_many(matrices, rhs, method="galerkin_of_several", m=5, seeds=3)
    several = solve_many(matrices, rhs, method="galerkin_of_several", m=5, seeds=N + 1)
    iterations = [f.products - m for f, m in ((small, 5), (joint, 15), (several, 5 * N))]
    assert iterations[0].sum() > iterations[1].sum() > iterations[2].sum()


def test_methods_without_sharing_do_not_depend_on_the_others():
    matrices, rhs = family()
    for method in UNSHARED:
        whole = solve_many(matrices, rhs, method=method)
        part = solve_many(matrices[3:4], rhs[3:4], method=method)
        np.testing.assert_array_equal(whole.x[3], part.x[0])


def test_equal_systems_are_started_by_the_solution_before():
    matrices, rhs = family()
    matrices, rhs = [matrices[0]] * N, np.tile(rhs[0], (N, 1))
    for method in ("warm_bicgstab", "recycled_gcrot", "lu_of_one"):
        assert not solve_many(matrices, rhs, method=method).products[1:].any()
    assert (solve_many(matrices, rhs, method="bicgstab").products > 0).all()


def test_the_sorted_order_puts_like_matrices_side_by_side():
    matrices, rhs = family()
    base = matrices[0]
    matrices = [base + s * sp.eye_array(SIZE**2) for s in (0.0, 3.0, 0.1, 2.9, 0.2, 2.5)]
    found = solve_many(matrices, rhs, method="sorted_recycled_gcrot")
    assert found.order.tolist() == [0, 2, 4, 5, 3, 1]
    assert_solved(found, matrices, rhs, 1e-8)


def test_misses_raise_fall_back_or_are_kept():
    matrices, rhs = family()
    options = {"method": "bicgstab", "tol": 1e-12, "max_products": 4}
    with pytest.raises(ConvergenceError, match=r"bicgstab.*tolerance 1.0e-12.*on_miss") as caught:
        solve_many(matrices, rhs, **options)
    assert caught.value.best.shape == (SIZE**2,) and caught.value.residual_history[0] > 1e-12
    found = solve_many(matrices, rhs, **options, on_miss="spsolve")
    assert found.fallbacks.all() and found.converged.all()
    found = solve_many(matrices, rhs, **options, on_miss="keep")
    assert not found.converged.any() and (found.relative_residuals > 1e-12).all()


@pytest.mark.parametrize("method", [*DIRECT, "ilu_bicgstab", "lu_of_one", "lu_of_mean"])
def test_a_singular_matrix_is_a_data_error(method):
    rhs = family()[1]
    empty = sp.csr_array((SIZE**2, SIZE**2))
    with pytest.raises(DataError, match="singular"):
        solve_many([empty] * 2, rhs[:2], method=method)


def spoilt(kind):
    matrices, rhs = family()
    if kind == "dense":
        matrices[1] = matrices[1].toarray()
    elif kind == "size":
        matrices[2] = matrices[2][:-1, :-1]
    elif kind == "values":
        matrices[3].data[5] = np.inf
    elif kind == "side":
        rhs[4, 0] = np.nan
    elif kind == "sides":
        rhs = rhs[:-1]
    else:
        matrices = []
    return matrices, rhs


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("dense", DataError, "Matrix 1 is a ndarray"),
        ("size", ShapeError, "Matrix 2 has shape"),
        ("values", DataError, "Matrix 3 holds"),
        ("side", DataError, "Right-hand side 4"),
        ("sides", ShapeError, r"need right-hand sides of shape \(6, 144\)"),
        ("none", DataError, "no matrices"),
    ],
)
def test_what_does_not_fit_is_named(kind, error, message):
    with pytest.raises(error, match=message):
        solve_many(*spoilt(kind))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "bicgstabb"}, "did you mean 'bicgstab'"),
        ({"tol": 0.0}, "tol"),
        ({"krylov": "cg"}, "krylov"),
        ({"k": 0}, "option k"),
        ({"max_products": 0}, "max_products"),
        ({"method": "lu_of_one", "reference": 6}, "there are 6 matrices"),
        ({"on_miss": "ignore"}, "on_miss"),
    ],
)
def test_options_that_do_not_fit_are_config_errors(options, message):
    with pytest.raises(ConfigError, match=message):
        solve_many(*family(), **options)


def test_it_is_offered_and_the_page_works(capsys):
    assert crosskrylov.solve_many is solve_many
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "spsolve", "warm_bicgstab", "sorted_recycled_gcrot", "lu_of_mean",
    ]  # fmt: skip
    assert all(float(line.split()[1]) <= 1e-8 for line in lines)
