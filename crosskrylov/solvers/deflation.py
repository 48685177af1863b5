"""GMRES deflated by approximate eigenvectors that a seed's Krylov space provides."""

import time
from contextlib import suppress

import numpy as np

from crosskrylov.errors import ConfigError
from crosskrylov.solvers.base import LinearSystems, register
from crosskrylov.solvers.cross_matrix import check_option, is_unsolved
from crosskrylov.solvers.kernels.batched_krylov import gmres
from crosskrylov.solvers.kernels.operators import BLOCK_ELEMENTS
from crosskrylov.solvers.kernels.residuals import norms
from crosskrylov.solvers.kernels.split_products import SplitProducts
from crosskrylov.solvers.kernels.subspace import KrylovBases
from crosskrylov.solvers.projection import CrossMatrixGalerkin
from crosskrylov.solvers.refinement import operator_of


def harmonic_ritz_basis(bases: KrylovBases, position: int, count: int) -> np.ndarray:
    """Return an orthonormal basis of the harmonic Ritz vectors nearest to zero.

    The harmonic Ritz pairs of A_s V_m = V_(m+1) H are the eigenpairs of
    ``H_m + h^2 H_m^-T e_m e_m'`` with h the entry (m + 1, m) of H; a complex pair contributes its
    real and imaginary parts.

    Returns
    -------
    ndarray, shape (k, H, W), k <= count
    """
    m = int(bases.sizes[position])
    vectors = bases.basis(position)
    if m == 0 or count == 0:
        return vectors[:0]
    square = bases.hessenberg[position, :m, :m].copy()
    last = np.zeros(m)
    last[-1] = bases.hessenberg[position, m, m - 1] ** 2
    with suppress(np.linalg.LinAlgError):  # a singular H_m leaves plain Ritz vectors
        square[:, -1] += np.linalg.solve(square.T, last)
    values, modes = np.linalg.eig(square)
    modes = modes[:, np.argsort(np.abs(values))]
    real = np.concatenate([modes.real, modes.imag], axis=1)
    # column j and m + j belong together; conjugates repeat them, which the rank test removes
    ordered = real.reshape(m, 2, m).transpose(0, 2, 1).reshape(m, 2 * m)
    chosen: list[np.ndarray] = []
    for column in ordered.T:
        size = np.linalg.norm(column)
        for _ in range(2):
            for q in chosen:
                column = column - (q @ column) * q
        left = np.linalg.norm(column)
        if left > 1e-8 * max(size, 1e-8):
            chosen.append(column / left)
        if len(chosen) == min(count, m):
            break
    return np.einsum("km,mhw->khw", np.array(chosen), vectors)


@register("deflated_gmres", family="cross-matrix")
class DeflatedGmres(CrossMatrixGalerkin):
    """GMRES on the targets, deflated by approximate eigenvectors of the nearest seed (ours).

    U holds the harmonic Ritz vectors nearest to zero of the seed's Arnoldi relation.  With
    E = U'A_t U and the projector Q = I - A_t U E^-1 U', GMRES solves Q A_t z = Q r_0, and

        x = x_0 + U E^-1 U' r_0 + z - U E^-1 U' A_t z,

    whose residual equals that of the deflated system.  The subspace thus helps in every iteration
    and not only in the starting value (Eq. 17 with V = U gives the first correction).

    Cost per seed and step: as published, and an eigenvalue problem of size m.  Cost per target:
    k HW multiply-adds for A_t U, and per iteration one product with A_t, 4 k HW operations for Q
    and the orthogonalisation of GMRES.

    Parameters
    ----------
    dimension : int
        Dimension m of the seed's Krylov space.
    n_deflated : int
        Number k of deflated directions; 0 is plain GMRES.
    rebuild : {"step", "iteration"}
        As in `CrossMatrixGalerkin`.
    max_iterations, restart : int
        Limits of GMRES.
    fallback : {None, "spsolve", "splu", "pardiso"}
        Direct solver for systems that miss the tolerance; they are counted.
    """

    def __init__(
        self,
        dimension: int = 20,
        n_deflated: int = 8,
        rebuild: str = "step",
        max_iterations: int = 500,
        restart: int = 30,
        fallback: str | None = None,
    ):
        super().__init__(
            dimension,
            rebuild,
            refine="gmres",
            max_iterations=max_iterations,
            restart=restart,
            fallback=fallback,
        )
        self.n_deflated = check_option("n_deflated", n_deflated, 0)
        if self.n_deflated > self.dimension:
            raise ConfigError(
                f"The solver option n_deflated is {n_deflated}, more than the dimension "
                f"{dimension} of the space it is taken from; lower it."
            )

    def _build(self, seeds: LinearSystems, present: np.ndarray) -> None:
        bases = self._bases(seeds)
        for position, which in enumerate(present):
            basis = harmonic_ritz_basis(bases, position, self.n_deflated)
            self._spaces[which] = SplitProducts(basis, seeds.matrix.take(position))

    def _solve(self, systems):
        clock = time.perf_counter()
        if self.dimension:
            self._update(systems)
        setup = time.perf_counter() - clock
        x, iterations = systems.start.copy(), np.zeros(len(systems), dtype=int)
        if self.dimension and self.n_deflated:
            which = self._space_of(systems)
            unsolved = is_unsolved(systems, systems.rhs - systems.matrix.apply(systems.start))
            block = max(1, BLOCK_ELEMENTS // systems.matrix.n_unknowns)
            for space in np.unique(which[unsolved]):
                members = np.flatnonzero(unsolved & (which == space))
                for first in range(0, len(members), block):
                    positions = members[first : first + block]
                    x[positions], iterations[positions] = self._deflated(
                        systems.take(positions), self._spaces[space]
                    )
        # recomputes the true residuals; iterates on only where rounding left one above tolerance
        solution = self._refinement.run(systems, x, self.name)
        solution.iterations = solution.iterations + iterations
        solution.setup_seconds += setup
        return solution

    def _deflated(self, systems, products):
        """Return (x, iterations) of the deflated iteration for a block of one seed's targets."""
        residual = systems.rhs - systems.matrix.apply(systems.start)
        n_systems, u = len(systems), products.flat
        if products.size == 0:
            return systems.start, np.zeros(n_systems, dtype=int)
        terms, everything = products.terms(systems.matrix), slice(0, u.shape[1])
        image = products.image(terms, slice(0, n_systems), everything)  # A_t U as rows
        try:
            inverse = np.linalg.inv(np.matmul(u, image.transpose(0, 2, 1)))
        except np.linalg.LinAlgError:
            return systems.start, np.zeros(n_systems, dtype=int)

        def coefficients(fields, active):
            flat = fields.reshape(len(fields), -1)
            return np.matmul(inverse[active], (flat @ u.T)[:, :, None])[:, :, 0]

        def deflate(fields, active):
            taken = image if len(active) == n_systems else image[active]
            removed = np.matmul(coefficients(fields, active)[:, None, :], taken)[:, 0]
            return fields - removed.reshape(fields.shape)

        operator = operator_of(systems.matrix)
        everyone = np.arange(n_systems)
        rhs = deflate(residual, everyone)
        size = norms(rhs)
        # slightly tighter than asked: the residual of x equals this one only up to rounding
        goal = 0.99 * systems.tolerance * norms(systems.rhs)
        with np.errstate(divide="ignore", invalid="ignore"):
            tolerance = np.where(size > 0.0, goal / size, 1.0)
        result = gmres(
            lambda fields, active: deflate(operator(fields, active), active),
            rhs,
            np.zeros_like(rhs),
            tolerance,
            max_iterations=self._refinement.max_iterations,
            restart=self._refinement.restart,
        )
        product = systems.matrix.apply(result.x)
        correction = (coefficients(residual - product, everyone) @ u).reshape(rhs.shape)
        return systems.start + result.x + correction, result.iterations
