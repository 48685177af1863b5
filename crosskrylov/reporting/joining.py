"""Tables that several parts of a snapshot make: rows of all of them, the newest of each kind.

A part keeps its own edition of such a table (parts/<part>/<table>), so that it can be replaced or
taken away alone; tables/<table> is put together from the editions.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from crosskrylov.runtime.files import read_tsv, write_tsv

#: Columns that say what a row is about; the others are what was measured.
IDENTITY = (
    *("claim", "paper", "experiment", "dataset", "image_size", "study", "solver", "model"),
    *("variant", "outcome", "seed", "image", "target_ssim", "metric", "sampler"),
    *("images_together", "images_per_batch", "against"),
    *("function_evaluations", "tolerance", "step", "role", "stage", "basis", "projection"),
    *("dimension", "start", "refiner", "source", "setting", "selection", "n_seeds", "draw"),
    *("boundary", "varied", "n_nodes", "time_steps", "rule", "property", "distance"),
)


def join_tables(editions: list[pd.DataFrame]) -> pd.DataFrame | None:
    """Return the rows of all editions, the last first asked: a row of its kind replaces older ones.

    Two rows are of one kind if they agree in every column of `IDENTITY` that the tables have.  What
    was not measured yet when an older edition was made is empty there.  None if the editions have
    no such column, if they differ in one, or if an older one has a column that the last lacks.
    """
    editions = [_with_whole_images(edition) for edition in editions]
    columns = list(editions[-1].columns)
    keys = [name for name in columns if name in IDENTITY]
    known = [set(edition.columns) for edition in editions]
    if not keys or any(names - set(columns) or set(keys) - names for names in known):
        return None
    editions = [edition.reindex(columns=columns) for edition in editions]
    # beside an edition that has none of it, true and false would become numbers
    truths = {name for each in editions for name in columns if each[name].dtype == bool}
    editions = [
        edition.astype({name: "boolean" for name in truths if _may_be_truth(edition[name])})
        for edition in editions
    ]
    joined = editions[0]
    for edition in editions[1:]:
        newer = set(edition[keys].astype(str).itertuples(index=False, name=None))
        kinds = joined[keys].astype(str).itertuples(index=False, name=None)
        kept = joined[[kind not in newer for kind in kinds]]
        joined = pd.concat([kept, edition], ignore_index=True) if len(kept) else edition
    return joined


def _may_be_truth(column: pd.Series) -> bool:
    return column.dtype == bool or column.isna().all()


def _with_whole_images(edition: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose images are numbered 0, 1, ... even where some rows have none."""
    if "image" not in edition or not pd.api.types.is_float_dtype(edition["image"]):
        return edition
    return edition.astype({"image": "Int64"})


def edition_of(folder: Path, part: str, name: str) -> Path:
    """Return where a part's own edition of a table is kept."""
    return folder / "parts" / part / name


def keep_edition(folder: Path, part: str, source: Path, others: Mapping[str, Mapping]) -> None:
    """Keep a part's edition of a table; other parts that own the table keep theirs."""
    shared = folder / "tables" / source.name
    for other, its in others.items():
        edition = edition_of(folder, other, source.name)
        if source.name in its["tables"] and not edition.is_file():
            edition.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(shared, edition)
    target = edition_of(folder, part, source.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def put_together(folder: Path, parts: dict[str, dict], newest: str) -> None:
    """Make every table of the parts' editions, and keep editions only where they differ.

    Parameters
    ----------
    folder : Path
        The snapshot.
    parts : dict
        Entries of all parts; where tables cannot be joined the newest part takes them over.
    newest : str
        The part that is being kept; the others come in the order of their dates.
    """
    order = sorted(parts, key=lambda name: (name == newest, parts[name]["date"]))
    for name in sorted({name for part in parts.values() for name in part["tables"]}):
        owners = [part for part in order if name in parts[part]["tables"]]
        files = [edition_of(folder, owner, name) for owner in owners]
        if not any(file.is_file() for file in files):
            continue  # of one part, or the same in all, and nothing has changed
        target = folder / "tables" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        joined = None
        if len({file.read_bytes() for file in files}) > 1:
            joined = join_tables([read_tsv(file) for file in files])
            if joined is None:
                for other in owners[:-1]:
                    parts[other]["tables"].remove(name)
                    parts[owners[-1]]["took_over"][f"tables/{name}"] = other
        if joined is None:
            shutil.copy(files[-1], target)
            for file in files:
                file.unlink()
        else:
            write_tsv(target, joined)
    for part in parts:
        own = folder / "parts" / part
        stale = [file for file in own.glob("*.tsv") if file.name not in parts[part]["tables"]]
        for file in stale:
            file.unlink()
        if own.is_dir() and not any(own.iterdir()):
            own.rmdir()
