"""Which runs are taken from kept records instead of being made, and which are kept.

Records are kept by `make snapshot` in docs/results/records, so that a study goes on where another
machine left it.  A record stands for a run only if its fingerprint is today's.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from crosskrylov.errors import DataError
from crosskrylov.planning.fingerprints import Step, march_row_steps, steps_fingerprint
from crosskrylov.planning.runs import runs


@dataclass(frozen=True)
class PlannedRun:
    """A run that is expensive and ends in a small result.

    Attributes
    ----------
    path : str
        Its result.
    steps : callable
        Returns the steps up to it; only asked where the fingerprint is needed.
    beside : tuple of str
        Names of further files beside the result that belong to it.
    row : mapping
        If the result is a row of results/tables/solvers_by_seed.tsv: the columns that find it.
    """

    path: str
    steps: Callable[[], Iterable[Step]]
    beside: tuple[str, ...] = ()
    row: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all that the run depends on."""
        return steps_fingerprint(self.steps())


def record_name(path: str) -> str:
    """Return a record's path inside its folder, from the path of the run's result."""
    return f"{path.removeprefix('results/')}.json"


def kept_or_made(config: Mapping, path: str, fingerprint: str | Callable[[], str]) -> str:
    """Return the path of a run's kept record if it may stand for it, else that of its result.

    Parameters
    ----------
    config : mapping
        The configuration; its section ``records`` says whether and where records are taken.
    path : str
        The run's result.
    fingerprint : str or callable
        The run's fingerprint; a function is called only where there is a record to compare.

    Raises
    ------
    DataError
        If the record cannot be read.
    """
    if not config["records"]["take"]:
        return path
    record = Path(config["records"]["folder"], record_name(path))
    if not record.is_file():
        return path
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{record} is no record of a run ({error!r}): restore it, or delete it to run this "
            "again."
        ) from None
    wanted = fingerprint if isinstance(fingerprint, str) else fingerprint()
    return record.as_posix() if kept == wanted else path


def is_kept(config: Mapping, run: PlannedRun) -> bool:
    """Return whether a run is taken from its record."""
    return kept_or_made(config, run.path, lambda: run.fingerprint) != run.path


def march_runs(config: Mapping) -> list[PlannedRun]:
    """Return the marches of the table of solvers and the exact solutions, its rows per seed."""
    study = config["studies"].get("trajectory")
    if study is None:
        return []
    sets = config["image_sets"] if study["image_sets"] is None else study["image_sets"]
    solvers = study["solvers"] or list(config["solvers"])
    planned = []
    for images, seed in runs(config, sets):
        folder = f"results/{images}/seed{seed}"
        row = {"dataset": images, "seed": seed, "study": "trajectory"}
        exact = {"family": "exact"}  # it goes by the name of its method, which is not known here
        for name in (*solvers, None):
            stem = f"trajectories/{name}" if name else "exact_scores"
            planned.append(
                PlannedRun(
                    f"{folder}/{stem}.json",
                    partial(march_row_steps, config, images, seed, name, solvers),
                    row=row | ({"solver": name} if name else exact),
                )
            )
    return planned


#: Sources whose images may be shown by everybody.
OPEN_SOURCES = ("photos", "digits", "noise")


def is_published(config: Mapping, name: str) -> bool:
    """Return whether images of a set may be shown in public."""
    entry = config["image_sets"][name]
    published = entry.get("publish")
    return entry["source"] in OPEN_SOURCES if published is None else published


def withheld_figures(config: Mapping, figures: Iterable[str]) -> list[str]:
    """Return those of the named figures that show pixels of a set that is not published."""
    strip_sets = config["training"]["single_image"]["image_sets"]
    withheld = set()
    for name in figures:
        if name == "denoising_strip":
            sets = config["image_sets"] if strip_sets is None else strip_sets
        elif name.startswith("sample_grids-"):
            sets = [s for s in config["image_sets"] if fnmatch(name, f"sample_grids-{s}-seed*")]
        else:
            continue
        if not sets or not all(is_published(config, images) for images in sets):
            withheld.add(name)
    return sorted(withheld)


def described(planned: Iterable[PlannedRun]) -> list[dict]:
    """Return what `keep_records` is told of every run, as plain values."""
    return [
        {
            "path": run.path,
            "record": record_name(run.path),
            "fingerprint": run.fingerprint,
            "beside": list(run.beside),
            "row": dict(run.row),
        }
        for run in planned
    ]


def manifest(
    config: Mapping,
    targets: Iterable[str],
    captions: Mapping[str, str] | None = None,
    retained: Iterable[str] = (),
) -> dict:
    """Return what a snapshot is told of a configuration.

    Parameters
    ----------
    config : mapping
        The configuration.
    targets : iterable of str
        Every file that it asks for.
    captions : mapping of str to str, optional
        Captions of tables and figures, by name without suffix.
    retained : iterable of str
        Figures that cannot be drawn anew, since the runs that they show are taken from records; the
        snapshot leaves them as they are.

    Returns
    -------
    dict
        ``tables`` and ``figures`` (names of files), ``withheld`` (figures that show pixels of sets
        that are not published), ``retained`` (both without suffix), ``captions``.
    """
    paths = [Path(path) for path in targets]
    tables = {p.name for p in paths if p.parent.name == "tables" and p.suffix == ".tsv"}
    figures = {p.name for p in paths if p.parent.name == "figures"}
    return {
        "tables": sorted(tables),
        "figures": sorted(figures),
        "withheld": withheld_figures(config, {Path(name).stem for name in figures}),
        "retained": sorted(retained),
        "captions": dict(captions or {}),
    }
