"""The subcommand ``solve``: a folder of sparse systems by the methods of `solve_many`."""

import argparse

import numpy as np
import pandas as pd

from crosskrylov.errors import ConfigError, ConvergenceError, DataError
from crosskrylov.runtime.declared import did_you_mean
from crosskrylov.runtime.files import printable, write_tsv
from crosskrylov.solvers.many import METHODS, solve_many
from crosskrylov.solvers.system_files import NamedSystem, read_systems, write_solution

ALL = "all"


def solve(given: argparse.Namespace) -> int:
    """Solve the folder's systems by every method asked for; return the exit status.

    The output folder gets METHOD/NAME_x.mtx, solutions.tsv (a row per method and system) and
    methods.tsv (a row per method), the latter printed as well.
    """
    methods = _methods(given.method)
    systems = read_systems(given.folder)
    output = given.output or given.folder / "solutions"
    matrices, rhs = [s.matrix for s in systems], np.stack([s.rhs for s in systems])
    rows, summaries, failed = [], [], []
    for method in methods:
        try:
            # what a breakdown leaves is in the residual; NumPy's warnings would say it twice
            with np.errstate(all="ignore"):
                found = solve_many(
                    matrices, rhs, method=method, tol=given.tolerance,
                    max_products=given.max_products, on_miss="keep",
                )  # fmt: skip
        except DataError as error:
            failed.append(error)
            summaries.append({"method": method, "systems": len(systems), "solved": 0})
            continue
        for position, system in enumerate(systems):
            write_solution(output / method / f"{system.name}_x.mtx", found.x[position])
        rows.append(_rows(method, systems, found))
        summaries.append(
            {
                "method": method,
                "systems": len(systems),
                "solved": int(found.converged.sum()),
                "products": found.products.mean(),
                "max_relative_residual": found.relative_residuals.max(),
                "setup_seconds": found.setup_seconds,
                "seconds": found.setup_seconds + found.seconds.sum(),
            }
        )
    if failed and len(failed) == len(methods):
        raise failed[0]
    table = pd.DataFrame(summaries).sort_values("seconds", kind="stable")
    write_tsv(output / "solutions.tsv", pd.concat(rows))
    write_tsv(output / "methods.tsv", table)
    size = len(rhs[0])
    print(f"{len(systems)} systems of {size} unknowns, tolerance {given.tolerance:g}")
    print(table.to_string(index=False, na_rep="-", float_format=lambda value: f"{value:.3g}"))
    print(f"solutions: {printable(output)}")
    if not (table.solved == len(systems)).any():
        best = table.loc[table.solved.idxmax()]
        raise ConvergenceError(
            f"No method solved all {len(systems)} systems to {given.tolerance:g}, {best.method} "
            f"left {len(systems) - best.solved} with a relative residual of up to "
            f"{best.max_relative_residual:.1e}: raise --max-products, loosen --tolerance or try "
            "another method."
        )
    return 0


def _methods(names: list[str]) -> list[str]:
    """Return the methods to run, each once."""
    for name in names:
        if name not in (ALL, *METHODS):
            raise ConfigError(
                f"The method {printable(name)!r} is unknown{did_you_mean(name, [ALL, *METHODS])}; "
                f"available are {ALL}, {', '.join(METHODS)}."
            )
    return list(METHODS) if ALL in names else list(dict.fromkeys(names))


def _rows(method: str, systems: list[NamedSystem], found) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": method,
            "system": [system.name for system in systems],
            "unknowns": len(systems[0].rhs),
            "products": found.products,
            "relative_residual": found.relative_residuals,
            "seconds": found.seconds,
            "converged": found.converged,
        }
    )
