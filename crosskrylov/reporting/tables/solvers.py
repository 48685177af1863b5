"""The table of solvers: time, iterations, residuals and score errors of every solver."""

import numpy as np
import pandas as pd

from crosskrylov.solvers.index import BASELINE_METHOD

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
        Rows of `trajectory_row` and `frozen_rows` with ``dataset``, ``image_size``, ``solver``,
        ``seed`` and, where they are not all of one machine, ``machine``.
    """
    if measurements.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    table = measurements.reindex(columns=[*dict.fromkeys([*COLUMNS, "method"])])
    how = (
        dict.fromkeys(_MEANS, "mean") | dict.fromkeys(_WORST, "max") | dict.fromkeys(_SAME, "first")
    )
    how["fallbacks"] = lambda values: values.sum(min_count=1)
    table = table.groupby(_KEYS, sort=False, dropna=False).agg(how).reset_index()
    ratio = baseline_ratio(measurements).reindex(pd.MultiIndex.from_frame(table[_KEYS])).to_numpy()
    table["time_reduction_vs_spsolve"] = 1.0 - 1.0 / ratio
    table["speedup_vs_spsolve"] = ratio
    integers = ["image_size", "n_images", "n_unknowns", "time_steps", "max_iterations", "fallbacks"]
    table = table.astype(dict.fromkeys(integers, "Int64"))
    return table[list(COLUMNS)]


def baseline_ratio(measurements: pd.DataFrame) -> pd.Series:
    """Return SpSolve's seconds over each solver's, from the random seeds that one machine ran both.

    Parameters
    ----------
    measurements : DataFrame
        As for `solver_table`.  An empty ``machine`` is an unknown one and pairs with nothing.

    Returns
    -------
    Series
        By dataset, image size, study and solver; solvers that share no machine with SpSolve are
        left out.
    """
    table = measurements.assign(
        machine=measurements.get("machine", "this"), seed=measurements.get("seed", 0)
    )
    table = table[table.machine.fillna("") != ""]
    pair = ["dataset", "image_size", "study", "seed", "machine"]
    baseline = table[table.method == BASELINE_METHOD].drop_duplicates(pair)
    both = table.merge(baseline, on=pair, suffixes=("", "_of_baseline"))
    means = both.groupby(_KEYS, sort=False, dropna=False).mean(numeric_only=True)
    return (means.setup_seconds_of_baseline + means.solve_seconds_of_baseline) / (
        means.setup_seconds + means.solve_seconds
    )
