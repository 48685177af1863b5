"""Study 1: time and iterations of every solver to the same true residual, on the same systems."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from crosskrylov.equation.stencil import score
from crosskrylov.runtime.measurement import PeakMemory, pinned_threads
from crosskrylov.scores.march_options import march_options
from crosskrylov.scores.reference import reference_log_density
from crosskrylov.scores.seeds import SeedAssignment
from crosskrylov.solvers.base import check_residuals
from crosskrylov.solvers.index import BASELINE_METHOD
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.bank import SystemBank
from crosskrylov.studies.common import relative_errors
from crosskrylov.studies.register import register
from crosskrylov.studies.trajectory import warm_up


def time_to_residual(
    bank: SystemBank,
    solvers: Mapping[str, Mapping],
    tolerances: Sequence[float],
    seeds: SeedAssignment | None,
    repeats: int,
    n_threads: int = 1,
) -> pd.DataFrame:
    """Solve every system of the bank with every solver to every tolerance.

    Parameters
    ----------
    bank : SystemBank
    solvers : mapping
        Name to {"method", "options"}.
    tolerances : sequence of float
        True relative residuals to reach.
    seeds : SeedAssignment or None
        For cross-matrix solvers.
    repeats : int
        Timed repetitions; the one with the median total time is kept.
    n_threads : int
        Threads of BLAS and torch, the same for all.

    Returns
    -------
    DataFrame
        A row per solver, tolerance and step, times in seconds; score errors are those of the worst
        image over all steps (relative 2-norm; one step alone may have a vanishing score), against
        the solver "spsolve" and against the exact solution.

    Raises
    ------
    ConvergenceError
        If a solver leaves a system above the tolerance: nothing is skipped silently.
    """
    reference, tables = None, []
    # the reference first, so that the others can be compared with it
    ordered = sorted(solvers.items(), key=lambda item: item[1]["method"] != BASELINE_METHOD)
    for name, entry in ordered:
        table, scores = solve_bank(
            bank, name, entry, tolerances, seeds, repeats, n_threads, reference
        )
        if entry["method"] == BASELINE_METHOD:
            reference = scores
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def solve_bank(
    bank: SystemBank,
    name: str,
    entry: Mapping,
    tolerances: Sequence[float],
    seeds: SeedAssignment | None,
    repeats: int,
    n_threads: int = 1,
    reference: np.ndarray | None = None,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Solve every system of the bank with one solver to every tolerance.

    Parameters
    ----------
    name, entry
        The solver's name, and {"method", "options"}.
    reference : ndarray, shape (N, S, 2, H, W), optional
        Scores of the solver "spsolve", whose own rows compare it with itself.
    bank, tolerances, seeds, repeats, n_threads
        See `time_to_residual`.

    Returns
    -------
    table : DataFrame
        The solver's rows of `time_to_residual`.
    scores : ndarray, shape (N, S, 2, H, W)
        Scores of every image at the bank's steps, to the last tolerance.
    """
    spacing = bank.problem.spacing
    exact = _exact_scores(bank)
    method, options = entry["method"], entry.get("options")
    shape = bank.log_density.shape[1:]
    loosest = march_options(tolerance=max(tolerances))
    warm_up(method, options, bank.equation, shape, loosest, seeds is not None)
    rows = []
    for tolerance in tolerances:
        group, scores = [], []
        with pinned_threads(n_threads):
            for position, step in enumerate(bank.steps):
                row, x = _solve_timed(bank, position, method, options, tolerance, seeds, repeats)
                scores.append(score(x, spacing))
                group.append(
                    {
                        "solver": name,
                        "method": method,
                        "step": int(step),
                        "tolerance": tolerance,
                        "n_images": bank.n_images,
                        "n_seeds": 0 if seeds is None else len(seeds.seeds),
                        **row,
                    }
                )
        scores = np.stack(scores, axis=1)
        if method == BASELINE_METHOD:
            reference = scores
        errors = {
            "score_error_vs_spsolve": _worst(scores, reference),
            "score_error_vs_exact": _worst(scores, exact),
        }
        rows += [row | errors for row in group]
    return pd.DataFrame(rows), scores


def _solve_timed(bank, position, method, options, tolerance, seeds, repeats) -> tuple[dict, object]:
    """Solve one step's systems ``repeats`` times and return the median run and its solutions."""
    runs = []
    for _ in range(repeats):
        solver = make_solver(method, options)
        systems = bank.systems(position, tolerance, start="previous")
        memory = PeakMemory()
        started = time.perf_counter()
        solver.prepare(bank.problem, bank.log_density, seeds)
        prepared = time.perf_counter()
        solution = solver.solve(systems)
        finished = time.perf_counter()
        peak = memory.megabytes()
        residuals = check_residuals(systems, solution.x, solver.name)
        setup = prepared - started + solution.setup_seconds
        runs.append(
            (
                {
                    "family": solver.family,
                    "setup_seconds": setup,
                    "solve_seconds": finished - started - setup - systems.conversion_seconds,
                    "conversion_seconds": systems.conversion_seconds,
                    "mean_iterations": float(np.mean(solution.iterations)),
                    "max_iterations": int(np.max(solution.iterations)),
                    "fallbacks": int(np.sum(solution.fallbacks)),
                    "max_relative_residual": float(residuals.max()),
                    "peak_memory_mb": peak,
                },
                solution.x,
            )
        )
    runs.sort(key=lambda run: run[0]["setup_seconds"] + run[0]["solve_seconds"])
    return runs[(len(runs) - 1) // 2]


def _exact_scores(bank: SystemBank):
    """Return the reference scores at the bank's steps, (N, S, 2, H, W)."""
    exact = reference_log_density(bank.problem, bank.log_density, bank.steps)
    return score(exact, bank.problem.spacing)


def _worst(scores, reference) -> float:
    return np.nan if reference is None else float(relative_errors(scores, reference).max())


def amortise(table: pd.DataFrame) -> pd.DataFrame:
    """Sum the steps of each solver and tolerance and add costs per target and the break-even.

    A solver with setup T_s and t seconds per target beats the reference (t_ref per target) from
    T_s / (t_ref - t) targets on.  The setup already holds the seeds' own solutions, which the
    reference would also have to pay for, so the number errs on the high side; it is missing where
    the solver never gets ahead.

    Parameters
    ----------
    table : DataFrame
        Rows of `time_to_residual`, of one bank; ``machine`` where they are not all of one.

    Returns
    -------
    DataFrame
        A row per solver and tolerance.
    """
    rows = []
    for (name, tolerance), group in table.groupby(["solver", "tolerance"], sort=False):
        first = group.iloc[0]
        n_seeds = first.n_seeds if first.family == "cross-matrix" else 0
        n_targets = max(int(first.n_images - n_seeds), 1)
        setup, solve = group.setup_seconds.sum(), group.solve_seconds.sum()
        rows.append(
            {
                "solver": name,
                "method": first.method,
                "family": first.family,
                "machine": first.get("machine", "this"),
                "tolerance": tolerance,
                "n_targets": n_targets,
                "setup_seconds": setup,
                "solve_seconds": solve,
                "seconds_per_target": solve / n_targets,
                "amortised_seconds_per_image": (setup + solve) / first.n_images,
                "mean_iterations": group.mean_iterations.mean(),
                "max_iterations": int(group.max_iterations.max()),
                "fallbacks": int(group.fallbacks.sum()),
                "max_relative_residual": group.max_relative_residual.max(),
            }
        )
    result = pd.DataFrame(rows)
    # times of two machines are no pair, and those of an unknown one have no partner
    pair = ["tolerance", "machine"]
    reference = result[(result.method == BASELINE_METHOD) & (result.machine != "")]
    reference = reference.drop_duplicates(pair).set_index(pair).seconds_per_target
    paired = reference.reindex(pd.MultiIndex.from_frame(result[pair])).to_numpy()
    gain = paired - result.seconds_per_target
    result["break_even_targets"] = np.where(
        gain > 0, np.ceil(result.setup_seconds / gain.where(gain > 0)), np.nan
    )
    result.loc[result.method == BASELINE_METHOD, "break_even_targets"] = np.nan
    return result.drop(columns="machine")


@register(
    "time_to_residual",
    needs=["bank", "seeds"],
    timed=True,
    per="solver",
    baseline=True,
    join="join_solvers",
    tables={
        "time_to_residual": "Time and iterations of every solver to the same true residual, per "
        "time step.",
        "break_even": "Cost per target when the shared work is spread over the targets, and the "
        "number of targets from which each solver is ahead of SpSolve.",
    },
    figures={
        "time_to_residual": {
            "table": "time_to_residual",
            "caption": "Time per system against the residual to reach, on the same systems; a row "
            "of panels per family of solvers (bands: range over random seeds). Iterations stand in "
            "the table.",
        }
    },
)
def study_time_to_residual(data, tolerances, repeats):
    """Solve the bank with one solver to every tolerance, timed."""
    table, scores = solve_bank(
        data.bank,
        data.solver["name"],
        data.solver,
        tolerances,
        data.seeds,
        repeats,
        data.n_threads,
        None if data.reference is None else data.reference["score"],
    )
    return {"time_to_residual": table, "reference": {"score": scores}}


def join_solvers(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of all solvers, and what follows from them together."""
    rows = table.drop(columns="machine", errors="ignore")
    return {"time_to_residual": rows, "break_even": amortise(table)}
