"""Deep conjugate directions: the search directions of a Krylov-like iteration, from a network."""

import time

import numpy as np

from crosskrylov.equation.transforms import TransformCache
from crosskrylov.errors import ConfigError
from crosskrylov.solvers.base import LinearSolver, LinearSystems, Solution, check_finite, register
from crosskrylov.solvers.kernels.residuals import dots, norms
from crosskrylov.solvers.kernels.work import VECTOR_OPERATIONS, count
from crosskrylov.solvers.refinement import Refinement, check_choice, operator_of, require_numpy

STEPS = ("residual", "energy")
#: Earlier directions that a new one is made conjugate to, as published.
HISTORY = 2
#: A system that a direction has not brought at least this far down goes to the refinement.
STALLED = 0.999
# the march checks with a product of its own, which rounds differently
_MARGIN = 1.0 - 1e-3


@register("deep_conjugate", family="krylov")
class DeepConjugate(LinearSolver):
    """Directions N(r / |r|) of a convolutional network, conjugate to the last two (Eq. 22e).

    Published for one symmetric matrix (Kaneda et al., 2023). Here the network also sees the
    coefficients of the matrix, so that one serves all images, and adds its output to the residual,
    so that without training (``training_steps: 0``) the directions are residuals. It is trained,
    without solutions, on the first call's matrices and on random combinations of sine or cosine
    modes, the eigenvectors of P (Eq. 14), in place of Ritz vectors. The matrices are not symmetric:
    with ``step: residual`` lengths and conjugacy are those of |A q|, so that no step raises the
    residual; ``energy`` is as published, and needs a symmetric positive definite matrix. Systems
    that stall or run out of directions are finished by ``refine`` from where they stand.

    Cost per direction: an evaluation of the network, 18 (3.5 C^2 + 7 C) operations per unknown
    with C channels, one product with A, 13 vector operations. Setup: the training, once per
    `prepare`.

    Parameters
    ----------
    step : {"residual", "energy"}
        What a step minimises, and the network is trained for.
    max_directions : int
        Most directions of a system; 0 leaves everything to the refinement, and trains nothing.
    channels : int
        Width C of the network.
    training_steps, batch_size : int
        Of Adam: steps, and right-hand sides of one.
    learning_rate : float
        Adam's.
    training_matrices : int
        Most matrices of the first call that it is trained on.
    seed : int
        Random seed of weights and right-hand sides.
    refine : {"bicgstab", "gmres", "none"}
        What finishes.
    max_iterations, restart : int
        Of the refinement.
    fallback : {None, "spsolve", "splu", "pardiso"}
        Direct solver for systems that miss the tolerance; they are counted.
    """

    def __init__(
        self,
        step: str = "residual",
        max_directions: int = 50,
        channels: int = 8,
        training_steps: int = 300,
        batch_size: int = 10,
        learning_rate: float = 1e-3,
        training_matrices: int = 16,
        seed: int = 0,
        refine: str = "bicgstab",
        max_iterations: int = 500,
        restart: int = 30,
        fallback: str | None = None,
    ):
        check_choice("step", step, STEPS)
        for name, value, least in (
            ("max_directions", max_directions, 0),
            ("channels", channels, 1),
            ("training_steps", training_steps, 0),
            ("batch_size", batch_size, 1),
            ("training_matrices", training_matrices, 1),
        ):
            if value < least:
                raise ConfigError(
                    f"The solver option {name} is {value}; it must be at least {least}."
                )
        if not learning_rate > 0:
            raise ConfigError(
                f"The solver option learning_rate is {learning_rate}; it must be above 0."
            )
        self.step, self.max_directions = step, max_directions
        self._training = {
            "channels": channels,
            "steps": training_steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "seed": seed,
            "energy": step == "energy",
        }
        self.training_matrices = training_matrices
        self._refinement = Refinement(refine, max_iterations, restart, fallback)
        self._network = None

    def prepare(self, problem, log_density, seeds=None) -> None:
        """Forget the network of an earlier march."""
        super().prepare(problem, log_density, seeds)
        self._network = None

    def solve(self, systems: LinearSystems) -> Solution:
        """Solve every system from ``systems.start``; the training counts as setup."""
        require_numpy(systems, self.name)
        setup = 0.0
        x, made = systems.start, np.zeros(len(systems), dtype=int)
        if self.max_directions and len(systems):
            if self._network is None:
                # here, so that the registry of solvers does not need torch; it is no training
                from crosskrylov.solvers.kernels.learned_directions import train_directions

                clock = time.perf_counter()
                self._network = self._trained(systems, train_directions)
                setup = time.perf_counter() - clock
            x, made = self._descend(systems)
        solution = self._refinement.run(systems, x, self.name)
        solution.iterations = solution.iterations + made
        solution.setup_seconds += setup
        return solution

    def _trained(self, systems, train_directions):
        check_finite(systems)
        chosen = np.linspace(0, len(systems) - 1, min(self.training_matrices, len(systems)))
        matrix = systems.matrix.take(np.unique(chosen.astype(int)))
        transform = TransformCache().get(systems.problem, systems.step, systems.rhs)
        return train_directions(matrix, (transform.rows, transform.cols), **self._training)

    def _descend(self, systems):
        """Return x and the directions taken, after the network's part of the iteration."""
        operator = operator_of(systems.matrix)
        width = self._training["channels"]
        network_work = 18 * (3.5 * width**2 + 7 * width) / VECTOR_OPERATIONS
        x = systems.start * 1.0
        everyone = np.arange(len(systems))
        residual = systems.rhs - operator(x, everyone)
        target = _MARGIN * systems.tolerance * norms(systems.rhs)
        made = np.zeros(len(systems), dtype=int)
        going = norms(residual) > target
        past: list[tuple[np.ndarray, np.ndarray]] = []
        active = np.flatnonzero(going)
        for _ in range(self.max_directions):
            if not active.size:
                break
            direction, product = np.zeros_like(x), np.zeros_like(x)
            found = self._network(systems.matrix.take(active), residual[active])
            direction[active] = found
            product[active] = operator(found, active)
            for old, old_product in past:
                dual, scale = self._dual(old, old_product, product, old_product)
                share = _ratio(dual, scale)
                direction -= share * old
                product -= share * old_product
            dual, scale = self._dual(direction, product, residual, product)
            length = np.where(going[:, None, None], _ratio(dual, scale), 0.0)
            before = norms(residual)
            x += length * direction
            residual -= length * product
            count(vectors=(5 + 4 * len(past) + network_work) * len(active))
            made[active] += 1
            past = [*past, (direction, product)][-HISTORY:]
            after = norms(residual)
            going &= (after > target) & (after < STALLED * before)
            if np.count_nonzero(going) < active.size:  # the operator knows the same array again
                active = np.flatnonzero(going)
        return x, made

    def _dual(self, direction, product, field, own_product):
        """Return <w, field> and <w, own_product>, w what steps are taken orthogonal to."""
        w = direction if self.step == "energy" else product
        return dots(w, field), dots(w, own_product)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return numerator / denominator for every system, shape (B, 1, 1); 0 where it has none."""
    fine = np.isfinite(denominator) & (denominator != 0)
    return np.where(fine, numerator / np.where(fine, denominator, 1.0), 0.0)[:, None, None]
