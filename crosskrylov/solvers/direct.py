"""Direct solvers: SuperLU (two calls), PARDISO where installed, banded and block elimination."""

import warnings

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from crosskrylov.equation.stencil import FivePointStencil
from crosskrylov.errors import ConfigError, DataError
from crosskrylov.solvers.base import LinearSolver, LinearSystems, Solution, register

ORDERINGS = ("COLAMD", "MMD_AT_PLUS_A", "MMD_ATA", "NATURAL")


class _DirectSolver(LinearSolver):
    """Solve the systems one by one with a factorisation each."""

    def solve(self, systems: LinearSystems) -> Solution:
        x = np.empty_like(systems.rhs)
        for position in range(len(systems)):
            matrix = systems.csr(position)
            x[position] = self._solve_one(matrix, systems.rhs[position].ravel(), systems).reshape(
                x.shape[1:]
            )
        return Solution(x, np.zeros(len(systems), dtype=int))

    def _solve_one(self, matrix, rhs, systems):
        raise NotImplementedError


def spsolve_or_raise(
    matrix, rhs: np.ndarray, singular: DataError, permc_spec: str = "COLAMD"
) -> np.ndarray:
    """Return SpSolve's solution; raise ``singular`` if the matrix is."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", spla.MatrixRankWarning)
        try:
            return spla.spsolve(matrix, rhs, permc_spec=permc_spec)
        except (spla.MatrixRankWarning, RuntimeError) as error:
            raise singular from error


def _singular(systems: LinearSystems) -> DataError:
    return DataError(
        f"A matrix of time step {systems.step} is singular to working precision; check the image, "
        "the drift and the time step."
    )


def _check_ordering(permc_spec: str) -> str:
    if permc_spec not in ORDERINGS:
        raise ConfigError(
            f"The solver option permc_spec is {permc_spec!r}; allowed are {', '.join(ORDERINGS)}."
        )
    return permc_spec


@register("spsolve", family="direct")
class SpSolve(_DirectSolver):
    """``scipy.sparse.linalg.spsolve`` (SuperLU), the published baseline: one LU per system.

    Parameters
    ----------
    permc_spec : {"COLAMD", "MMD_AT_PLUS_A", "MMD_ATA", "NATURAL"}
        SuperLU's ordering of the unknowns; COLAMD is SciPy's default and the published one,
        MMD_AT_PLUS_A suits nearly symmetric patterns as these are.
    """

    def __init__(self, permc_spec: str = "COLAMD"):
        self.permc_spec = _check_ordering(permc_spec)

    def _solve_one(self, matrix, rhs, systems):
        return spsolve_or_raise(matrix, rhs, _singular(systems), self.permc_spec)


@register("splu", family="direct")
class SpLU(_DirectSolver):
    """SuperLU in its symmetric mode: pivots stay on the diagonal unless they vanish.

    Parameters
    ----------
    permc_spec : {"COLAMD", "MMD_AT_PLUS_A", "MMD_ATA", "NATURAL"}
        Ordering of the unknowns; the default, minimum degree on A' + A, belongs to this mode.
    """

    def __init__(self, permc_spec: str = "MMD_AT_PLUS_A"):
        self.permc_spec = _check_ordering(permc_spec)

    def _solve_one(self, matrix, rhs, systems):
        try:
            factors = spla.splu(
                matrix.tocsc(),
                permc_spec=self.permc_spec,
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
        except RuntimeError as error:
            raise _singular(systems) from error
        return factors.solve(rhs)


@register("pardiso", family="direct")
class Pardiso(_DirectSolver):
    """Intel PARDISO through pypardiso; the fastest direct solver that users would pick instead.

    Parameters
    ----------
    reuse_analysis : bool
        Order the unknowns and analyse the pattern once for all systems of one pattern (PARDISO's
        phase 11), and factorise and solve every matrix (phases 22 and 33).  Scaling and matching,
        which would tie the analysis to one matrix's values, are then off: the matrices are
        diagonally dominant.  False: all phases for every matrix, as pypardiso does it.
    """

    def __init__(self, reuse_analysis: bool = True):
        try:
            import pypardiso
        except ImportError as error:
            raise ConfigError(
                "Solver method 'pardiso' needs the package pypardiso; install it or remove the "
                "solver from the config."
            ) from error
        self._solver = pypardiso.PyPardisoSolver()
        self._reuse, self._pattern = reuse_analysis, None
        if reuse_analysis:
            # 1: what follows instead of the defaults; 2: nested dissection; 8: two refinements;
            # 10: pivots below 1e-13 are perturbed; 11, 13: neither scaling nor matching
            for position, value in ((1, 1), (2, 2), (8, 2), (10, 13), (11, 0), (13, 0)):
                self._solver.set_iparm(position, value)

    def _solve_one(self, matrix, rhs, systems):
        matrix = sp.csr_matrix(matrix)
        try:
            x = self._with_analysis(matrix, rhs) if self._reuse else self._solver.solve(matrix, rhs)
        except Exception as error:  # pypardiso raises its own class without a common base
            raise _singular(systems) from error
        if not np.isfinite(x).all():
            raise _singular(systems)
        return x

    def _with_analysis(self, matrix, rhs):
        solver, pattern = self._solver, (matrix.indptr, matrix.indices)
        solver._check_A(matrix)
        if self._pattern is None or not all(map(np.array_equal, pattern, self._pattern)):
            if self._pattern is not None:
                solver.free_memory(everything=True)
            self._pattern = None  # until the analysis has succeeded
            solver.set_phase(11)
            solver._call_pardiso(matrix, rhs)
            self._pattern = pattern
        solver.set_phase(23)
        return solver._call_pardiso(matrix, rhs)


@register("banded", family="direct")
class Banded(LinearSolver):
    """LAPACK's banded elimination with pivoting (gbsv): no ordering, no sparse data structure.

    Unknowns are numbered along the shorter side of the image, so that the half bandwidth is
    w = min(H, W).  Cost per system: 4 HW w^2 operations at most, 3 w HW numbers of storage.
    """

    def solve(self, systems: LinearSystems) -> Solution:
        """Solve every system; the start is not used."""
        matrix, rhs, turned = _along_the_shorter_side(systems)
        n_systems, height, width = rhs.shape
        x = np.empty_like(rhs)
        for position in range(n_systems):
            bands = _bands(matrix.take(position))
            try:
                x[position] = scipy.linalg.solve_banded(
                    (width, width), bands, rhs[position].ravel(),
                    overwrite_ab=True, check_finite=False,
                ).reshape(height, width)  # fmt: skip
            except np.linalg.LinAlgError as error:
                raise _singular(systems) from error
        return Solution(_turned_back(x, turned), np.zeros(n_systems, dtype=int))


@register("block_tridiagonal", family="direct")
class BlockTridiagonal(LinearSolver):
    """Block elimination line by line, with dense solves over all images of a call at once.

    The matrices are block tridiagonal with one block per image line; the blocks beside the diagonal
    are diagonal matrices.  Pivoting within blocks only, which diagonal dominance allows.  Cost per
    system: 8/3 HW w^2 operations with w = min(H, W), and HW w numbers of storage.
    """

    def solve(self, systems: LinearSystems) -> Solution:
        """Solve every system; the start is not used."""
        matrix, rhs, turned = _along_the_shorter_side(systems)
        n_systems, height, width = rhs.shape
        node = np.arange(width)
        x = np.empty_like(rhs)
        coupling = np.empty((height, n_systems, width, width))
        try:
            for i in range(height):
                block = np.zeros((n_systems, width, width + 1))
                block[:, node, node] = matrix.center[:, i]
                block[:, node[1:], node[:-1]] = matrix.west[:, i, 1:]
                block[:, node[:-1], node[1:]] = matrix.east[:, i, :-1]
                block[:, :, -1] = rhs[:, i]
                if i:
                    north = matrix.north[:, i]
                    block[:, :, :-1] -= north[:, :, None] * coupling[i - 1]
                    block[:, :, -1] -= north * x[:, i - 1]
                right = np.zeros((n_systems, width, width + 1))
                right[:, node, node] = matrix.south[:, i]
                right[:, :, -1] = block[:, :, -1]
                solved = np.linalg.solve(block[:, :, :-1], right)
                coupling[i], x[:, i] = solved[:, :, :-1], solved[:, :, -1]
        except np.linalg.LinAlgError as error:
            raise _singular(systems) from error
        for i in range(height - 2, -1, -1):
            x[:, i] -= np.matmul(coupling[i], x[:, i + 1, :, None])[:, :, 0]
        return Solution(_turned_back(x, turned), np.zeros(n_systems, dtype=int))


def _along_the_shorter_side(systems: LinearSystems):
    """Return (matrix, right-hand sides, whether rows and columns were exchanged)."""
    matrix, rhs = systems.matrix, systems.rhs
    if rhs.shape[-1] <= rhs.shape[-2]:
        return matrix, rhs, False
    center, north, south, west, east = (a.swapaxes(-1, -2) for a in matrix.arrays())
    return FivePointStencil(center, west, east, north, south), rhs.swapaxes(-1, -2), True


def _turned_back(x: np.ndarray, turned: bool) -> np.ndarray:
    return np.ascontiguousarray(x.swapaxes(-1, -2)) if turned else x


def _bands(matrix: FivePointStencil) -> np.ndarray:
    """Return one matrix in LAPACK's banded storage, entry (w + i - j, j) = A[i, j]."""
    height, width = matrix.shape
    bands = np.zeros((2 * width + 1, height * width))
    bands[width] = matrix.center.ravel()
    bands[0, width:] = matrix.south.ravel()[:-width]
    bands[2 * width, :-width] = matrix.north.ravel()[width:]
    # added, since in an image one pixel wide these are the same bands
    bands[width - 1, 1:] += matrix.east.ravel()[:-1]
    bands[width + 1, :-1] += matrix.west.ravel()[1:]
    return bands
