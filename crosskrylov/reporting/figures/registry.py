"""The figures about solvers by file name, each with the table that it shows."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.errors import ConfigError
from crosskrylov.reporting.figures import accuracy, solvers, studies

FIGURES: dict[str, Callable[[pd.DataFrame], plt.Figure]] = {
    "seconds_per_image": solvers.plot_seconds_per_image,
    "projection_residuals": solvers.plot_projection_residuals,
    "time_to_residual": studies.plot_time_to_residual,
    "subspace_dimension": studies.plot_subspace_dimension,
    "likeness": studies.plot_likeness,
    "seed_choice": studies.plot_seed_choice,
    "diversity": studies.plot_diversity,
    "warm_start": studies.plot_warm_start,
    "error_budget": accuracy.plot_error_budget,
    "system_summary": studies.plot_system_summary,
    "downstream": studies.plot_downstream,
    "convergence": accuracy.plot_convergence,
}


def plot(name: str, table: pd.DataFrame) -> plt.Figure:
    """Return the figure called ``name`` of its table."""
    if name not in FIGURES:
        raise ConfigError(f"There is no figure {name!r}; available are {', '.join(FIGURES)}.")
    return FIGURES[name](table)
