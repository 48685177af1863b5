"""The row of one march in the table of solvers, by itself since kept records hold it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from crosskrylov.equation.stencil import score
from crosskrylov.scores.march import PHASES
from crosskrylov.studies.common import relative_errors


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
    n_images = summary["n_images"]
    row = {
        "n_images": n_images,
        "n_unknowns": summary["height"] * summary["width"],
        "time_steps": summary["time_steps"],
        "study": "trajectory",
        "method": summary["method"],
        "family": summary["family"],
        "tolerance": summary.get("tolerance"),
        "repeats": 1,
        **{f"{phase}_seconds": seconds.get(phase) for phase in PHASES},
        "seconds_per_image": sum(seconds.values()) / n_images,
        "solve_seconds_per_image": (seconds.get("setup", 0.0) + seconds["solve"]) / n_images,
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
