"""Make the table of solvers from marches, exact solutions and the frozen study."""

from typing import TYPE_CHECKING

import pandas as pd

from crosskrylov.equation.density import unit_spacing
from crosskrylov.reporting.tables.marches import trajectory_row
from crosskrylov.reporting.tables.solvers import frozen_rows, solver_table
from crosskrylov.runtime.files import load_npz, read_json, read_tsv, write_tsv
from crosskrylov.runtime.jobs import logged

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    marches: list,
    exact_solutions: list,
    frozen: list,
    table_path,
    by_seed_path,
    tolerance: float,
) -> None:
    """Write the table of solvers and, apart, the same measurements of every random seed (.tsv).

    Parameters
    ----------
    marches : list of (run, summary, history, trajectory)
        ``run`` has dataset, image_size, seed and solver; the rest are paths.
    exact_solutions : list of (run, summary, scores)
    frozen : list of (run, table)
        ``run`` also has time_steps, the number of time steps in the bank.
    table_path, by_seed_path : path-like
    tolerance : float
        Tolerance of the frozen study to report.
    """
    exact, reference, rows = {}, {}, []
    for run, _, scores in exact_solutions:
        exact[run["dataset"], run["seed"]] = load_npz(scores)["log_density"]
    summaries = [read_json(summary) for _, summary, _, _ in marches]
    for (run, _, _, trajectory), summary in zip(marches, summaries, strict=True):
        if summary["method"] == "spsolve":
            reference[run["dataset"], run["seed"]] = load_npz(trajectory)["log_density"]
    entries = [
        (run, summary, read_tsv(history), load_npz(trajectory)["log_density"])
        for (run, _, history, trajectory), summary in zip(marches, summaries, strict=True)
    ]
    for run, summary_path, _ in exact_solutions:
        summary = read_json(summary_path)
        # not one of the configured solvers: it goes by the name of its method
        entries.append(
            (
                run | {"solver": summary["method"]},
                summary,
                None,
                exact[run["dataset"], run["seed"]],
            )
        )
    for run, summary, history, log_density in entries:
        key = run["dataset"], run["seed"]
        spacing = unit_spacing(run["image_size"], run["image_size"])
        rows.append(
            run
            | trajectory_row(
                summary, history, log_density, spacing, reference.get(key), exact.get(key)
            )
        )
    tables = [pd.DataFrame(rows)]
    for run, path in frozen:
        n_unknowns = run["image_size"] ** 2
        table = frozen_rows(read_tsv(path), tolerance, n_unknowns, run["time_steps"])
        origin = {name: run[name] for name in ("dataset", "image_size", "seed")}
        tables.append(table.assign(**origin))
    measurements = pd.concat(tables, ignore_index=True)
    write_tsv(by_seed_path, measurements)
    write_tsv(table_path, solver_table(measurements))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            marches=list(
                zip(
                    snakemake.params.marches,
                    snakemake.input.summaries,
                    snakemake.input.histories,
                    snakemake.input.trajectories,
                    strict=True,
                )
            ),
            exact_solutions=list(
                zip(
                    snakemake.params.exact,
                    snakemake.input.exact_summaries,
                    snakemake.input.exact_scores,
                    strict=True,
                )
            ),
            frozen=list(zip(snakemake.params.frozen, snakemake.input.frozen, strict=True)),
            table_path=snakemake.output.table,
            by_seed_path=snakemake.output.by_seed,
            tolerance=snakemake.params.tolerance,
        )
