"""Study 5: what the projection adds beyond the warm start, paired on the same systems."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

from crosskrylov.runtime.measurement import pinned_threads
from crosskrylov.scores.march_options import march_options
from crosskrylov.scores.seeds import SeedAssignment
from crosskrylov.solvers.base import check_residuals
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.bank import SystemBank
from crosskrylov.studies.bases import increment_basis, nearest_seed_basis, project
from crosskrylov.studies.register import register
from crosskrylov.studies.subspace_dimension import split_images
from crosskrylov.studies.trajectory import warm_up


def warm_start(
    bank: SystemBank,
    seeds: SeedAssignment,
    refiners: Mapping[str, Mapping],
    starts: Sequence[str],
    tolerances: Sequence[float],
    dimension: int,
    n_threads: int = 1,
) -> pd.DataFrame:
    """Refine every target with and without a projection before, from the same starting value.

    Parameters
    ----------
    bank : SystemBank
    seeds : SeedAssignment
    refiners : mapping
        Name to {"method", "options"} of iterative solvers.
    starts : sequence of {"previous", "zero", "extrapolated"}
    tolerances : sequence of float
    dimension : int
        Subspace dimension m.
    n_threads : int

    Returns
    -------
    DataFrame
        A row per step, start, basis, refiner and tolerance.  ``saved`` are iterations per system
        without minus with projection; the p-value is Wilcoxon's signed-rank test of the pairs
        (missing where no pair differs).  ``seconds_with`` counts the projections of the targets,
        ``setup_seconds`` the basis.
    """
    sources, targets = split_images(bank.n_images, seeds)
    loosest = march_options(tolerance=max(tolerances))
    for entry in refiners.values():
        shape = bank.log_density.shape[1:]
        warm_up(entry["method"], entry.get("options"), bank.equation, shape, loosest, False)
    rows = []
    with pinned_threads(n_threads):
        for position, step in enumerate(bank.steps):
            for basis, make_basis in (
                ("nearest seed", lambda p: nearest_seed_basis(bank, p, seeds, dimension)),
                ("POD of increments", lambda p: increment_basis(bank, p, sources, dimension)),
            ):
                began = time.perf_counter()
                basis_of = make_basis(position)
                setup = time.perf_counter() - began
                for start in starts:
                    began = time.perf_counter()
                    projected = project(bank, position, targets, basis_of, dimension, start=start)
                    projection_seconds = time.perf_counter() - began
                    for refiner, entry in refiners.items():
                        for tolerance in tolerances:
                            systems = bank.systems(position, tolerance, images=targets, start=start)
                            plain, plain_seconds = _refine(bank, systems, entry)
                            systems = bank.systems(position, tolerance, images=targets, start=start)
                            systems.start = projected.x.copy()
                            helped, helped_seconds = _refine(bank, systems, entry)
                            rows.append(
                                {
                                    "step": int(step),
                                    "start": start,
                                    "basis": basis,
                                    "dimension": dimension,
                                    "refiner": refiner,
                                    "tolerance": tolerance,
                                    "n_targets": len(targets),
                                    "start_residual_median": np.median(projected.start_residuals),
                                    "residual_median": np.median(projected.relative_residuals),
                                    **_paired(plain, helped),
                                    "setup_seconds": setup,
                                    "seconds_without": plain_seconds,
                                    "seconds_with": projection_seconds + helped_seconds,
                                }
                            )
    return pd.DataFrame(rows)


def _refine(bank, systems, entry) -> tuple[np.ndarray, float]:
    """Return the iterations of every system and the seconds of the solve."""
    solver = make_solver(entry["method"], entry.get("options"))
    solver.prepare(bank.problem, bank.log_density)
    began = time.perf_counter()
    solution = solver.solve(systems)
    seconds = time.perf_counter() - began - systems.conversion_seconds
    check_residuals(systems, solution.x, solver.name)
    return solution.iterations, seconds


def _paired(plain: np.ndarray, helped: np.ndarray) -> dict:
    saved = plain - helped
    p_value = wilcoxon(plain, helped).pvalue if saved.any() else np.nan
    low, high = np.percentile(saved, [25, 75])
    return {
        "iterations_without": plain.mean(),
        "iterations_with": helped.mean(),
        "saved_mean": saved.mean(),
        "saved_median": np.median(saved),
        "saved_q25": low,
        "saved_q75": high,
        "fraction_fewer": (saved > 0).mean(),
        "fraction_more": (saved < 0).mean(),
        "p_value": p_value,
    }


@register(
    "warm_start",
    needs=["bank", "seeds"],
    timed=True,
    solvers_from="refiners",
    tables={
        "warm_start": "Iterations and seconds of the same refinement with and without projection."
    },
    figures={
        "warm_start": {
            "table": "warm_start",
            "caption": "Iterations of the same refinement with and without a projection before it, "
            "on the same systems and from the same start; below 1 the projection helps. Half an "
            "iteration stands for none.",
        }
    },
)
def study_warm_start(data, refiners, starts, tolerances, dimension):
    """Refine with and without projection, paired on the same systems, timed."""
    table = warm_start(
        data.bank, data.seeds, refiners, starts, tolerances, dimension, data.n_threads
    )
    return {"warm_start": table}
