"""Solve any sequence of similar sparse systems, with work shared between them where that pays."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from crosskrylov.equation.likeness import nearest_neighbour_chain
from crosskrylov.errors import ConfigError, ConvergenceError, DataError, ShapeError
from crosskrylov.runtime.declared import did_you_mean
from crosskrylov.solvers.cross_matrix import check_option
from crosskrylov.solvers.direct import spsolve_or_raise
from crosskrylov.solvers.recycling import CountedOperator, recycled_gcrot
from crosskrylov.solvers.refinement import check_choice

#: What each method does, for tables and messages.
METHODS = {
    "spsolve": "one sparse LU per matrix (SuperLU, ordered by columns)",
    "superlu": "one sparse LU per matrix (SuperLU, ordered by the pattern of A + A')",
    "bicgstab": "Bi-CGSTAB from zero",
    "warm_bicgstab": "Bi-CGSTAB from the solution before",
    "gmres": "restarted GMRES from zero",
    "ilu_bicgstab": "Bi-CGSTAB from zero, preconditioned by an incomplete LU of each matrix",
    "lu_of_one": "Krylov iteration preconditioned by the LU of one of the matrices",
    "lu_of_mean": "Krylov iteration preconditioned by the LU of the mean matrix",
    "recycled_gcrot": "GCROT(m, k), directions recycled in the order given",
    "sorted_recycled_gcrot": "GCROT(m, k), directions recycled along a chain of like matrices",
    "galerkin": "Krylov iteration from the projection onto the latest solutions",
    "galerkin_of_one": "Krylov iteration from the projection onto one matrix's Krylov space",
    "galerkin_of_several": "Krylov iteration from the projection onto several Krylov spaces",
    "pod": "Krylov iteration from the projection onto the leading modes of all solutions so far",
}
#: Methods that treat every system on its own, factorisations among them.
UNSHARED = ("spsolve", "superlu", "bicgstab", "gmres", "ilu_bicgstab")
DIRECT = ("spsolve", "superlu")
ON_MISS = ("raise", "spsolve", "keep")
_RESTARTS = 3
# An incomplete LU drops entries below this share of their column; it may hold ten times A's.
_ILU = {"drop_tol": 1e-3, "fill_factor": 10.0, "permc_spec": "MMD_AT_PLUS_A"}


@dataclass(frozen=True)
class ManySolutions:
    """What `solve_many` returns; position i belongs to matrix i, whatever the order of solution.

    Attributes
    ----------
    x : ndarray, shape (N, n)
        Solutions.
    relative_residuals : ndarray, shape (N,)
        ``||b - A x||_2 / ||b||_2`` recomputed from x; 0 for a zero right-hand side.
    products : ndarray of int, shape (N,)
        Products with A; 0 for a direct solver.  Residuals of starting values and the products of
        the setup are not in them.
    converged : ndarray of bool, shape (N,)
        Whether the relative residual is within the tolerance.
    fallbacks : ndarray of bool, shape (N,)
        Systems that spsolve had to solve.
    seconds : ndarray, shape (N,)
        Wall-clock of every system.
    setup_seconds : float
        Wall-clock of work before the first system: a factorisation, the order.
    order : ndarray of int, shape (N,)
        Positions in the order of solution.
    """

    x: np.ndarray
    relative_residuals: np.ndarray
    products: np.ndarray
    converged: np.ndarray
    fallbacks: np.ndarray
    seconds: np.ndarray
    setup_seconds: float
    order: np.ndarray


@dataclass
class _Settings:
    """What the methods have in common: options, and what they keep from system to system."""

    tol: float
    krylov: str
    restart: int
    m: int
    k: int
    max_products: int
    preconditioner: Any = None
    basis: np.ndarray | None = None
    before: np.ndarray | None = None
    carried: np.ndarray | None = None
    solutions: list[np.ndarray] = field(default_factory=list)


def solve_many(
    matrices: Sequence,
    rhs,
    *,
    method: str = "warm_bicgstab",
    tol: float = 1e-8,
    krylov: str = "bicgstab",
    reference: int = 0,
    restart: int = 30,
    m: int = 20,
    k: int = 10,
    seeds: int = 4,
    max_products: int = 2000,
    on_miss: str = "raise",
) -> ManySolutions:
    """Solve A_i x_i = b_i for a sequence of sparse matrices of one size.

    Sharing a factorisation pays while matrices are alike and stops paying as they part; recycled
    directions save products where a single system takes hundreds, at a higher price for each.

    Parameters
    ----------
    matrices : sequence of SciPy sparse arrays or matrices, shape (n, n) each
        Real or complex.  If all have one sparsity pattern, it is used for their mean and order.
    rhs : array-like, shape (N, n) or (n,)
        Right-hand sides, one per matrix or one for all.
    method : str
        A key of `crosskrylov.solvers.many.METHODS`.
    tol : float
        True relative residual to reach, between 0 and 1.
    krylov : {"bicgstab", "gmres"}
        Iteration of "lu_of_one", "lu_of_mean", the three Galerkin methods and "pod".
    reference : int
        Position of the matrix that "lu_of_one" factorises and "galerkin_of_one" takes its space
        from.
    restart : int
        Dimension of GMRES's space.
    m, k : int
        GCROT: inner iterations of a cycle, and directions kept.  "galerkin" projects onto the
        latest k solutions, "pod" onto the k leading modes, "galerkin_of_one" onto K_m(A, b) of one
        system, "galerkin_of_several" onto the sum of those of ``seeds`` systems, evenly spaced
        along a chain of like matrices.
    seeds : int
        Systems behind "galerkin_of_several", or all where there are fewer.
    max_products : int
        Most products with A per system; a cycle that has begun is finished.
    on_miss : {"raise", "spsolve", "keep"}
        What is done about a system that misses the tolerance.

    Returns
    -------
    ManySolutions

    Raises
    ------
    ConfigError
        If an option is unknown or does not fit.
    ShapeError
        If shapes do not fit together.
    DataError
        If values are not finite, or a matrix that has to be factorised is singular.
    ConvergenceError
        If a system misses the tolerance and ``on_miss`` is "raise".
    """
    if method not in METHODS:
        raise ConfigError(
            f"The method {method!r} is unknown{did_you_mean(method, METHODS)}; available are "
            f"{', '.join(METHODS)}."
        )
    if not (isinstance(tol, int | float) and 0.0 < tol < 1.0):
        raise ConfigError(f"The option tol is {tol!r}; it must lie between 0 and 1.")
    check_choice("krylov", krylov, ("bicgstab", "gmres"))
    check_choice("on_miss", on_miss, ON_MISS)
    for name, value in (("restart", restart), ("m", m), ("k", k), ("seeds", seeds),
                        ("max_products", max_products)):  # fmt: skip
        check_option(name, value, 1)
    matrices, rhs = _checked(matrices, rhs)
    of_one = method in ("lu_of_one", "galerkin_of_one")
    if of_one and not 0 <= check_option("reference", reference, 0) < len(matrices):
        raise ConfigError(
            f"The option reference is {reference}, but there are {len(matrices)} matrices; it must "
            "be the position of one of them."
        )
    clock = time.perf_counter()
    settings = _Settings(tol, krylov, restart, m, k, max_products)
    order = np.arange(len(matrices))
    if method == "sorted_recycled_gcrot":
        order = _chain(matrices)
    elif method == "lu_of_one":
        settings.preconditioner = _factors(matrices[reference], f"Matrix {reference}")
    elif method == "lu_of_mean":
        settings.preconditioner = _factors(_mean(matrices), "The mean of the matrices")
    elif method == "galerkin_of_one":
        settings.basis = _krylov_spaces(matrices, rhs, [reference], m)
    elif method == "galerkin_of_several":
        places = np.linspace(0, len(order) - 1, min(seeds, len(order))).round().astype(int)
        chosen = _chain(matrices)[places]
        settings.basis = _krylov_spaces(matrices, rhs, chosen, m)
    setup = time.perf_counter() - clock

    solve = _SOLVE[method]
    x = np.zeros_like(rhs)
    products, seconds = np.zeros(len(x), dtype=int), np.zeros(len(x))
    relative, fallbacks = np.zeros(len(x)), np.zeros(len(x), dtype=bool)
    for i in order:
        scale = np.linalg.norm(rhs[i])
        if scale == 0.0:
            continue
        clock = time.perf_counter()
        x[i], products[i] = solve(matrices[i], rhs[i], settings, i)
        seconds[i] = time.perf_counter() - clock
        relative[i] = np.linalg.norm(rhs[i] - matrices[i] @ x[i]) / scale
        if not relative[i] <= tol and on_miss == "spsolve" and method not in DIRECT:
            clock = time.perf_counter()
            x[i], fallbacks[i] = _direct(matrices[i], rhs[i], i), True
            seconds[i] += time.perf_counter() - clock
            relative[i] = np.linalg.norm(rhs[i] - matrices[i] @ x[i]) / scale
        settings.before = x[i]
    missed = np.flatnonzero(~(relative <= tol))
    if missed.size and on_miss != "keep":
        worst = int(missed[relative[missed].argmax()])
        raise ConvergenceError(
            f"Method {method} left a relative residual of {relative[worst]:.2e} (tolerance "
            f"{tol:.1e}) in system {worst} after {products[worst]} products, {len(missed)} of "
            f"{len(x)} systems missed; raise max_products, loosen tol, or set on_miss to 'spsolve' "
            "or 'keep'.",
            residual_history=[float(relative[worst])],
            iterations=int(products[worst]),
            best=x[worst],
        )
    return ManySolutions(
        x, relative, products, relative <= tol, fallbacks, seconds, setup, order
    )  # fmt: skip


def _checked(matrices, rhs):
    """Return the matrices in CSR format and the right-hand sides as an array (N, n)."""
    matrices = list(matrices)
    if not matrices:
        raise DataError("There are no matrices to solve with; pass at least one.")
    found = []
    for i, matrix in enumerate(matrices):
        if not sp.issparse(matrix):
            raise DataError(
                f"Matrix {i} is a {type(matrix).__name__}; pass SciPy sparse matrices "
                "(scipy.sparse.csr_array converts)."
            )
        if matrix.ndim != 2 or matrix.shape != (matrices[0].shape[0],) * 2:
            raise ShapeError(
                f"Matrix {i} has shape {matrix.shape}, the first one {matrices[0].shape}; all must "
                "be square and of one size."
            )
        matrix = sp.csr_array(matrix)
        if not matrix.has_canonical_format:
            matrix = matrix.copy()
            matrix.sum_duplicates()
        if not np.isfinite(matrix.data).all():
            raise DataError(f"Matrix {i} holds values that are not finite; check its assembly.")
        found.append(matrix)
    rhs = np.asarray(rhs)
    n = found[0].shape[0]
    if rhs.shape not in ((n,), (len(found), n)):
        raise ShapeError(
            f"{len(found)} matrices of size {n} need right-hand sides of shape ({len(found)}, {n}) "
            f"or ({n},); found {rhs.shape}."
        )
    dtype = np.result_type(np.float64, rhs.dtype, *{a.dtype for a in found})
    found = [a.astype(dtype, copy=False) for a in found]
    rhs = np.broadcast_to(rhs, (len(found), n)).astype(dtype)
    finite = np.isfinite(rhs).all(axis=1)
    if not finite.all():
        raise DataError(
            f"Right-hand side {int(np.flatnonzero(~finite)[0])} holds values that are not finite."
        )
    return found, rhs


def _one_pattern(matrices) -> bool:
    first = matrices[0]
    return all(
        np.array_equal(a.indptr, first.indptr) and np.array_equal(a.indices, first.indices)
        for a in matrices[1:]
    )


def _mean(matrices):
    if _one_pattern(matrices):
        data = np.mean([a.data for a in matrices], axis=0)
        return sp.csr_array((data, matrices[0].indices, matrices[0].indptr), matrices[0].shape)
    return sum(matrices[1:], matrices[0]) / len(matrices)


def _chain(matrices) -> np.ndarray:
    """Return the matrices in a chain of nearest neighbours, by the norm of their differences."""
    if _one_pattern(matrices):
        rows = np.stack([a.data for a in matrices])
        inner = (rows @ rows.conj().T).real
    else:
        rows = sp.vstack([a.tocoo().reshape(1, -1) for a in matrices]).tocsr()
        inner = (rows @ rows.conj().T).toarray().real
    squares = np.diag(inner)
    return nearest_neighbour_chain(len(matrices), lambda i: squares - 2.0 * inner[i])


def _singular(what) -> DataError:
    return DataError(
        f"{what} is singular to working precision and cannot be factorised; check how it was made "
        "or choose another method."
    )


def _direct(matrix, rhs, position, permc_spec="COLAMD"):
    return spsolve_or_raise(matrix, rhs, _singular(f"Matrix {position}"), permc_spec)


def _factors(matrix, what, incomplete=False):
    try:
        factors = (
            spla.spilu(matrix.tocsc(), **_ILU)
            if incomplete
            else spla.splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A")
        )
    except RuntimeError as error:
        raise _singular(what) from error
    return spla.LinearOperator(matrix.shape, matvec=factors.solve, dtype=matrix.dtype)


def _krylov_spaces(matrices, rhs, chosen, m):
    """Return an orthonormal basis (n, j) of the sum of K_m(A_s, b_s) over the chosen systems."""
    spaces = [_arnoldi(matrices[s], rhs[s], m) for s in chosen]
    return spaces[0] if len(spaces) == 1 else _independent(np.hstack(spaces), 1e-8)


def _arnoldi(matrix, start, m):
    """Return an orthonormal basis (n, j), j <= m, of K_m(A, start); Gram-Schmidt done twice."""
    vectors = np.zeros((min(m, len(start)), len(start)), dtype=matrix.dtype)
    vector = start
    for j in range(len(vectors)):
        before = np.linalg.norm(vector)
        for _ in range(2):
            vector = vector - vectors[:j].T @ (vectors[:j].conj() @ vector)
        size = np.linalg.norm(vector)
        if not size > 1e-12 * before:  # the space is exhausted
            return vectors[:j].T
        vectors[j] = vector / size
        vector = matrix @ vectors[j]
    return vectors.T


def _independent(columns, tolerance):
    """Return an orthonormal basis of the columns' span, nearly dependent directions left out."""
    basis, r, _ = scipy.linalg.qr(columns, mode="economic", pivoting=True)
    size = np.abs(np.diag(r))
    return basis[:, size > tolerance * size[0]]


def _iterate(matrix, rhs, start, settings, krylov, preconditioner=None):
    """Return (x, products) of an iteration that starts again from true residuals."""
    x = np.zeros_like(rhs) if start is None else start.copy()
    goal = (1.0 - 1e-3) * settings.tol * np.linalg.norm(rhs)
    residual = rhs if start is None else rhs - matrix @ x
    counted, size = CountedOperator(matrix), np.linalg.norm(residual)
    for _ in range(_RESTARTS):
        left = settings.max_products - counted.products
        if size <= goal or left <= 0:
            break
        options = {"rtol": 0.0, "atol": goal, "M": preconditioner}
        if krylov == "gmres":
            restart = min(settings.restart, len(rhs), left)
            step, _ = spla.gmres(
                counted.operator, residual, restart=restart, maxiter=-(-left // restart), **options
            )
        else:
            step, _ = spla.bicgstab(
                counted.operator, residual, maxiter=max(left // 2, 1), **options
            )  # fmt: skip
        found = residual - matrix @ step
        if not np.linalg.norm(found) < size:
            break
        x, residual, size = x + step, found, np.linalg.norm(found)
    return x, counted.products


def _spsolve(matrix, rhs, settings, position):
    return _direct(matrix, rhs, position), 0


def _superlu(matrix, rhs, settings, position):
    return _direct(matrix, rhs, position, "MMD_AT_PLUS_A"), 0


def _bicgstab(matrix, rhs, settings, position):
    return _iterate(matrix, rhs, None, settings, "bicgstab")


def _gmres(matrix, rhs, settings, position):
    return _iterate(matrix, rhs, None, settings, "gmres")


def _ilu(matrix, rhs, settings, position):
    factors = _factors(matrix, f"Matrix {position}", incomplete=True)
    return _iterate(matrix, rhs, None, settings, "bicgstab", factors)


def _warm(matrix, rhs, settings, position):
    return _iterate(matrix, rhs, settings.before, settings, "bicgstab")


def _preconditioned(matrix, rhs, settings, position):
    return _iterate(
        matrix, rhs, settings.before, settings, settings.krylov, settings.preconditioner
    )


def _gcrot(matrix, rhs, settings, position):
    start = np.zeros_like(rhs) if settings.before is None else settings.before
    residual = rhs - matrix @ start
    goal = (1.0 - 1e-3) * settings.tol * np.linalg.norm(rhs)
    if np.linalg.norm(residual) <= goal:
        return start.copy(), 0
    carried = np.zeros((0, len(rhs))) if settings.carried is None else settings.carried
    step, settings.carried, products, _ = recycled_gcrot(
        matrix, residual, goal, carried,
        m=settings.m, k=settings.k, max_products=settings.max_products,
    )  # fmt: skip
    return start + step, products


def _projected(matrix, rhs, settings, basis):
    """Galerkin on a basis (n, j) from the solution before, then the iteration."""
    start, products = settings.before, 0
    if basis is not None and basis.shape[1]:
        start = np.zeros_like(rhs) if start is None else start
        image, residual = matrix @ basis, rhs - matrix @ start
        products = basis.shape[1]
        small = basis.conj().T @ image
        y = np.linalg.lstsq(small, basis.conj().T @ residual, rcond=None)[0]
        if np.linalg.norm(residual - image @ y) < np.linalg.norm(residual):
            start = start + basis @ y
    x, own = _iterate(matrix, rhs, start, settings, settings.krylov)
    return x, products + own


def _kept(solved, settings):
    settings.solutions.append(solved[0])
    return solved


def _galerkin(matrix, rhs, settings, position):
    settings.solutions = settings.solutions[-settings.k :]
    basis = None
    if settings.solutions:
        basis = _independent(np.array(settings.solutions).T, 1e-12)
    return _kept(_projected(matrix, rhs, settings, basis), settings)


def _galerkin_of_seeds(matrix, rhs, settings, position):
    return _projected(matrix, rhs, settings, settings.basis)


def _pod(matrix, rhs, settings, position):
    basis = None
    if settings.solutions:
        modes, size, _ = np.linalg.svd(np.array(settings.solutions).T, full_matrices=False)
        basis = modes[:, : settings.k][:, size[: settings.k] > 1e-12 * size[0]]
    return _kept(_projected(matrix, rhs, settings, basis), settings)


_SOLVE: dict[str, Callable] = {
    "spsolve": _spsolve,
    "superlu": _superlu,
    "bicgstab": _bicgstab,
    "warm_bicgstab": _warm,
    "gmres": _gmres,
    "ilu_bicgstab": _ilu,
    "lu_of_one": _preconditioned,
    "lu_of_mean": _preconditioned,
    "recycled_gcrot": _gcrot,
    "sorted_recycled_gcrot": _gcrot,
    "galerkin": _galerkin,
    "galerkin_of_one": _galerkin_of_seeds,
    "galerkin_of_several": _galerkin_of_seeds,
    "pod": _pod,
}
