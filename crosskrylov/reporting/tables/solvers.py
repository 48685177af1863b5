"""The table of solvers: time, iterations, residuals and score errors of every solver."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from crosskrylov.equation.stencil import score
from crosskrylov.studies.common import relative_errors

COLUMNS = (
    "dataset",
    "image_size",
    "n_images",
    "n_unknowns",
    "time_steps",
    "study",
    "solver",
    "family",
    "tolerance",
    "setup_seconds",
    "solve_seconds",
    "seconds_per_image",
    "time_reduction_vs_spsolve",
    "speedup_vs_spsolve",
    "mean_iterations",
    "max_iterations",
    "mean_picard",
    "fallbacks",
    "max_relative_residual",
    "score_error_vs_spsolve",
    "score_error_vs_exact",
    "peak_memory_mb",
)

_KEYS = ["dataset", "image_size", "study", "solver"]
_MEANS = [
    "setup_seconds",
    "solve_seconds",
    "seconds_per_image",
    "mean_iterations",
    "mean_picard",
]
_WORST = [
    "max_iterations",
    "max_relative_residual",
    "score_error_vs_spsolve",
    "score_error_vs_exact",
    "peak_memory_mb",
]
_SAME = ["n_images", "n_unknowns", "time_steps", "family", "tolerance", "method"]


def score_errors(
    log_density: np.ndarray, reference: np.ndarray | None, spacing: float
) -> float | None:
    """Return the relative 2-norm error of the score over all stored steps, of the worst image."""
    if reference is None:
        return None
    return float(relative_errors(score(log_density, spacing), score(reference, spacing)).max())


def trajectory_row(
    summary: Mapping,
    history: pd.DataFrame | None,
    log_density: np.ndarray,
    spacing: float,
    reference: np.ndarray | None,
    exact: np.ndarray | None,
) -> dict:
    """Return the measurements of one march (one dataset, random seed and solver).

    Parameters
    ----------
    summary : mapping
        Contents of the trajectory's .json file.
    history : DataFrame or None
        Its .tsv file, one row per step and image; None for the exact solution.
    log_density : ndarray, shape (N, S, H, W)
        Log-densities at the stored steps.
    spacing : float
        Grid spacing.
    reference, exact : ndarray or None
        Log-densities of SpSolve and of the exact solution at the same steps.
    """
    seconds = summary["seconds"]
    setup, solve = seconds.get("setup", 0.0), seconds["solve"]
    row = {
        "n_images": summary["n_images"],
        "n_unknowns": summary["height"] * summary["width"],
        "time_steps": summary["time_steps"],
        "study": "trajectory",
        "method": summary["method"],
        "family": summary["family"],
        "tolerance": summary.get("tolerance"),
        "setup_seconds": setup,
        "solve_seconds": solve,
        "seconds_per_image": (setup + solve) / summary["n_images"],
        "score_error_vs_spsolve": score_errors(log_density, reference, spacing),
        "score_error_vs_exact": score_errors(log_density, exact, spacing),
        "peak_memory_mb": summary.get("peak_memory_mb"),
    }
    if history is not None:
        per_system = history.iterations / history.picard
        row |= {
            # per linear system, not per time step
            "mean_iterations": history.iterations.sum() / history.picard.sum(),
            "max_iterations": float(np.ceil(per_system.max())),
            "mean_picard": history.picard.mean(),
            "fallbacks": int(history.fallbacks.sum()),
            "max_relative_residual": history.max_relative_residual.max(),
        }
    return row


def frozen_rows(table: pd.DataFrame, tolerance: float, n_unknowns: int, time_steps: int):
    """Return the solvers' measurements on a bank of systems at one tolerance.

    Parameters
    ----------
    table : DataFrame
        Rows of `crosskrylov.studies.time_to_residual.time_to_residual` of one bank.
    tolerance : float
        The tolerance to report.
    n_unknowns, time_steps : int
        Size of a system, and number of time steps that the bank holds.
    """
    chosen = table[np.isclose(table.tolerance, tolerance, rtol=1e-9)]
    rows = []
    for name, group in chosen.groupby("solver", sort=False):
        n_images = int(group.n_images.iloc[0])
        setup, solve = group.setup_seconds.sum(), group.solve_seconds.sum()
        rows.append(
            {
                "n_images": n_images,
                "n_unknowns": n_unknowns,
                "time_steps": time_steps,
                "study": "frozen",
                "solver": name,
                "method": group.method.iloc[0],
                "family": group.family.iloc[0],
                "tolerance": tolerance,
                "setup_seconds": setup,
                "solve_seconds": solve,
                "seconds_per_image": (setup + solve) / n_images,
                "mean_iterations": group.mean_iterations.mean(),
                "max_iterations": group.max_iterations.max(),
                "fallbacks": int(group.fallbacks.sum()),
                **{name: group[name].max() for name in _WORST if name != "max_iterations"},
            }
        )
    return pd.DataFrame(rows)


def solver_table(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return the published table: random seeds are averaged, and SpSolve is what others beat.

    Times and iterations are means over random seeds, residuals, score errors and memory the worst,
    fallbacks the sum.  What was not measured stays missing.

    Parameters
    ----------
    measurements : DataFrame
        Rows of `trajectory_row` and `frozen_rows` with ``dataset``, ``image_size``, ``solver``.
    """
    if measurements.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    table = measurements.reindex(columns=[*dict.fromkeys([*COLUMNS, "method"])])
    how = (
        dict.fromkeys(_MEANS, "mean") | dict.fromkeys(_WORST, "max") | dict.fromkeys(_SAME, "first")
    )
    how["fallbacks"] = lambda values: values.sum(min_count=1)
    table = table.groupby(_KEYS, sort=False, dropna=False).agg(how).reset_index()
    seconds = table.setup_seconds + table.solve_seconds
    reference = (
        table.assign(seconds=seconds)[table.method == "spsolve"]
        .drop_duplicates(["dataset", "image_size", "study"])
        .set_index(["dataset", "image_size", "study"])
        .seconds
    )
    keys = pd.MultiIndex.from_frame(table[["dataset", "image_size", "study"]])
    baseline = reference.reindex(keys).to_numpy(dtype=float)
    table["time_reduction_vs_spsolve"] = 1.0 - seconds / baseline
    table["speedup_vs_spsolve"] = baseline / seconds
    integers = ["image_size", "n_images", "n_unknowns", "time_steps", "max_iterations", "fallbacks"]
    table = table.astype(dict.fromkeys(integers, "Int64"))
    return table[list(COLUMNS)]
