"""Study 6: where the error of the score comes from, and the loosest tolerance that is enough."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.interpolate import RectBivariateSpline

from crosskrylov.equation.problem import (
    FokkerPlanckProblem,
    evenly_spaced_steps,
    problem_from_config,
)
from crosskrylov.equation.stencil import score
from crosskrylov.errors import ConfigError
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import march_options
from crosskrylov.scores.reference import reference_log_density
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.common import relative_errors
from crosskrylov.studies.register import register

#: The score error counts as unchanged when it moves by less than this fraction.
UNCHANGED = 0.01


def error_budget(
    equation: Mapping,
    log_density: np.ndarray,
    solver: Mapping,
    march_section: Mapping,
    tolerances: Sequence[float],
    picard_tolerances: Sequence[float],
    time_steps: Sequence[int],
    refinements: Sequence[int],
) -> pd.DataFrame:
    """Measure the score error against the exact solution while one source of error varies.

    Everything else is held tight: linear tolerance 1e-10, Picard tolerance 1e-9.

    Parameters
    ----------
    equation, march_section : mapping
        Config sections.
    log_density : ndarray, shape (N, H, W)
        Initial log-densities in nats.
    solver : mapping
        {"method", "options"}: an iterative solver that stops close to its tolerance, since one
        that overshoots would make every tolerance look harmless.
    tolerances, picard_tolerances : sequences of float
    time_steps : sequence of int
        Numbers of time steps from 0 to T.
    refinements : sequence of int
        Grids with spacing h / r; the finest stands for the continuum.

    Returns
    -------
    DataFrame
        Columns source (linear | picard | time_step | grid), setting (tolerance, steps or r),
        score error over the stored times (relative 2-norm, mean and worst image), and
        score_change_max, the largest relative difference to the tightest setting of that source,
        and, for "linear", whether the error is ``unchanged`` (see `balanced_tolerance`).
        The reference is semi-discrete: exact in time, on the image's own grid.
        score_continuum_mean is the error against the semi-discrete solution on the finest grid in
        the continuum's place, at the pixels and with the same differences.  For "grid" both errors
        are that of the semi-discrete solution on spacing h / r.
    """
    problem = problem_from_config(equation, *log_density.shape[1:])
    times = _common_times(problem, [problem.time_steps, *time_steps])
    steps = np.round(times / problem.time_step).astype(int)
    tight = {**march_section, "tolerance": 1e-10, "picard_tolerance": 1e-9, "max_picard": 50}

    def scores(n_steps: int = problem.time_steps, **changes) -> np.ndarray:
        refined = problem_from_config({**equation, "time_steps": n_steps}, *log_density.shape[1:])
        trajectory = march(
            refined,
            log_density,
            make_solver(solver["method"], solver.get("options")),
            march_options({**tight, **changes}),
            stored_steps=np.round(times / refined.time_step).astype(int),
        )
        return trajectory.score(problem.spacing)

    exact = score(reference_log_density(problem, log_density, steps), problem.spacing)
    grid, continuum = _grid_rows(problem, log_density, refinements, steps)
    sweeps = (
        ("linear", sorted(tolerances), lambda t: scores(tolerance=t)),
        ("picard", sorted(picard_tolerances), lambda t: scores(picard_tolerance=t)),
        ("time_step", sorted(time_steps, reverse=True), lambda n: scores(n_steps=n)),
    )
    rows = [row for sweep in sweeps for row in _sweep(*sweep, exact, continuum)] + grid
    table = pd.DataFrame(rows)
    linear = table.source == "linear"
    # missing, not false, for the other sources: the question is about the linear solver
    table["unchanged"] = pd.Series(pd.NA, index=table.index, dtype="boolean")
    table.loc[linear, "unchanged"] = table[linear].setting <= balanced_tolerance(table)
    return table


def _common_times(problem: FokkerPlanckProblem, numbers: Sequence[int]) -> np.ndarray:
    """Return ten times, spread evenly, that every number of time steps hits."""
    coarsest = min(numbers)
    unfit = [n for n in numbers if n % coarsest]
    if unfit:
        raise ConfigError(
            f"studies.error_budget.time_steps needs multiples of the smallest number, but "
            f"{unfit[0]} is no multiple of {coarsest}; correct it (equation.time_steps counts)."
        )
    return evenly_spaced_steps(coarsest, 10) * problem.final_time / coarsest


def _sweep(source, settings, scores, exact, continuum) -> list[dict]:
    """Return a row per setting; the first one is the tightest."""
    rows, tightest = [], None
    for setting in settings:
        values = scores(setting)
        tightest = values if tightest is None else tightest
        errors = relative_errors(values, exact)
        beyond = np.nan if continuum is None else relative_errors(values, continuum).mean()
        rows.append(
            {
                "source": source,
                "setting": setting,
                "score_error_mean": errors.mean(),
                "score_error_max": errors.max(),
                "score_continuum_mean": beyond,
                "score_change_max": relative_errors(values, tightest).max(),
            }
        )
    return rows


def _grid_rows(problem, log_density, refinements, steps):
    """Compare exact solutions on refined grids at the pixels that all grids share.

    The initial log-density between pixels is its cubic spline.  Returns the rows, and the scores
    from the finest grid (None without a finer one).
    """
    if not refinements or max(refinements) == 1:
        return [], None
    fields = {}
    for factor in sorted({1, *refinements}):
        fine = replace(
            problem,
            height=factor * (problem.height - 1) + 1,
            width=factor * (problem.width - 1) + 1,
            spacing=problem.spacing / factor,
        )
        initial = np.stack([_refine_spline(field, factor) for field in log_density])
        fields[factor] = reference_log_density(fine, initial, steps)[..., ::factor, ::factor]
    finest = score(fields[max(fields)], problem.spacing)
    coarser = [factor for factor in sorted(fields, reverse=True) if factor != max(fields)]
    rows = [
        {
            "source": "grid",
            "setting": factor,
            "score_error_mean": errors.mean(),
            "score_error_max": errors.max(),
            "score_continuum_mean": errors.mean(),
        }
        for factor in coarser
        for errors in [relative_errors(score(fields[factor], problem.spacing), finest)]
    ]
    return rows, finest


def _refine_spline(field: np.ndarray, factor: int) -> np.ndarray:
    """Return the cubic spline through the nodes, on a grid ``factor`` times finer."""
    rows, cols = (np.arange(n, dtype=float) for n in field.shape)
    fine = [np.linspace(0, n - 1, factor * (n - 1) + 1) for n in field.shape]
    order = min(3, min(field.shape) - 1)
    return RectBivariateSpline(rows, cols, field, kx=order, ky=order, s=0)(*fine)


def balanced_tolerance(budget: pd.DataFrame, unchanged: float = UNCHANGED) -> float:
    """Return the loosest linear tolerance that leaves the score error unchanged.

    Every tolerance from the tightest to the returned one moves the error (mean and worst image) by
    less than the fraction ``unchanged``; NaN if the table has no linear rows.
    """
    linear = budget[budget.source == "linear"].sort_values("setting")
    best = np.nan
    for row in linear.itertuples():
        first = linear.iloc[0]
        moved = max(
            abs(row.score_error_max / first.score_error_max - 1),
            abs(row.score_error_mean / first.score_error_mean - 1),
        )
        if moved >= unchanged:
            break
        best = row.setting
    return float(best)


@register(
    "error_budget",
    needs=["log_density", "equation", "march"],
    solvers_from="method",
    tables={
        "error_budget": "Score error against the semi-discrete exact solution (and against that of "
        "the finest grid, the continuum column) while one source of error varies."
    },
    figures={
        "error_budget": {
            "table": "error_budget",
            "caption": "Score error against the semi-discrete exact solution (exact in time, on "
            "the image's own grid; grid refinement: against the finest grid) while one source "
            "varies and the others are held tight (bands: range over random seeds).",
        }
    },
)
def study_error_budget(
    data, n_images, method, options, tolerances, picard_tolerances, time_steps, refinements
):
    """Vary tolerances, time step and grid against the exact solution."""
    table = error_budget(
        data.equation,
        data.log_density[:n_images],
        {"method": method, "options": options},
        data.march,
        tolerances,
        picard_tolerances,
        time_steps,
        refinements,
    )
    return {"error_budget": table}
