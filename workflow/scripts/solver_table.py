"""Make the table of solvers from marches, exact solutions and the frozen study."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crosskrylov.equation.density import unit_spacing
from crosskrylov.reporting.records import kept_row, read_run
from crosskrylov.reporting.tables.marches import trajectory_row
from crosskrylov.reporting.tables.solvers import COLUMNS_BY_SEED, frozen_rows, solver_table
from crosskrylov.reporting.tables.writing import write_table
from crosskrylov.runtime.files import load_npz, read_json, read_tsv
from crosskrylov.runtime.jobs import run_job
from crosskrylov.runtime.machine_id import machine_id

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    summaries_paths: list,
    histories_paths: list,
    trajectories_paths: list,
    references_paths: list,
    exact_summaries_paths: list,
    exact_scores_paths: list,
    frozen_paths: list,
    table_path,
    by_seed_path,
    marches: list,
    exact: list,
    frozen: list,
    reference_runs: list,
    exact_runs: list,
    tolerance: float | None,
    repeats: int | None = None,
    clocks_paths: list = (),
    clocks: list = (),
) -> None:
    """Write the table of solvers and, apart, the same measurements of every random seed (.tsv).

    Parameters
    ----------
    summaries_paths, exact_summaries_paths : lists of path-like
        Measurements, or the kept record, of every march and every exact solution.
    histories_paths, trajectories_paths : lists of path-like
        Iterations and log-densities of every march that is not kept, in the same order.
    references_paths, exact_scores_paths : lists of path-like
        Log-densities of SpSolve and of the exact solution for ``reference_runs``, ``exact_runs``:
        [image set, random seed], where anything is not kept.
    frozen_paths : list of path-like
        Tables of the frozen study, or their kept records.
    table_path, by_seed_path : path-like
    marches, exact, frozen : lists of dict
        Of every march, exact solution and frozen table: dataset, image_size and seed; of a march
        also solver, of a frozen table time_steps, the number of time steps in the bank.
    tolerance : float, optional
        Tolerance of the frozen study to report.
    repeats : int, optional
        Timed repeats of the frozen study.
    clocks_paths, clocks : lists of path-like and of dict
        Tables of the repeated clocks, or their kept records, and of each dataset, image_size, seed.
    """
    solutions = _log_densities(exact_runs, exact_scores_paths)
    reference = _log_densities(reference_runs, references_paths)
    made = zip(histories_paths, trajectories_paths, strict=True)
    rows = []
    for run, path in zip(
        [*marches, *exact], [*summaries_paths, *exact_summaries_paths], strict=True
    ):
        kept = kept_row(path)
        if kept is not None:
            rows.append(run | kept.value | {"machine": kept.machine})
            continue
        summary, key = read_json(path), (run["dataset"], run["seed"])
        if "solver" in run:
            history, trajectory = next(made)
            history, log_density = read_tsv(history), load_npz(trajectory)["log_density"]
        else:  # not one of the configured solvers: it goes by the name of its method
            run, history, log_density = run | {"solver": summary["method"]}, None, solutions[key]
        row = trajectory_row(
            summary,
            history,
            log_density,
            unit_spacing(run["image_size"], run["image_size"]),
            reference.get(key),
            solutions[key],
        )
        rows.append(run | row | {"machine": machine_id()})
    tables = [pd.DataFrame(rows)]
    for run, path in zip(frozen, frozen_paths, strict=True):
        part = read_run(path)
        table = frozen_rows(
            part.value, tolerance, run["image_size"] ** 2, run["time_steps"], repeats
        )
        origin = {name: run[name] for name in ("dataset", "image_size", "seed")}
        tables.append(table.assign(**origin, machine=part.machine))
    measurements = pd.concat(tables, ignore_index=True)
    # always the same columns, or parts of a snapshot could not be put together
    write_table(by_seed_path, measurements.reindex(columns=list(COLUMNS_BY_SEED)))
    timed = [
        read_run(path).value.assign(**run) for run, path in zip(clocks, clocks_paths, strict=True)
    ]
    clocked = pd.concat(timed, ignore_index=True) if timed else None
    write_table(table_path, solver_table(measurements, clocked))


def _log_densities(runs: list, paths: list) -> dict[tuple, np.ndarray]:
    """Return the log-densities of runs by image set and random seed."""
    return {
        tuple(run): load_npz(path)["log_density"] for run, path in zip(runs, paths, strict=True)
    }


if __name__ == "__main__":
    run_job(main, snakemake)
