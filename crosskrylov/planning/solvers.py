"""What the workflow has to know of the configured solvers: families, files, who is the baseline."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from crosskrylov.solvers.index import BASELINE_METHOD, registered_solvers, solver_entry


def solvers_of_family(config: Mapping, *, cross_matrix: bool) -> str:
    """Return a regular expression for the cross-matrix solvers, or for all others."""
    names = [
        name
        for name, entry in config["solvers"].items()
        if (solver_entry(entry["method"]).family == "cross-matrix") == cross_matrix
    ]
    return "|".join(names) or "(?!)"  # an empty expression would match any name


def solver_files(entries: Iterable[Mapping]) -> list[Path]:
    """Return the modules behind solvers given as {"method", "options"}.

    A solver that an option names (a fallback) is among them.
    """
    known = registered_solvers()
    files = set()
    for entry in entries:
        files.add(solver_entry(entry["method"]).file)
        named = [v for v in (entry.get("options") or {}).values() if isinstance(v, str)]
        files.update(known[name].file for name in named if name in known)
    return sorted(files)


def engine_solvers(config: Mapping) -> list[Mapping]:
    """Return the solver that the engine marches with, as {"method", "options"}; mostly none."""
    engine = config["engine"]
    return [engine["solver"]] if engine["method"] == "solver" else []


def baseline_solver(config: Mapping, names: Iterable[str]) -> str | None:
    """Return the solver among ``names`` whose method is the published one, None without one."""
    found = [name for name in names if config["solvers"][name]["method"] == BASELINE_METHOD]
    return found[0] if found else None
