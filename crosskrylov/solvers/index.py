"""Names, families and files of the solvers, found in this folder without importing them."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from crosskrylov.errors import ConfigError
from crosskrylov.runtime.declared import Declared, declared_in, did_you_mean

SOLVERS_FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class SolverEntry:
    """Where a solver is defined.

    Attributes
    ----------
    family : str
        One of `crosskrylov.solvers.base.FAMILIES`.
    file : Path
        Its module's file.
    module, attribute : str
        Import path of its class.
    """

    family: str
    file: Path
    module: str
    attribute: str


def declared_solvers(folder: Path = SOLVERS_FOLDER) -> dict[str, Declared]:
    """Return what the modules of ``folder`` declare by ``@register(name, family)``, by name."""
    return declared_in(Path(folder), ("family",))


def registered_solvers(folder: Path = SOLVERS_FOLDER) -> dict[str, SolverEntry]:
    """Return where every solver of ``folder`` is defined."""
    return {
        name: SolverEntry(
            entry.facts["family"],
            entry.file,
            f"crosskrylov.solvers.{entry.file.stem}",
            entry.attribute,
        )
        for name, entry in declared_solvers(folder).items()
    }


def solver_entry(method: str, folder: Path = SOLVERS_FOLDER) -> SolverEntry:
    """Return the entry of a registered name, or of an import path ``module:Class``.

    Raises
    ------
    ConfigError
        If the name is unknown or the path cannot be imported.
    """
    if ":" in method:
        module_name, _, class_name = method.partition(":")
        try:
            module = import_module(module_name)
            family = getattr(module, class_name).family
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigError(
                f"Solver method {method!r} cannot be imported ({error}); give module:Class of a "
                "registered solver class on PYTHONPATH."
            ) from error
        return SolverEntry(family, Path(module.__file__), module_name, class_name)
    known = registered_solvers(folder)
    if method not in known:
        raise ConfigError(
            f"Solver method {method!r} is unknown{did_you_mean(method, known)}; available are "
            f"{', '.join(sorted(known))}."
        )
    return known[method]
