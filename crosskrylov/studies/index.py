"""The studies and what each declares, found in this folder without importing them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from crosskrylov.errors import ConfigError
from crosskrylov.runtime.declared import Declared, declared_in, did_you_mean
from crosskrylov.studies.needs import COMMON, FILES, SECTIONS

STUDIES_FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Study:
    """A declared study.

    Attributes
    ----------
    name, tables, figures, needs, reads, timed, torch, solvers, solvers_from, samplers_from,
    objectives_from, per, join, baseline
        What it declares, see `crosskrylov.studies.register.register`.
    module, function : str
        Where its function is.
    file : Path
        The module's file.
    options : tuple of str
        Keys of its section that the function asks for.
    """

    name: str
    module: str
    function: str
    file: Path
    options: tuple[str, ...]
    tables: Mapping[str, str]
    figures: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    timed: bool = False
    torch: bool = False
    solvers: tuple[str, ...] = ()
    solvers_from: str | None = None
    samplers_from: tuple[str, ...] = ()
    objectives_from: str | None = None
    per: str | None = None
    join: str | None = None
    baseline: bool = False

    @property
    def runs(self) -> bool:
        """Whether it runs per image set and random seed; else once."""
        return not COMMON.issuperset(self.needs)


@cache
def declared_studies(folder: Path = STUDIES_FOLDER) -> dict[str, Study]:
    """Return every study that a module of ``folder`` declares, by name.

    Raises
    ------
    ConfigError
        If a declaration does not fit together; it names the file.
    """
    studies = {name: _study(entry) for name, entry in declared_in(Path(folder)).items()}
    owners: dict[str, Study] = {}
    for study in studies.values():
        for product in [f"table {t}" for t in study.tables] + [
            f"figure {f}" for f in study.figures
        ]:
            if product in owners:
                raise ConfigError(
                    f"{study.file} and {owners[product].file} both declare the {product}: rename "
                    "one of them."
                )
            owners[product] = study
    return studies


def _study(entry: Declared) -> Study:
    facts = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.facts.items()}
    try:
        study = Study(
            name=entry.name,
            module=f"crosskrylov.studies.{entry.file.stem}",
            function=entry.attribute,
            file=entry.file,
            options=entry.parameters[1:],
            **facts,
        )
    except TypeError as error:
        raise ConfigError(
            f"{entry.file} declares the study {entry.name!r} with arguments that do not fit "
            f"({error}): see crosskrylov/studies/register.py."
        ) from None
    known = (*FILES, *SECTIONS)
    for need in study.needs:
        if need not in known:
            raise ConfigError(
                f"{study.file}: the study {study.name!r} needs {need!r}"
                f"{did_you_mean(need, known)}; available are {', '.join(known)}."
            )
    for name, figure in study.figures.items():
        if set(figure) != {"table", "caption"} or figure["table"] not in study.tables:
            raise ConfigError(
                f"{study.file}: the figure {name!r} of the study {study.name!r} must say 'caption' "
                f"and 'table', one of {', '.join(study.tables)}."
            )
    return study
