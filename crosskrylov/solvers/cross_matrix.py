"""What the cross-matrix solvers have in common: seeds, project, refine (Eqs. 16-20)."""

import time

import numpy as np

from crosskrylov.equation.transforms import TransformCache
from crosskrylov.errors import ConfigError, ShapeError
from crosskrylov.solvers.base import LinearSolver, LinearSystems, Solution
from crosskrylov.solvers.kernels.reduced_iteration import PRECISIONS
from crosskrylov.solvers.kernels.residuals import norms
from crosskrylov.solvers.kernels.split_products import (
    PROJECTIONS,
    SplitProducts,
    projected_corrections,
    projection_coefficients,
)
from crosskrylov.solvers.kernels.subspace import check_dimension
from crosskrylov.solvers.kernels.work import count
from crosskrylov.solvers.refinement import Refinement, check_choice, require_numpy


def check_option(option: str, value, minimum: int) -> int:
    """Return an integer solver option; raise ConfigError if it is none or below its minimum."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ConfigError(
            f"The solver option {option} is {value!r}; it must be an integer of at least {minimum}."
        )
    return value


def check_rank_tolerance(value: float) -> float:
    """Return the cut-off of a rank; raise ConfigError unless it lies in (0, 1)."""
    if not 0.0 < value < 1.0:
        raise ConfigError(
            f"The solver option rank_tolerance is {value!r}; it must lie between 0 and 1."
        )
    return value


def check_inner_tolerance(value: float | None) -> float | None:
    """Return the tolerance of the reduced iteration; raise ConfigError unless it fits."""
    if value is not None and not (isinstance(value, int | float) and 0.0 < value < 1.0):
        raise ConfigError(
            f"The solver option inner_tolerance is {value!r}; it must lie between 0 and 1, or be "
            "null, which forms the small matrices."
        )
    return value


def check_seeds(seeds, n_images: int, name: str):
    """Return the seed assignment of a march; raise unless it is there and fits the images."""
    if seeds is None:
        raise ConfigError(
            f"Solver {name} needs seed images; select seeds "
            "(crosskrylov.select_seeds) and pass them to the march."
        )
    if len(seeds.assigned) != n_images:
        raise ShapeError(
            f"The seed assignment is for {len(seeds.assigned)} images, but {n_images} are marched; "
            "select the seeds again for this image set."
        )
    return seeds


def seed_positions(seeds, systems: LinearSystems) -> np.ndarray:
    """Return the position of every seed's system in the batch, -1 where it is not there."""
    positions = np.full(len(seeds.assigned), -1)
    positions[systems.image_index] = np.arange(len(systems))
    return positions[seeds.seeds]


def is_unsolved(systems: LinearSystems, residual: np.ndarray) -> np.ndarray:
    """Return which starts miss the tolerance (in late Picard iterations many do not)."""
    return ~(norms(residual) <= systems.tolerance * norms(systems.rhs))


def missing_seed(seeds, which: int, systems: LinearSystems, name: str) -> ConfigError:
    """Return the error for a step in which a seed's system was never passed."""
    return ConfigError(
        f"Solver {name} needs the system of seed image {seeds.seeds[which]} at time step "
        f"{systems.step}, but it is not among the systems passed; pass the seeds' systems together "
        "with their targets', in the first Picard iteration of every step."
    )


class OwnIncrements:
    """The latest solution increments of every image, which recycling adds to its subspace.

    Within a time step these are differences between Picard iterates; the first one of a step is the
    increment over the step.
    """

    def __init__(self, n_images: int, kept: int):
        self._kept, self._store = kept, None
        self._next = np.zeros(n_images, dtype=int)

    def remember(self, systems: LinearSystems, x: np.ndarray) -> None:
        """Store ``x - start`` of these systems in place of their oldest increments."""
        if self._kept == 0:
            return
        if self._store is None:
            self._store = np.zeros((len(self._next), self._kept, *x.shape[1:]))
        who = systems.image_index
        self._store[who, self._next[who]] = x - systems.start
        self._next[who] = (self._next[who] + 1) % self._kept

    def directions(self, systems: LinearSystems, flat_basis: np.ndarray) -> np.ndarray | None:
        """Return orthonormal directions orthogonal to the basis, (B, kept, H, W); 0 if absent."""
        if self._kept == 0 or self._store is None:
            return None
        own = self._store[systems.image_index].reshape(len(systems), self._kept, -1)
        for j in range(self._kept):
            before = np.linalg.norm(own[:, j], axis=1)
            for _ in range(2):
                own[:, j] -= (own[:, j] @ flat_basis.T) @ flat_basis
                for i in range(j):
                    overlap = np.einsum("bn,bn->b", own[:, i], own[:, j])
                    own[:, j] -= overlap[:, None] * own[:, i]
            after = np.linalg.norm(own[:, j], axis=1)
            usable = after > 1e-8 * before
            own[:, j] *= np.divide(1.0, after, out=np.zeros_like(after), where=usable)[:, None]
        return own.reshape(len(systems), self._kept, *systems.rhs.shape[1:])


class CrossMatrixSolver(LinearSolver):
    """Project every system onto a subspace made by seed systems, then refine to the tolerance.

    Subclasses build the subspaces in `_update`.  The projected value is the start of a batched
    Krylov iteration wherever it lowers the residual; the start value itself is kept elsewhere
    (Galerkin may raise the residual).

    Parameters
    ----------
    dimension : int
        Dimension m of a subspace; 0 switches the projection off, which leaves the warm-started
        iteration alone as a control.  More than H W is an error; a Krylov space that is exhausted
        earlier is used as it is.
    projection : {"galerkin", "least_squares"}
        Eq. 17 (published) or Eq. 18.
    refine : {"bicgstab", "gmres", "none"}
        Iteration that takes the projected solution to the tolerance.
    refine_preconditioner : {"none", "transform"}
        "transform": Eq. 14.
    inner_tolerance : float or None
        Galerkin without recycling: solve the small systems of all targets by iteration (Eq. 21a)
        until ||V'r|| is at most this fraction of ||r||, which is cheaper the larger the space is;
        the default agrees with Eq. 17 to rounding, 0.01 to four digits of the residual.  None: form
        V'A_t V of every target.
    precision : {"float64", "float32"}
        Of that iteration's products with V.  The refinement works in float64 whatever it is.
    recycle : bool or int
        How many of an image's own latest solution increments (differences between Picard iterates)
        join its subspace; true means 1.
    max_iterations, restart : int
        Limits of the refinement; ``restart`` is for GMRES.
    fallback : {None, "spsolve", "splu", "pardiso"}
        Direct solver for systems that miss the tolerance; they are counted.
    """

    def __init__(
        self,
        dimension: int = 20,
        projection: str = "galerkin",
        inner_tolerance: float | None = 1e-10,
        precision: str = "float64",
        refine: str = "bicgstab",
        refine_preconditioner: str = "none",
        recycle: bool | int = False,
        max_iterations: int = 500,
        restart: int = 30,
        fallback: str | None = None,
    ):
        self.dimension = check_option("dimension", dimension, 0)
        check_choice("projection", projection, PROJECTIONS)
        check_choice("refine_preconditioner", refine_preconditioner, ("none", "transform"))
        check_choice("precision", precision, PRECISIONS)
        self.projection, self.precision = projection, precision
        self.inner_tolerance = check_inner_tolerance(inner_tolerance)
        self.recycle = check_option("recycle", int(recycle), 0)
        self._transform = TransformCache() if refine_preconditioner == "transform" else None
        self._refinement = Refinement(refine, max_iterations, restart, fallback)
        self._seeds = self._own = self._step = None

    def prepare(self, problem, log_density, seeds=None) -> None:
        """Take the seed assignment and forget all subspaces."""
        check_dimension(self.dimension, problem.height * problem.width)
        self._seeds = check_seeds(seeds, len(log_density), self.name)
        self._own = OwnIncrements(len(log_density), self.recycle)
        self._step = None
        self._spaces: list[SplitProducts | None] = [None] * len(self._seeds.seeds)

    def solve(self, systems: LinearSystems) -> Solution:
        """Update the subspaces, project all systems, refine."""
        require_numpy(systems, self.name)
        if self._seeds is None:
            raise ConfigError(f"Solver {self.name} must be prepared before it solves.")
        return self._solve(systems)

    def _solve(self, systems):
        clock = time.perf_counter()
        if self.dimension:
            self._update(systems)
        setup = time.perf_counter() - clock
        solution = self._project_and_refine(systems)
        solution.setup_seconds += setup
        return solution

    def _update(self, systems: LinearSystems) -> None:
        raise NotImplementedError

    def _space_of(self, systems: LinearSystems) -> np.ndarray:
        """Return the position in ``_spaces`` of every system's subspace."""
        return self._seeds.assigned[systems.image_index]

    def _project_and_refine(self, systems):
        x = systems.start
        if self.dimension or self.recycle:
            x = self._project(systems)
        preconditioner = None
        if self._transform is not None:
            transform = self._transform.get(systems.problem, systems.step, systems.rhs)

            def preconditioner(fields, positions):
                return transform(fields)

        solution = self._refinement.run(systems, x, self.name, preconditioner)
        self._own.remember(systems, solution.x)
        return solution

    def _project(self, systems):
        x = systems.start.copy()
        residual = systems.rhs - systems.matrix.apply(x)
        count(products=len(systems))
        which = self._space_of(systems) if self.dimension else np.zeros(len(systems), dtype=int)
        unsolved = is_unsolved(systems, residual)
        for space in np.unique(which[unsolved]):
            positions = np.flatnonzero(unsolved & (which == space))
            products = self._spaces[space] if self.dimension else None
            step = self._correction(systems.take(positions), residual[positions], products)
            x[positions] += step
        return x

    def _correction(self, systems, residual, products):
        """Return the projected correction of each start, zero where it raises the residual."""
        if products is None:  # recycling alone
            empty = np.zeros((0, *systems.rhs.shape[1:]))
            products = SplitProducts(empty, systems.matrix.take(0))
        extra = self._own.directions(systems, products.flat)
        if extra is None and products.size:
            found = projected_corrections(
                products,
                systems.matrix,
                residual,
                self.projection,
                self.inner_tolerance,
                self.precision,
            )
            found.correction[~(norms(found.residual) < norms(residual))] = 0.0
            return found.correction
        y = projection_coefficients(products, systems.matrix, residual, self.projection, extra)
        step = (y[:, : products.size] @ products.flat).reshape(residual.shape)
        if extra is not None:
            step += np.einsum("br,brhw->bhw", y[:, products.size :], extra)
        gained = norms(residual - systems.matrix.apply(step)) < norms(residual)
        count(products=len(systems), vectors=y.size)
        step[~gained] = 0.0
        return step
