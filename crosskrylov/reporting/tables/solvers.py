"""The table of solvers: time, iterations, residuals and score errors of every solver."""

import numpy as np
import pandas as pd

from crosskrylov.reporting.tables.clocks import SECONDS, SET, best_direct, clocked_rows
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
    "repeats",
    *SECONDS,
    "seconds_per_image",
    "seconds_per_image_low",
    "seconds_per_image_high",
    "solve_seconds_per_image",
    "time_reduction_vs_spsolve",
    "time_reduction_vs_spsolve_low",
    "time_reduction_vs_spsolve_high",
    "speedup_vs_spsolve",
    "speedup_vs_spsolve_low",
    "speedup_vs_spsolve_high",
    "best_direct",
    "time_reduction_vs_best_direct",
    "time_reduction_vs_best_direct_low",
    "time_reduction_vs_best_direct_high",
    "speedup_vs_best_direct",
    "speedup_vs_best_direct_low",
    "speedup_vs_best_direct_high",
    "mean_iterations",
    "max_iterations",
    "mean_picard",
    "fallbacks",
    "max_relative_residual",
    "score_error_vs_spsolve",
    "score_error_vs_exact",
    "peak_memory_mb",
    "march_images",
    "march_time_steps",
    "march_seconds_per_image",
    "march_time_reduction_vs_spsolve",
)

#: Of the measurements of every random seed, as single jobs made them.
COLUMNS_BY_SEED = (
    *("dataset", "image_size", "seed", "solver", "n_images", "n_unknowns", "time_steps", "study"),
    *("method", "family", "tolerance", "repeats", *SECONDS, "seconds_per_image"),
    *("solve_seconds_per_image", "mean_iterations", "max_iterations", "mean_picard", "fallbacks"),
    *("max_relative_residual", "score_error_vs_spsolve", "score_error_vs_exact", "peak_memory_mb"),
)

_KEYS = ["dataset", "image_size", "study", "solver"]
_MEANS = [
    *SECONDS,
    "seconds_per_image",
    "solve_seconds_per_image",
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
_SAME = ["n_images", "n_unknowns", "time_steps", "family", "tolerance", "method", "repeats"]
#: Whole marches of all images say these better than windows of them.
_OF_THE_MARCH = ["mean_iterations", "mean_picard", "fallbacks", *_WORST]


def frozen_rows(
    table: pd.DataFrame,
    tolerance: float,
    n_unknowns: int,
    time_steps: int,
    repeats: int | None = None,
):
    """Return the solvers' measurements on a bank of systems at one tolerance.

    The bank's systems are assembled beforehand and residuals are checked apart, so that neither is
    among the seconds.

    Parameters
    ----------
    table : DataFrame
        Rows of `crosskrylov.studies.time_to_residual.time_to_residual` of one bank.
    tolerance : float
        The tolerance to report.
    n_unknowns, time_steps : int
        Size of a system, and number of time steps that the bank holds.
    repeats : int, optional
        Timed repeats, of which the table holds the median one.
    """
    chosen = table[np.isclose(table.tolerance, tolerance, rtol=1e-9)]
    rows = []
    for name, group in chosen.groupby("solver", sort=False):
        n_images = int(group.n_images.iloc[0])
        seconds = group[["conversion_seconds", "setup_seconds", "solve_seconds"]].sum()
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
                "repeats": repeats,
                **seconds,
                "seconds_per_image": seconds.sum() / n_images,
                "solve_seconds_per_image": seconds[["setup_seconds", "solve_seconds"]].sum()
                / n_images,
                "mean_iterations": group.mean_iterations.mean(),
                "max_iterations": group.max_iterations.max(),
                "fallbacks": int(group.fallbacks.sum()),
                **{name: group[name].max() for name in _WORST if name != "max_iterations"},
            }
        )
    return pd.DataFrame(rows)


def solver_table(measurements: pd.DataFrame, clocks: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the published table: random seeds are averaged, direct solvers are what others beat.

    Times and iterations are means over random seeds, residuals, score errors and memory the worst,
    fallbacks the sum.  What was not measured stays missing.  Where the solvers' clocks were
    repeated, the times of the study trajectory are theirs, and the whole march stands beside them.

    Parameters
    ----------
    measurements : DataFrame
        Rows of `trajectory_row` and `frozen_rows` with ``dataset``, ``image_size``, ``solver``,
        ``seed`` and, where they are not all of one machine, ``machine``.
    clocks : DataFrame, optional
        Rows of `crosskrylov.studies.clocks.time_solvers`, see `clocked_rows`.
    """
    clocked = pd.DataFrame() if clocks is None or clocks.empty else clocked_rows(clocks)
    tables = [_measured(measurements)] if len(measurements) else []
    if len(clocked) and tables:
        clocked = _beside_the_march(clocked, tables[0])
        tables[0] = tables[0][~_keys(tables[0]).isin(_keys(clocked))]
    table = pd.concat(
        [part.reindex(columns=list(COLUMNS)).astype(object) for part in [clocked, *tables]],
        ignore_index=True,
    )
    if table.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    table = table.infer_objects()
    for name in ("vs_spsolve", "vs_best_direct"):
        for end in ("", "_low", "_high"):
            speedup = table[f"speedup_{name}{end}"].astype(float)
            table[f"time_reduction_{name}{end}"] = 1.0 - 1.0 / speedup
    integers = ["image_size", "n_images", "n_unknowns", "time_steps", "repeats", "max_iterations"]
    integers += ["fallbacks", "march_images", "march_time_steps"]
    return table.astype(dict.fromkeys(integers, "Int64"))


def _measured(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of jobs that each timed one solver, once."""
    table = measurements.reindex(columns=[*dict.fromkeys([*COLUMNS, "method"])])
    how = (
        dict.fromkeys(_MEANS, "mean") | dict.fromkeys(_WORST, "max") | dict.fromkeys(_SAME, "first")
    )
    how["fallbacks"] = lambda values: values.sum(min_count=1)
    table = table.groupby(_KEYS, sort=False, dropna=False).agg(how).reset_index()
    family, reference = table.groupby("solver").family.first(), {}
    for key, group in table.groupby([*SET, "study"], sort=False):
        seconds = group.set_index("solver").seconds_per_image
        published = group.solver[group.method == BASELINE_METHOD]
        direct = best_direct(seconds.to_dict(), family)
        reference[key] = (next(iter(published), None), direct)
    labels = table[[*SET, "study"]].itertuples(index=False, name=None)
    baselines, directs = zip(*(reference[label] for label in labels), strict=True)
    table["best_direct"] = directs
    table["speedup_vs_spsolve"] = _ratio(measurements, table, baselines)
    table["speedup_vs_best_direct"] = _ratio(measurements, table, directs)
    whole = table.study == "trajectory"
    table["march_images"] = table.n_images.where(whole)
    table["march_time_steps"] = table.time_steps.where(whole)
    table["march_seconds_per_image"] = table.seconds_per_image.where(whole)
    saving = 1.0 - 1.0 / table.speedup_vs_spsolve
    table["march_time_reduction_vs_spsolve"] = saving.where(whole)
    return table


def _ratio(measurements: pd.DataFrame, table: pd.DataFrame, references) -> np.ndarray:
    """Return a reference's seconds over each solver's, from random seeds that one machine ran both.

    Parameters
    ----------
    measurements : DataFrame
        As for `solver_table`.  An empty ``machine`` is an unknown one and pairs with nothing.
    table : DataFrame
        Rows to find the ratios for.
    references : sequence of str or None
        The solver that each row is compared with.

    Returns
    -------
    ndarray
        A ratio for each row, NaN for solvers that share no machine with their reference.
    """
    runs = measurements.assign(
        machine=measurements.get("machine", "this"), seed=measurements.get("seed", 0)
    )
    runs = runs[runs.machine.fillna("") != ""][[*_KEYS, "seed", "machine", "seconds_per_image"]]
    wanted = table[_KEYS].assign(reference=references)
    pair = [*SET, "study", "seed", "machine"]
    both = wanted.merge(runs, on=_KEYS).merge(
        runs.rename(columns={"solver": "reference"}),
        on=[*pair, "reference"],
        suffixes=("", "_of_reference"),
    )
    means = both.groupby(_KEYS, sort=False, dropna=False).mean(numeric_only=True)
    ratio = means.seconds_per_image_of_reference / means.seconds_per_image
    return ratio.reindex(pd.MultiIndex.from_frame(table[_KEYS])).to_numpy()


def _beside_the_march(clocked: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Return the clocked rows with what whole marches of all images, where there are any, say."""
    marches = measured[measured.study == "trajectory"].set_index(_KEYS)
    clocked = clocked.reindex(columns=list(dict.fromkeys([*clocked, *COLUMNS]))).astype(object)
    of_the_march = [*_OF_THE_MARCH, *(name for name in COLUMNS if name.startswith("march_"))]
    for row, key in enumerate(_keys(clocked)):
        if key in marches.index:
            for name in of_the_march:
                clocked.loc[clocked.index[row], name] = marches.loc[key, name]
    return clocked


def _keys(table: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(table[_KEYS])
