"""One small file per expensive run: its result, machine, commit, and what it depends on.

Machine and commit are those of the moment when the record is written, with the results of the run
still up to date there.  A record outlives the folder results/; tables read a run from either.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosskrylov.errors import DataError
from crosskrylov.runtime.files import read_json, read_tsv
from crosskrylov.runtime.machine_id import machine_id

#: A run whose files are larger (a row per pair of images, say) is not kept, in bytes.
LARGEST_RECORD = 300_000

#: Name under which a record holds a finished row of a table instead of files.
ROW = "row"


@dataclass(frozen=True)
class Run:
    """What one run measured.

    Attributes
    ----------
    value : JSON value or DataFrame
        Contents of the file that was asked for.
    machine : str
        Id of the machine that it was measured on; empty if that is not known.
    """

    value: Any
    machine: str


def read_run(path: str | Path, name: str | None = None) -> Run:
    """Read a run from its result or from its kept record.

    Parameters
    ----------
    path : path-like
        Result (.json, .tsv) or record. A plain result counts as measured on this machine.
    name : str, optional
        Name of another file of the run, beside the result ("curve.tsv").

    Raises
    ------
    DataError
        If the file is missing or cannot be read, or a record does not hold that file.
    """
    path = Path(path)
    value = None if path.suffix == ".tsv" else read_json(path)
    if is_record(value):
        files = value["files"]
        if name is not None and name not in files:
            raise DataError(
                f"{path} holds no {name}, only {', '.join(files)}: delete it to run this again."
            )
        content = next(iter(files.values())) if name is None else files[name]
        return Run(_parsed(content), value["machine"].get("machine_id", ""))
    if name is not None:
        path, value = path.with_name(name), None
    if value is None:
        value = read_tsv(path) if path.suffix == ".tsv" else read_json(path)
    return Run(value, machine_id())


def kept_row(path: str | Path) -> Run | None:
    """Return the finished row that a record holds; None if ``path`` is the run's own result.

    Raises
    ------
    DataError
        If the file is missing or cannot be read.
    """
    value = read_json(path)
    if not (is_record(value) and ROW in value["files"]):
        return None
    return Run(value["files"][ROW], value["machine"].get("machine_id", ""))


def is_record(value: Any) -> bool:
    """Return whether contents of a JSON file are a record, not a result."""
    return isinstance(value, Mapping) and {"run", "fingerprint", "files", "machine"} <= set(value)


def record_of(
    run: str, files: Mapping[str, Any], fingerprint: str, machine: Mapping, commit: str, date: str
) -> dict:
    """Return the record of a run.

    Parameters
    ----------
    run : str
        Path of its result.
    files : mapping of str to path-like or JSON value
        Its files by name, the result first; a path is read (JSON as a value, the rest as text).
    fingerprint : str
        What it depends on, see `crosskrylov.planning.fingerprints`.
    machine : mapping
        Facts of the machine that measured it, `crosskrylov.runtime.provenance.machine`.
    commit, date : str
        Revision of the code, and when it was measured.
    """
    contents = {
        name: _content(value) if isinstance(value, Path) else value for name, value in files.items()
    }
    return {
        "run": run,
        "fingerprint": fingerprint,
        "commit": commit,
        "date": date,
        "machine": dict(machine),
        "files": contents,
    }


def is_small(record: Mapping) -> bool:
    """Return whether a record is small enough to be kept."""
    return len(json.dumps(record["files"])) <= LARGEST_RECORD


def same_run(record: Any, other: Any) -> bool:
    """Return whether two records say the same of the same machine; their commits may differ."""
    keys = ("fingerprint", "files", "machine")
    return is_record(record) and is_record(other) and all(record[k] == other[k] for k in keys)


def pairs_with(baseline: Run, run: Run) -> bool:
    """Return whether times of two runs may be set against each other: one machine took both."""
    return bool(run.machine) and baseline.machine == run.machine


def _content(path: Path) -> Any:
    if path.suffix == ".json":
        return read_json(path)
    try:
        return {"text": path.read_text(encoding="utf-8")}
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}): make it again.") from error


def _parsed(content: Any) -> Any:
    """Return the contents of a file in a record: the text of a table as a table."""
    if isinstance(content, Mapping) and set(content) == {"text"}:
        return read_tsv(io.StringIO(content["text"]))
    return content
