"""Study: Krylov recycling from system to system, the nearest published relative of projection."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from crosskrylov.equation.problem import FokkerPlanckProblem, problem_from_config
from crosskrylov.errors import ConfigError
from crosskrylov.metrics.intervals import median_interval, ratio_interval
from crosskrylov.runtime.measurement import pinned_threads
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import march_options
from crosskrylov.solvers.base import LinearSystems, check_residuals
from crosskrylov.solvers.kernels.residuals import relative_residuals
from crosskrylov.solvers.kernels.work import Work, counted_work
from crosskrylov.solvers.recycling import carried_angles
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.register import register
from crosskrylov.studies.windows import Window, cut_windows

STARTS = ("previous", "zero")


@dataclass(frozen=True)
class Recorded:
    """The systems of one window in the order in which a march meets them."""

    window: Window
    systems: list[LinearSystems]


def record(
    windows: Sequence[Window], march_section: Mapping, tolerance: float, solver: Mapping
) -> list[Recorded]:
    """March every window once, with ``solver``, and keep all its systems.

    Systems whose start meets ``tolerance`` already are left out: nobody has to solve them.
    """
    found = []
    for window in windows:
        kept: list[LinearSystems] = []

        def observe(systems: LinearSystems, x: np.ndarray, kept=kept) -> None:
            start = relative_residuals(systems.matrix, systems.rhs, systems.start)
            open_ = np.flatnonzero(start > tolerance)
            if open_.size:
                taken = systems.take(open_)
                taken.tolerance = tolerance
                kept.append(taken)

        march(
            *(window.problem, window.log_density),
            make_solver(solver["method"], solver.get("options")),
            march_options({**march_section, "tolerance": min(tolerance, 1e-8)}),
            stored_steps=[window.problem.time_steps],
            observe=observe,
        )
        found.append(Recorded(window, kept))
    return found


def replay(
    sequences: Sequence[Recorded],
    method: str,
    options: Mapping[str, Any],
    start: str,
    angles: list | None = None,
) -> tuple[float, float]:
    """Solve all systems with one solver and return (seconds, largest residual).

    Parameters
    ----------
    sequences : sequence of Recorded
    method, options
        The solver; it is prepared once per window.
    start : {"previous", "zero"}
        As the march starts every system, or from zero.
    angles : list, optional
        Gets the principal angles, in degrees, between the space that each system takes over and
        the one that it makes of it, of a solver that can be observed.
    """
    spent, worst = 0.0, 0.0
    for sequence in sequences:
        solver = make_solver(method, options)
        if angles is not None and hasattr(solver, "observe"):
            _watch(solver, angles)
        clock = time.perf_counter()
        solver.prepare(sequence.window.problem, sequence.window.log_density)
        spent += time.perf_counter() - clock
        for recorded in sequence.systems:
            systems = recorded.take(np.arange(len(recorded)))
            if start == "zero":
                systems.start = 0.0 * systems.start
            clock = time.perf_counter()
            solution = solver.solve(systems)
            spent += time.perf_counter() - clock
            worst = max(worst, float(check_residuals(systems, solution.x, solver.name).max()))
    return spent, worst


def _watch(solver, angles) -> None:
    last: dict[int, Any] = {}

    def observe(matrix, image, taken, left):
        key = image if solver.recycle == "time" else 0
        if len(taken):
            angles.append(np.degrees(carried_angles(taken, last[key], matrix)))
        last[key] = matrix

    solver.observe = observe


def recycling(
    problem: FokkerPlanckProblem,
    log_density: np.ndarray,
    march_section: Mapping,
    solvers: Mapping[str, Mapping],
    gmres: str,
    warm: str,
    preconditioners: Sequence[str],
    tolerance: float,
    at: Sequence[float],
    window_steps: int,
    repeats: int,
    seed: int = 0,
    n_threads: int = 1,
) -> pd.DataFrame:
    """Solve the same sequences of systems with every solver, from the march's start and from zero.

    Parameters
    ----------
    problem : FokkerPlanckProblem
    log_density : ndarray, shape (N, H, W)
    march_section : mapping
        Section ``march`` of the march that the systems are taken from.
    solvers : mapping
        Name to {"method", "options"}; every method has an option ``preconditioner``.
    gmres, warm : str
        The solvers that ratios are given against: ``gmres`` from the same start, ``warm`` from the
        march's start, each with the same preconditioner.
    preconditioners : sequence of {"none", "transform"}
    tolerance : float
    at, window_steps
        Windows, see `crosskrylov.studies.windows.cut_windows`.
    repeats : int
    seed : int
        Of the random order of the timed runs.
    n_threads : int

    Returns
    -------
    DataFrame
        A row per solver, preconditioner and start; a ratio above 1 says that the solver needs less
        than what it is compared with.
    """
    for name in (gmres, warm):
        if name not in solvers:
            raise ConfigError(
                f"studies.recycling compares with {name!r}, which is none of its solvers: name one "
                "of them, or add it."
            )
    windows = cut_windows(problem, log_density, at, window_steps)
    sequences = record(windows, march_section, tolerance, solvers[warm])
    n_systems = sum(len(s) for sequence in sequences for s in sequence.systems)
    cases = [(n, p, s) for n in solvers for p in preconditioners for s in STARTS]
    rng = np.random.default_rng(seed)
    works: dict[tuple, Work] = {}
    worst: dict[tuple, float] = {}
    angles: dict[tuple, list] = {case: [] for case in cases}
    seconds = {case: np.zeros(repeats) for case in cases}

    def run(case, kept=None):
        name, preconditioner, start = case
        options = {**solvers[name].get("options", {}), "preconditioner": preconditioner}
        return replay(sequences, solvers[name]["method"], options, start, kept)

    with pinned_threads(n_threads):
        for case in cases:  # warms up, and counts
            with counted_work() as works[case]:
                _, worst[case] = run(case, angles[case])
        for repeat in range(repeats):
            for position in rng.permutation(len(cases)):
                seconds[cases[position]][repeat] = run(cases[position])[0]
    rows = []
    for case in cases:
        name, preconditioner, start = case
        work, times = works[case], seconds[case]
        solver = make_solver(solvers[name]["method"], solvers[name].get("options"))
        per_system = median_interval(times / n_systems)
        row = {
            "solver": name,
            "method": solvers[name]["method"],
            "order": solver.order if getattr(solver, "recycle", "") == "images" else None,
            "recycle": getattr(solver, "recycle", None),
            "k": getattr(solver, "k", None),
            "preconditioner": preconditioner,
            "start": start,
            "n_images": len(log_density),
            "n_systems": n_systems,
            "products_per_system": work.products / n_systems,
            "work_per_system": work.equivalents(problem.height, problem.width) / n_systems,
            "seconds_per_system": per_system.median,
            "low": per_system.low,
            "high": per_system.high,
            "repeats": repeats,
        }
        for label, other in (
            ("gmres", (gmres, preconditioner, start)),
            ("warm_bicgstab", (warm, preconditioner, "previous")),
        ):
            ratio = ratio_interval(seconds[other], times)
            row |= {
                f"products_vs_{label}": works[other].products / work.products,
                f"seconds_vs_{label}": ratio.median,
                f"seconds_vs_{label}_low": ratio.low,
                f"seconds_vs_{label}_high": ratio.high,
            }
        found = [a for a in angles[case] if len(a)]
        row |= {
            "angle_smallest_degrees": np.mean([a[0] for a in found]) if found else np.nan,
            "angle_mean_degrees": np.mean([a.mean() for a in found]) if found else np.nan,
            "angle_largest_degrees": np.mean([a[-1] for a in found]) if found else np.nan,
            "max_relative_residual": worst[case],
        }
        rows.append(row)
    return pd.DataFrame(rows)


@register(
    "recycling",
    needs=["log_density", "equation", "march"],
    timed=True,
    solvers_from="solvers",
    tables={
        "recycling": "Recycled GCROT over sorted and unsorted images and over time, with and "
        "without P, on the same sequences of systems: products, seconds, their ratios against "
        "GMRES and against warm-started Bi-CGSTAB (above 1 the solver needs less), and the "
        "principal angles between the carried space and what the next matrix makes of it."
    },
    figures={
        "recycling": {
            "table": "recycling",
            "caption": "Products with A and seconds of GMRES (from the same start) and of "
            "Bi-CGSTAB (started from the previous step), divided by the solver's own, on the same "
            "sequences of systems: right of 1 the solver needs less. Bars are 95 % intervals over "
            "repeats.",
        }
    },
)
def study_recycling(
    data,
    solvers,
    gmres,
    warm,
    preconditioners,
    tolerance,
    windows,
    window_steps,
    n_images,
    repeats,
):
    """Replay recorded systems with recycling solvers and their references, timed."""
    log_density = data.log_density[:n_images]
    table = recycling(
        problem_from_config(data.equation, *log_density.shape[1:]),
        log_density,
        data.march,
        solvers,
        gmres,
        warm,
        preconditioners,
        tolerance,
        windows,
        window_steps,
        repeats,
        data.seed,
        data.n_threads,
    )
    return {"recycling": table}
