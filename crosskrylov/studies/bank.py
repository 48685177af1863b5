"""The bank of systems that solvers are compared on: taken from a converged march, kept as arrays.

For every chosen time step n and every image the bank holds the matrix A^(n,K) and the right-hand
side b^(n,K) of the last nonlinear iteration K (Eqs. 3-4 of docs/method.md), the log-densities of
the two steps before (the solvers' starting values) and the solution.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from crosskrylov.equation.problem import FokkerPlanckProblem, problem_from_config
from crosskrylov.equation.stencil import FivePointStencil
from crosskrylov.errors import ConfigError, DataError, ShapeError
from crosskrylov.runtime.files import load_npz, save_npz
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import MarchOptions
from crosskrylov.solvers.base import LinearSolver, LinearSystems

STARTS = ("previous", "zero", "extrapolated")
_FIELDS = ("rhs", "previous", "older", "solution")


@dataclass(frozen=True)
class SystemBank:
    """Converged systems of every image at a few time steps.

    Attributes
    ----------
    equation : dict
        Config section that the problem was made from.
    log_density : ndarray, shape (N, H, W)
        Initial log-densities in nats.
    steps : ndarray of int, shape (S,)
        Time steps, ascending, from 1.
    picard : ndarray of int, shape (S, N)
        Nonlinear iteration that each system comes from.
    matrix : FivePointStencil
        Coefficients, arrays of shape (S, N, H, W).
    rhs : ndarray, shape (S, N, H, W)
        Right-hand sides, 1/time units.
    previous, older : ndarrays, shape (S, N, H, W)
        Log-densities m^(n-1) and m^(n-2) (at step 1 both are the initial one).
    solution : ndarray, shape (S, N, H, W)
        Solutions to the tolerance that the bank was built with.
    """

    equation: dict
    log_density: np.ndarray
    steps: np.ndarray
    picard: np.ndarray
    matrix: FivePointStencil
    rhs: np.ndarray
    previous: np.ndarray
    older: np.ndarray
    solution: np.ndarray

    @cached_property
    def problem(self) -> FokkerPlanckProblem:
        """The discretised equation."""
        return problem_from_config(self.equation, *self.log_density.shape[1:])

    @property
    def n_images(self) -> int:
        """Number N of images."""
        return len(self.log_density)

    def start(self, position: int, kind: str = "previous") -> np.ndarray:
        """Return starting values, shape (N, H, W): previous step, zero or linear extrapolation."""
        if kind not in STARTS:
            raise ConfigError(f"The start is {kind!r}; allowed are {', '.join(STARTS)}.")
        previous = self.previous[position]
        if kind == "zero":
            return np.zeros_like(previous)
        return previous.copy() if kind == "previous" else 2 * previous - self.older[position]

    def systems(
        self,
        position: int,
        tolerance: float,
        *,
        images: Sequence[int] | None = None,
        start: str = MarchOptions.start,
    ) -> LinearSystems:
        """Return the systems at ``steps[position]``, ready for a solver.

        Parameters
        ----------
        position : int
            Position in ``steps``.
        tolerance : float
            True relative residual to reach.
        images : sequence of int, optional
            Images to include; default all.
        start : {"previous", "zero", "extrapolated"}
            As the march gives it to a solver by default.
        """
        chosen = np.arange(self.n_images) if images is None else np.asarray(images, dtype=int)
        # Iteration number 1 for all: a solver that keeps state between nonlinear iterations
        # begins afresh, whatever iteration the frozen systems come from.
        return LinearSystems(
            matrix=self.matrix.take(position).take(chosen),
            rhs=self.rhs[position][chosen],
            start=self.start(position, start)[chosen],
            image_index=chosen,
            step=int(self.steps[position]),
            picard=1,
            problem=self.problem,
            tolerance=tolerance,
        )


def resolve_steps(time_steps: int, fractions: Sequence[float]) -> np.ndarray:
    """Return time steps from fractions of the final time, at least 1, ascending, without repeats.

    Fractions rather than numbers let one setting serve marches with different numbers of steps.
    """
    fractions = np.asarray(fractions, dtype=float)
    if fractions.size == 0 or fractions.min() < 0 or fractions.max() > 1:
        raise ConfigError(
            f"Steps are given as fractions of the final time between 0 and 1, found "
            f"{fractions.tolist()}; correct studies.bank.at."
        )
    return np.unique(np.clip(np.round(fractions * time_steps).astype(int), 1, time_steps))


def build_bank(
    equation: Mapping,
    log_density: np.ndarray,
    steps: Sequence[int],
    solver: LinearSolver,
    options: MarchOptions | None = None,
    seeds=None,
) -> SystemBank:
    """March all images and keep the last system of every image at ``steps``.

    Parameters
    ----------
    equation : mapping
        Config section of the equation.
    log_density : ndarray, shape (N, H, W)
        Initial log-densities in nats.
    steps : sequence of int
        Time steps to keep, from 1 to the number of time steps.
    solver : LinearSolver
        Solver of the march that the systems are taken from.
    options : MarchOptions, optional
        Its tolerance bounds the residual of the stored solutions.
    seeds : crosskrylov.scores.seeds.SeedAssignment, optional
        For a solver that needs seeds.

    Returns
    -------
    SystemBank

    Raises
    ------
    ConfigError
        If a step lies outside the march.
    """
    log_density = np.asarray(log_density, dtype=np.float64)
    if log_density.ndim != 3:
        raise ShapeError(f"log_density needs shape (N, H, W), found {log_density.shape}.")
    problem = problem_from_config(equation, *log_density.shape[1:])
    steps = np.unique(np.asarray(steps, dtype=int))
    if steps.size == 0 or steps[0] < 1 or steps[-1] > problem.time_steps:
        raise ConfigError(
            f"The bank's steps must lie between 1 and {problem.time_steps}, found "
            f"{steps.tolist()}; correct studies.bank.at."
        )
    shape = (len(steps), *log_density.shape)
    coefficients = np.zeros((len(FivePointStencil.NAMES), *shape))
    fields = {name: np.zeros(shape) for name in _FIELDS}
    picard = np.zeros(shape[:2], dtype=int)
    position_of = {int(step): position for position, step in enumerate(steps)}

    def observe(systems: LinearSystems, x: np.ndarray) -> None:
        position = position_of.get(systems.step)
        if position is None:
            return
        index = systems.image_index
        for target, source in zip(coefficients, systems.matrix.arrays(), strict=True):
            target[position, index] = source
        fields["rhs"][position, index] = systems.rhs
        fields["solution"][position, index] = x
        picard[position, index] = systems.picard

    wanted = {int(s) + shift for s in steps for shift in (-1, -2) if s + shift >= 0}
    trajectory = march(
        problem,
        log_density,
        solver,
        options,
        seeds=seeds,
        stored_steps=sorted(wanted),
        observe=observe,
    )
    stored = {int(step): k for k, step in enumerate(trajectory.steps)}
    for position, step in enumerate(steps):
        fields["previous"][position] = trajectory.log_density[:, stored[int(step) - 1]]
        fields["older"][position] = trajectory.log_density[:, stored[max(int(step) - 2, 0)]]
    return SystemBank(
        equation=dict(equation),
        log_density=log_density,
        steps=steps,
        picard=picard,
        matrix=FivePointStencil(*coefficients),
        **fields,
    )


def save_bank(path: str | Path, bank: SystemBank) -> None:
    """Write a bank as one .npz file of arrays (no pickled objects)."""
    save_npz(
        path,
        equation=json.dumps(bank.equation, sort_keys=True),
        log_density=bank.log_density,
        steps=bank.steps,
        picard=bank.picard,
        **dict(zip(FivePointStencil.NAMES, bank.matrix.arrays(), strict=True)),
        **{name: getattr(bank, name) for name in _FIELDS},
    )


def load_bank(path: str | Path) -> SystemBank:
    """Read a bank written by `save_bank`.

    Raises
    ------
    DataError
        If the file is missing, damaged or no bank.
    """
    arrays = load_npz(path)
    needed = ("equation", "log_density", "steps", "picard", *FivePointStencil.NAMES, *_FIELDS)
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise DataError(
            f"{path} is no bank of systems, since {missing[0]} is missing; make it again."
        )
    shape = (len(arrays["steps"]), *arrays["log_density"].shape)
    for name in (*FivePointStencil.NAMES, *_FIELDS):
        if arrays[name].shape != shape:
            raise DataError(
                f"{path} is damaged: {name} has shape {arrays[name].shape} instead of {shape}; "
                "make it again."
            )
    return SystemBank(
        equation=json.loads(str(arrays["equation"])),
        log_density=arrays["log_density"],
        steps=arrays["steps"],
        picard=arrays["picard"],
        matrix=FivePointStencil(*(arrays[name] for name in FivePointStencil.NAMES)),
        **{name: arrays[name] for name in _FIELDS},
    )
