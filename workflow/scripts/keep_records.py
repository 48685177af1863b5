"""Write a record of every finished run, and what else a snapshot has to know."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

import crosskrylov
from crosskrylov.errors import DataError
from crosskrylov.reporting.records import ROW, is_record, is_small, record_of
from crosskrylov.runtime.files import atomic_folder, read_json, read_tsv, write_json
from crosskrylov.runtime.jobs import run_job
from crosskrylov.runtime.provenance import machine, revision

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    run_paths: list, rows_path, folder_path, manifest_path, planned: list, manifest: dict, logger
) -> None:
    """Write the folder of records and the manifest (.json).

    Parameters
    ----------
    run_paths : list of path-like
        Result or kept record of every run, in the order of ``planned``.
    rows_path : path-like or None
        The table that holds the runs which are rows, see ``row``.
    folder_path, manifest_path : path-like
        What to write.
    planned : list of dict
        ``path`` of the result, ``record`` (path inside the folder), ``fingerprint``, ``beside``
        (names of further files) and ``row`` (columns that find its row, empty if it is a file).
    manifest : dict
        What a snapshot is told of this configuration: tables, figures, captions.
    """
    rows = None if rows_path is None else read_tsv(rows_path)
    checkout = Path(crosskrylov.__file__).parents[1]
    here, commit = machine(), revision(checkout, ignoring="docs/results") or "unknown"
    large = []
    with atomic_folder(folder_path) as folder:
        for path, run in zip(map(Path, run_paths), planned, strict=True):
            record = read_json(path) if path.suffix == ".json" else None
            if not is_record(record):
                files = {ROW: _row(rows, run["row"])} if run["row"] else {path.name: path}
                files |= {name: path.with_name(name) for name in run["beside"]}
                measured = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                date = f"{measured:%Y-%m-%d %H:%M} UTC"
                record = record_of(run["path"], files, run["fingerprint"], here, commit, date)
            if is_small(record):
                write_json(folder / run["record"], record)
            else:
                large.append(run["path"])
    if large:
        logger.info("too large for a record: %s", ", ".join(large))
    write_json(manifest_path, manifest)


def _row(rows: pd.DataFrame, wanted: dict) -> dict:
    """Return the one row whose columns hold what is wanted, without what was not measured."""
    found = rows
    for column, value in wanted.items():
        found = found[found[column] == value]
    if len(found) != 1:
        raise DataError(
            f"The table of solvers by seed has {len(found)} rows with {wanted}, not one: delete it "
            "to make it again."
        )
    (row,) = found.to_dict("records")
    return {column: value for column, value in row.items() if not pd.isna(value)}


if __name__ == "__main__":
    run_job(main, snakemake)
