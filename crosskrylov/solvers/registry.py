"""Solvers by the names that the config knows them by."""

from collections.abc import Mapping
from importlib import import_module

from crosskrylov.errors import ConfigError
from crosskrylov.solvers.base import REGISTERED, LinearSolver
from crosskrylov.solvers.index import registered_solvers, solver_entry


def available_solvers() -> dict[str, type[LinearSolver]]:
    """Return every registered solver class by name; all modules of this folder are imported."""
    entries = sorted(registered_solvers().items())
    return {name: getattr(import_module(e.module), e.attribute) for name, e in entries}


def make_solver(method: str, options: Mapping | None = None) -> LinearSolver:
    """Return the solver called ``method``, or the class at an import path ``module:Class``.

    Only the module of that solver is imported, so that another one, however broken, does no harm.

    Raises
    ------
    ConfigError
        If the name is unknown or an option does not fit.
    """
    cls = REGISTERED.get(method)
    if cls is None:
        entry = solver_entry(method)
        cls = getattr(import_module(entry.module), entry.attribute)
    try:
        return cls(**dict(options or {}))
    except TypeError as error:
        raise ConfigError(f"Options of solver method {method!r} do not fit: {error}.") from error
