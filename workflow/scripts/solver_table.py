"""Make the table of solvers from marches, exact solutions and the frozen study."""

from typing import TYPE_CHECKING

import pandas as pd

from crosskrylov.equation.density import unit_spacing
from crosskrylov.reporting.tables.marches import trajectory_row
from crosskrylov.reporting.tables.solvers import frozen_rows, solver_table
from crosskrylov.runtime.files import load_npz, read_json, read_tsv, write_tsv
from crosskrylov.runtime.jobs import run_job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    summaries_paths: list,
    histories_paths: list,
    trajectories_paths: list,
    exact_summaries_paths: list,
    exact_scores_paths: list,
    frozen_paths: list,
    table_path,
    by_seed_path,
    marches: list,
    exact: list,
    frozen: list,
    tolerance: float | None,
) -> None:
    """Write the table of solvers and, apart, the same measurements of every random seed (.tsv).

    Parameters
    ----------
    summaries_paths, histories_paths, trajectories_paths : lists of path-like
        Measurements, iterations and log-densities of every march.
    exact_summaries_paths, exact_scores_paths : lists of path-like
        Measurements and log-densities of every exact solution.
    frozen_paths : list of path-like
        Tables of the frozen study.
    table_path, by_seed_path : path-like
    marches, exact, frozen : lists of dict
        Of every march, exact solution and frozen table: dataset, image_size and seed; of a march
        also solver, of a frozen table time_steps, the number of time steps in the bank.
    tolerance : float, optional
        Tolerance of the frozen study to report.
    """
    solutions, reference, rows = {}, {}, []
    for run, scores in zip(exact, exact_scores_paths, strict=True):
        solutions[run["dataset"], run["seed"]] = load_npz(scores)["log_density"]
    entries = [
        (run, read_json(summary), read_tsv(history), load_npz(trajectory)["log_density"])
        for run, summary, history, trajectory in zip(
            marches, summaries_paths, histories_paths, trajectories_paths, strict=True
        )
    ]
    for run, summary, _, log_density in entries:
        if summary["method"] == "spsolve":
            reference[run["dataset"], run["seed"]] = log_density
    for run, summary_path in zip(exact, exact_summaries_paths, strict=True):
        summary = read_json(summary_path)
        # not one of the configured solvers: it goes by the name of its method
        entries.append(
            (
                run | {"solver": summary["method"]},
                summary,
                None,
                solutions[run["dataset"], run["seed"]],
            )
        )
    for run, summary, history, log_density in entries:
        key = run["dataset"], run["seed"]
        spacing = unit_spacing(run["image_size"], run["image_size"])
        rows.append(
            run
            | trajectory_row(
                summary, history, log_density, spacing, reference.get(key), solutions.get(key)
            )
        )
    tables = [pd.DataFrame(rows)]
    for run, path in zip(frozen, frozen_paths, strict=True):
        n_unknowns = run["image_size"] ** 2
        table = frozen_rows(read_tsv(path), tolerance, n_unknowns, run["time_steps"])
        origin = {name: run[name] for name in ("dataset", "image_size", "seed")}
        tables.append(table.assign(**origin))
    measurements = pd.concat(tables, ignore_index=True)
    write_tsv(by_seed_path, measurements)
    write_tsv(table_path, solver_table(measurements))


if __name__ == "__main__":
    run_job(main, snakemake)
