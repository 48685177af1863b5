"""Subspaces for targets, and what a projection onto them alone achieves (Eqs. 16-20)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from crosskrylov.equation.stencil import score
from crosskrylov.solvers.kernels.residuals import relative_residuals
from crosskrylov.solvers.kernels.subspace import (
    arnoldi,
    galerkin_project,
    joint_basis,
    least_squares_project,
    pod_basis,
)
from crosskrylov.studies.bank import SystemBank
from crosskrylov.studies.common import relative_errors

PROJECTIONS = {"galerkin": galerkin_project, "least_squares": least_squares_project}

#: A basis (m, H, W) of at most ``dimension`` fields for the target at a position of the bank.
BasisOf = Callable[[int, int], np.ndarray]


def krylov_bases(bank: SystemBank, position: int, images: Sequence[int], dimension: int):
    """Return the Arnoldi bases of K_m(A_i, r_i) of ``images`` at one step of the bank (Eq. 16)."""
    images = np.asarray(images, dtype=int)
    matrix = bank.matrix.take(position).take(images)
    residuals = bank.rhs[position][images] - matrix.apply(bank.start(position)[images])
    return arnoldi(matrix.apply, residuals, min(dimension, matrix.n_unknowns))


def nearest_seed_basis(bank, position, seeds, dimension) -> BasisOf:
    """Return the published choice: the Krylov space of each target's seed."""
    bases = krylov_bases(bank, position, seeds.seeds, dimension)
    return lambda target, m: bases.basis(int(seeds.assigned[target]))[:m]


def own_basis(bank, position, dimension) -> BasisOf:
    """Return each target's own Krylov space, which no other image's can be expected to beat."""
    bases = krylov_bases(bank, position, np.arange(bank.n_images), dimension)
    return lambda target, m: bases.basis(target)[:m]


def joint_seed_basis(bank, position, images, dimension) -> BasisOf:
    """Return the joint Krylov space of several seeds; m is the total dimension (Eq. 19)."""
    bases = krylov_bases(bank, position, images, max(dimension // len(images), 1))
    made: dict[int, np.ndarray] = {}

    def basis(target, m):
        if m not in made:
            share = m // len(images)
            parts = [bases.basis(k)[:share] for k in range(len(images))]
            made[m] = joint_basis(parts) if share else np.zeros((0, *bank.rhs.shape[2:]))
        return made[m]

    return basis


def increment_basis(bank, position, images, dimension) -> BasisOf:
    """Return the POD basis of the solution increments m^n - m^(n-1) of ``images`` (Eq. 20)."""
    images = np.asarray(images, dtype=int)
    increments = (bank.solution[position] - bank.start(position))[images]
    basis = pod_basis(increments, dimension)
    return lambda target, m: basis[:m]


@dataclass(frozen=True)
class Projected:
    """Targets after projection alone: solutions, residuals before and after, score errors."""

    x: np.ndarray
    start_residuals: np.ndarray
    relative_residuals: np.ndarray
    score_errors: np.ndarray
    dimensions: np.ndarray


def project(
    bank: SystemBank,
    position: int,
    targets: Sequence[int],
    basis_of: BasisOf,
    dimension: int,
    projection: str = "galerkin",
    *,
    start: str,
) -> Projected:
    """Project the targets' systems once, without any refinement.

    Parameters
    ----------
    bank : SystemBank
    position : int
        Position in ``bank.steps``.
    targets : sequence of int
    basis_of : callable
        (target, dimension) to a basis (m, H, W), m <= dimension.
    dimension : int
        Subspace dimension m; 0 leaves the starting values.
    projection : {"galerkin", "least_squares"}
    start : {"previous", "zero", "extrapolated"}
    """
    targets = np.asarray(targets, dtype=int)
    matrix = bank.matrix.take(position).take(targets)
    rhs, x = bank.rhs[position][targets], bank.start(position, start)[targets]
    before = relative_residuals(matrix, rhs, x)
    sizes = np.zeros(len(targets), dtype=int)
    groups: dict[int, tuple[np.ndarray, list[int]]] = {}
    for k, target in enumerate(targets):  # targets with the same basis are projected together
        basis = basis_of(int(target), dimension)
        sizes[k] = len(basis)
        key = basis.__array_interface__["data"][0]
        groups.setdefault(key, (basis, []))[1].append(k)
    for basis, members in groups.values():
        if len(basis):
            chosen = matrix.take(members)
            x[members] = PROJECTIONS[projection](chosen, rhs[members], x[members], basis).x
    spacing = bank.problem.spacing
    return Projected(
        x,
        before,
        relative_residuals(matrix, rhs, x),
        relative_errors(score(x, spacing), score(bank.solution[position][targets], spacing)),
        sizes,
    )
