"""Study: cross-matrix projection over its choices, end to end, beside what does without it.

Every choice marches the same short windows, which begin on the reference solution, so that a whole
grid of them can be repeated.  A point that is not dominated in seconds and in products is on the
frontier.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from crosskrylov.equation.density import initial_log_density
from crosskrylov.equation.problem import FokkerPlanckProblem, problem_from_config
from crosskrylov.equation.stencil import score
from crosskrylov.metrics.intervals import median_interval, ratio_interval
from crosskrylov.runtime.measurement import pinned_threads
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import march_options
from crosskrylov.scores.seeds import SeedAssignment, select_seeds
from crosskrylov.solvers.kernels.work import counted_work
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.common import relative_errors
from crosskrylov.studies.register import register
from crosskrylov.studies.windows import Window, cut_windows

#: Dimension of a seed's space that grows until the seed has converged.
CONVERGED = "converged"


@dataclass(frozen=True)
class Case:
    """One choice of solver and setting.

    Attributes
    ----------
    solver : str
        Name in the table.
    method : str
    options : dict
    n_seeds : int or None
        None for a solver that takes no part in the grid.
    dimension : int or str or None
        m, or `CONVERGED`.
    tolerance : float
    start, density : str
        The setting, None until it is filled in.
    varied : str
        "grid", "reference", or the setting that differs from the grid's.
    """

    solver: str
    method: str
    options: Mapping[str, Any]
    n_seeds: int | None = None
    dimension: int | str | None = None
    tolerance: float | None = None
    start: str | None = None
    density: str | None = None
    varied: str = "reference"

    @property
    def setting(self) -> tuple:
        """What cases must share to be compared."""
        return self.tolerance, self.start, self.density


def grid_cases(
    solvers: Mapping[str, Mapping],
    n_seeds: Sequence[int],
    dimensions: Sequence[int | str],
    max_basis: int,
    n_images: int,
) -> list[Case]:
    """Return a case per solver of the grid, number q of seeds and dimension m.

    q m is at most ``max_basis``, so that a space that grows with its seed is bounded by its share.
    With one seed a joint space is
    that of the nearest, and is left out; so are more seeds than leave a target.
    """
    cases = []
    for name, entry in solvers.items():
        if not entry.get("grid"):
            continue
        for q in n_seeds:
            if q >= n_images or (q == 1 and make_solver(entry["method"]).joint):
                continue
            for m in dimensions:
                if m != CONVERGED and q * m > max_basis:
                    continue
                cases.append(_projection(name, entry, q, m, max_basis))
    return cases


def _projection(name, entry, q, m, max_basis) -> Case:
    own = {"dimension": max_basis // q, "grow": True} if m == CONVERGED else {"dimension": m}
    options = {**entry.get("options", {}), **own}
    return Case(name, entry["method"], options, q, m, varied="grid")


def reference_cases(solvers: Mapping[str, Mapping]) -> list[Case]:
    """Return a case for every solver that takes no part in the grid."""
    return [
        Case(name, entry["method"], entry.get("options", {}))
        for name, entry in solvers.items()
        if not entry.get("grid")
    ]


class Laboratory:
    """Windows of every density, seeds of every number, and the march of one case over them.

    Parameters
    ----------
    problem : FokkerPlanckProblem
    densities : mapping
        Name to a function that returns initial log-densities, shape (N, H, W).
    at : sequence of float
    n_steps : int
        Windows, see `crosskrylov.studies.windows.cut_windows`.
    march_section : mapping
        Section ``march``; tolerance and start are the cases'.
    """

    def __init__(
        self,
        problem: FokkerPlanckProblem,
        densities: Mapping[str, Callable[[], np.ndarray]],
        at: Sequence[float],
        n_steps: int,
        march_section: Mapping,
    ):
        self.problem, self._march = problem, march_section
        self._densities, self._at, self._n_steps = densities, at, n_steps
        self._fields: dict[str, np.ndarray] = {}
        self._windows: dict[str, list[Window]] = {}
        self._seeds: dict[tuple[str, int], SeedAssignment] = {}

    def fields(self, density: str) -> np.ndarray:
        """Return the initial log-densities of a kind."""
        if density not in self._fields:
            self._fields[density] = self._densities[density]()
        return self._fields[density]

    def windows(self, density: str) -> list[Window]:
        """Return the windows of a density."""
        if density not in self._windows:
            fields = self.fields(density)
            self._windows[density] = cut_windows(self.problem, fields, self._at, self._n_steps)
        return self._windows[density]

    def seeds(self, density: str, n_seeds: int | None) -> SeedAssignment:
        """Return the assignment to so many seeds (to one for a solver that ignores it)."""
        key = (density, n_seeds or 1)
        if key not in self._seeds:
            self._seeds[key] = select_seeds(self.fields(density), key[1])
        return self._seeds[key]

    def run(self, case: Case, observe: Callable | None = None) -> float:
        """March all windows and return the seconds of the whole, from assembly to check."""
        windows = self.windows(case.density)
        seeds = self.seeds(case.density, case.n_seeds)
        section = {**self._march, "tolerance": case.tolerance, "start": case.start}
        options = march_options(section)
        spent = 0.0
        for window in windows:
            solver = make_solver(case.method, case.options)
            clock = time.perf_counter()
            trajectory = march(
                *(window.problem, window.log_density, solver, options),
                seeds=seeds,
                stored_steps=[self._n_steps],
            )
            spent += time.perf_counter() - clock
            if observe is not None:
                observe(window, solver, trajectory)
        return spent


def measure(
    laboratory: Laboratory, cases: Sequence[Case], repeats: int, rng: np.random.Generator
) -> tuple[list[dict], list[np.ndarray]]:
    """Return for every case what it did, and its seconds by repeat.

    A first pass over all cases, untimed, warms up and counts; then every repeat takes the cases in
    another random order.
    """
    counts = [_count(laboratory, case) for case in cases]
    seconds = np.zeros((repeats, len(cases)))
    for repeat in range(repeats):
        for position in rng.permutation(len(cases)):
            seconds[repeat, position] = laboratory.run(cases[position])
    return counts, list(seconds.T)


def _count(laboratory, case) -> dict:
    systems, iterations, worst, n_steps = 0, 0, 0.0, 0
    dimensions: list[int] = []
    scores, errors = [], []
    family = ""

    def observe(window, solver, trajectory):
        nonlocal systems, iterations, worst, n_steps, family
        family = solver.family
        systems += int(trajectory.picard_iterations.sum())
        iterations += int(trajectory.solver_iterations.sum())
        worst = max(worst, float(trajectory.max_residual.max()))
        n_steps += window.problem.time_steps
        dimensions.extend(getattr(solver, "dimensions", []))
        found = score(trajectory.log_density[:, -1], window.problem.spacing)
        errors.append(relative_errors(found, window.score))
        scores.append(found)

    with counted_work() as work:
        laboratory.run(case, observe)
    direct = family == "direct"
    height, width = laboratory.problem.height, laboratory.problem.width
    return {
        "joint": bool(getattr(make_solver(case.method, case.options), "joint", False)),
        "products_per_system": np.nan if direct else work.equivalents(height, width) / systems,
        "score_error": float(np.mean(errors)),
        "family": family,
        "steps": n_steps,
        "matrix_products": np.nan if direct else work.products / systems,
        "preconditionings": np.nan if direct else work.preconditioned / systems,
        "vector_operations": np.nan if direct else work.vectors / systems,
        "mean_iterations": np.nan if direct else iterations / systems,
        "mean_dimension": float(np.mean(dimensions)) if dimensions else np.nan,
        "systems_per_image": systems / len(errors[0]),
        "max_relative_residual": worst,
        "scores": np.stack(scores),
    }


def tabulate(
    cases: Sequence[Case], counts: Sequence[dict], seconds: Sequence[np.ndarray], n_images: int
) -> pd.DataFrame:
    """Return a row per case; ratios are to the case without projection of the same setting.

    ``seconds_vs_unprojected`` is paired repeat by repeat; ``score_difference`` is relative to the
    first direct solver's score of the same setting, which solves to rounding.
    """
    plain, exact = {}, {}
    for position, case in enumerate(cases):
        if case.options.get("dimension") == 0:
            plain[case.setting] = seconds[position]
        if counts[position]["family"] == "direct":
            exact.setdefault(case.setting, counts[position]["scores"])
    rows = []
    for case, count, times in zip(cases, counts, seconds, strict=True):
        per_image = median_interval(times / n_images)
        row = {
            "solver": case.solver,
            "n_seeds": case.n_seeds,
            "dimension": case.dimension,
            "joint": count["joint"] if case.n_seeds else None,
            "tolerance": case.tolerance,
            "start": case.start,
            "density": case.density,
            "seconds_per_image": per_image.median,
            "low": per_image.low,
            "high": per_image.high,
            "products_per_system": count["products_per_system"],
            "score_error": count["score_error"],
            "varied": case.varied,
            "method": case.method,
            "n_images": n_images,
            "repeats": len(times),
            **{k: v for k, v in count.items() if k not in ("joint", "scores", *_FIRST)},
        }
        ratio = (np.nan, np.nan, np.nan)
        if case.setting in plain:
            ratio = ratio_interval(times, plain[case.setting])
        names = [f"seconds_vs_unprojected{end}" for end in ("", "_low", "_high")]
        row |= dict(zip(names, ratio))
        difference = np.nan
        if case.setting in exact:
            apart = zip(count["scores"], exact[case.setting], strict=True)
            difference = float(np.mean([relative_errors(ours, theirs) for ours, theirs in apart]))
        rows.append(row | {"score_difference": difference})
    return pd.DataFrame(rows)


_FIRST = ("products_per_system", "score_error")


def best_cases(cases: Sequence[Case], seconds: Sequence[np.ndarray], number: int) -> list[Case]:
    """Return the cases of the grid with the least median seconds."""
    grid = [k for k, case in enumerate(cases) if case.varied == "grid"]
    return [cases[k] for k in sorted(grid, key=lambda k: np.median(seconds[k]))[:number]]


def varied_cases(
    cases: Sequence[Case],
    tolerances: Sequence[float],
    starts: Sequence[str],
    densities: Sequence[str],
) -> list[Case]:
    """Return the cases with tolerance, start and density changed one at a time."""
    changed = []
    for setting, values in (("tolerance", tolerances), ("start", starts), ("density", densities)):
        for value in values:
            for case in cases:
                if getattr(case, setting) != value:
                    changed.append(replace(case, **{setting: value}, varied=setting))
    return changed


@register(
    "frontier",
    needs=["images", "log_density", "equation", "march", "density"],
    timed=True,
    solvers_from="solvers",
    tables={
        "frontier": "Cross-matrix projection over seeds, dimension, space, tolerance, start and "
        "density, and solvers without it: seconds per image and products per system (work in units "
        "of one product with A) over the same short windows of the march, begun on the exact "
        "solution."
    },
    figures={
        "frontier": {
            "table": "frontier",
            "caption": "Left: work per system, in products with A, against end-to-end seconds per "
            "image over the windows, for every number of seeds and dimension (labelled: seeds and "
            "dimension of the fastest and of the one of least work of each kind, c where "
            "it grew until the seed had converged). Diamonds and the dashed line (a direct solver) "
            "do without seeds. Bars are 95 % intervals; the title counts points whose ratio to the "
            "refinement alone has its interval wholly below, or wholly above, 1. Right: score "
            "error against the exact semi-discrete score while the tolerance is loosened, at the "
            "fastest points.",
        }
    },
)
def study_frontier(
    data,
    n_images,
    solvers,
    n_seeds,
    dimensions,
    max_basis,
    grid_up_to,
    points,
    tolerance,
    tolerances,
    starts,
    densities,
    best,
    windows,
    window_steps,
    repeats,
):
    """March windows with every choice, then vary what else can be chosen at the best ones."""
    log_density = data.log_density[:n_images]
    problem = problem_from_config(data.equation, *log_density.shape[1:])
    n_images = len(log_density)
    base = data.density["method"]

    def density(method):
        if method == base:
            return log_density
        options = {**data.density, "method": method}
        return initial_log_density(data.images[:n_images], seed=data.seed, **options)

    kinds = dict.fromkeys([base, *densities])
    laboratory = Laboratory(
        problem,
        {kind: (lambda kind=kind: density(kind)) for kind in kinds},
        windows,
        window_steps,
        data.march,
    )
    if max(problem.height, problem.width) <= grid_up_to:
        grid = grid_cases(solvers, n_seeds, dimensions, max_basis, n_images)
    else:
        grid = [
            _projection(p["solver"], solvers[p["solver"]], p["n_seeds"], p["dimension"], max_basis)
            for p in points
        ]
        tolerances, starts, densities = [], [], []
    references = reference_cases(solvers)
    start = march_options(data.march).start
    cases = [replace(c, tolerance=tolerance, start=start, density=base) for c in references + grid]
    rng = np.random.default_rng(data.seed)
    with pinned_threads(data.n_threads):
        counts, seconds = measure(laboratory, cases, repeats, rng)
        chosen = cases[: len(references)] + best_cases(cases, seconds, best)
        more = varied_cases(chosen, tolerances, starts, densities)
        more_counts, more_seconds = measure(laboratory, more, repeats, rng)
    return {
        "frontier": tabulate(cases + more, counts + more_counts, seconds + more_seconds, n_images)
    }
