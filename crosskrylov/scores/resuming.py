"""What may be kept of a folder of scores and what is refused: resuming, growing, replacing."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crosskrylov.errors import ConfigError, DataError
from crosskrylov.runtime.files import locked, printable, read_json, write_json
from crosskrylov.scores.store import (
    FORMAT,
    LEFTOVER,
    MANIFEST,
    NAMES,
    OtherFormatError,
    ScoreStore,
    is_ours,
)


@dataclass
class Kept:
    """Chunks that are on disk: those that need nothing, and records of those to be completed."""

    complete: set[int] = field(default_factory=set)
    partial: dict[int, dict[str, Any]] = field(default_factory=dict)


class _OtherImagesError(DataError):
    """Images of a store are gone or have changed; the message is part of a sentence."""


@contextmanager
def written_folder(output: Path) -> Iterator[None]:
    """Hold the folder ``output`` for this process alone; made if missing.

    A folder that was made and stayed empty is removed again.

    Raises
    ------
    DataError
        If it holds something else, cannot be written to, or somebody else is writing it.
    """
    try:
        made = not output.exists()
        output.mkdir(parents=True, exist_ok=True)
        foreign = _is_foreign(output)
    except FileExistsError:
        foreign = True  # a file
    except (OSError, ValueError) as error:  # ... or a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"Cannot write {printable(output)}: {reason}; choose another folder."
        ) from None
    if foreign:
        raise DataError(
            f"{printable(output)} exists but holds no scores; name a folder that is new or empty."
        )
    try:
        with locked(output):
            yield
    finally:
        if made:
            with suppress(OSError):  # it holds scores now
                output.rmdir()


def _is_foreign(output: Path) -> bool:
    """Return whether a folder holds something and nothing of ours; then we write nothing there.

    What lies beside our files does not matter, and neither does a damaged manifest: who has to
    start anew shall not have to move a folder away.
    """
    names = {path.name for path in output.iterdir()}
    ours = {name for name in names if is_ours(name)}
    if MANIFEST in ours and not _manifest_may_be_ours(output):
        ours.remove(MANIFEST)
    return bool(names) and not ours


def _manifest_may_be_ours(output: Path) -> bool:
    """Return whether manifest.json is no other program's: it is damaged, or has our keys."""
    try:
        manifest = read_json(output / MANIFEST)
    except DataError:
        return True
    return isinstance(manifest, dict) and {"format", "fingerprint"} <= manifest.keys()


def open_or_create(output, plan, settings, sizes, overwrite: bool) -> tuple[ScoreStore, Kept]:
    """Return the store in a folder that is held, and what of it stays; a new one if there is none.

    The plan's images are put into the order of the store.

    Parameters
    ----------
    output : Path
    plan
        What is to be computed; see `crosskrylov.scores.stream`.
    settings : dict
        Everything that the numbers depend on beside the images.
    sizes
        What fits the memory budget.
    overwrite : bool
        Whether scores made from something else may be replaced.

    Raises
    ------
    DataError
        If the folder holds scores made from other images or settings.
    ConfigError
        If the budget does not hold the chunks that were begun.
    """
    text = json.dumps(settings, sort_keys=True)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()
    for file in list(output.iterdir()):
        if (
            LEFTOVER.fullmatch(file.name) and file.is_file()
        ):  # of a run that was killed while it wrote
            file.unlink(missing_ok=True)
    manifest = {
        "format": FORMAT,
        "quantity": plan.options.quantity,
        "n_images": plan.images.shape[0],
        "item_shape": plan.item_shape,
        "dtype": plan.options.storage,
        "steps": plan.steps.tolist(),
        "times": (plan.steps * plan.problem.time_step).tolist(),
        "spacing": plan.problem.spacing,
        "chunk_images": sizes.chunk,
        "class_names": plan.images.class_names,
        "fingerprint": fingerprint,
        "settings": settings,
        "origin": plan.images.origin,
    }
    try:
        begun = _begun(output, manifest, settings)
        if begun is not None:
            return _resumed(begun, manifest, plan.images, sizes)
    except DataError as error:
        if not overwrite:
            if isinstance(error, _OtherImagesError):
                raise DataError(
                    f"{printable(output)} holds scores made from other images or settings "
                    f"({error}); choose another folder, or overwrite it (--overwrite)."
                ) from None
            raise
    except ConfigError:
        if not overwrite:
            raise
    return _created(output, manifest, plan.images), Kept()


def _created(output: Path, manifest: dict, images) -> ScoreStore:
    """Return a new store; what was there is removed, records first."""
    for file in sorted(output.glob("chunk-*.json")) + sorted(output.glob("chunk-*.npy")):
        if is_ours(file.name) and not file.is_dir():
            file.unlink()
    (output / NAMES).unlink(missing_ok=True)
    return _written(output, manifest, images)


def _written(output: Path, manifest: dict, images) -> ScoreStore:
    if images.names is not None:
        write_json(output / NAMES, images.names)
    write_json(output / MANIFEST, manifest)
    return ScoreStore.open(output)


def _begun(output: Path, manifest: dict, settings: dict) -> ScoreStore | None:
    """Return the store that was begun in ``output`` with these settings; None if there is none."""
    try:
        store = ScoreStore.open(output)
    except OtherFormatError:
        raise
    except DataError:
        pass  # missing or damaged
    else:
        if store.manifest["fingerprint"] != manifest["fingerprint"]:
            raise _OtherImagesError(_difference(store.settings, settings))
        return store
    records = sorted(file for file in output.glob("chunk-*.json") if is_ours(file.name))
    return _repaired(output, manifest, records) if records else None


def _repaired(output: Path, manifest: dict, records: list[Path]) -> ScoreStore:
    """Return the store whose manifest is lost or damaged.

    Every chunk says what it was made with, so that nothing has to be computed again.

    Raises
    ------
    DataError
        If a chunk was made with other settings.
    """
    sizes = set()
    for file in records:
        try:
            record = read_json(file)
            sizes.add((record["fingerprint"], int(record["chunk_images"])))
        except (DataError, KeyError, TypeError, ValueError):
            continue  # a damaged record is no obstacle: its chunk is made again
    if len(sizes) > 1 or any(s[0] != manifest["fingerprint"] or s[1] < 1 for s in sizes):
        raise DataError(
            f"{printable(output / MANIFEST)} is missing or damaged, and the chunks beside it were "
            "made with other settings; choose another folder, or overwrite it (--overwrite)."
        )
    size = sizes.pop()[1] if sizes else manifest["chunk_images"]
    found = {**manifest, "chunk_images": size}
    names = _names(output)
    if names:
        found["n_images"] = len(names)
    return ScoreStore(output, found)


def _names(output: Path) -> list[str]:
    """Return the names that a store of files was begun with; none if they are lost."""
    try:
        names = read_json(output / NAMES)
    except DataError:
        return []
    return names if isinstance(names, list) and all(isinstance(n, str) for n in names) else []


def _difference(there: Any, wanted: Any, path: str = "") -> str:
    """Return the first setting by which two differ, with both values."""
    if isinstance(there, dict) and isinstance(wanted, dict):
        for key in sorted({*there, *wanted}):
            if there.get(key) != wanted.get(key):
                return _difference(there.get(key), wanted.get(key), f"{path}.{key}".lstrip("."))
    return f"{path or 'the settings'}: {there!r} there, {wanted!r} here"


def _resumed(store: ScoreStore, manifest: dict, images, sizes) -> tuple[ScoreStore, Kept]:
    """Return a store of these settings, grown by new images, and what is complete in it."""
    begun = int(store.manifest["chunk_images"])
    if min(begun, manifest["n_images"]) > sizes.most:
        raise ConfigError(
            f"engine.memory_mb holds {sizes.most} images at a time, but {printable(store.path)} "
            f"was begun with {begun} per chunk; raise it, or overwrite the scores (--overwrite)."
        )
    if images.names is not None:
        _arrange(store, images)
    if manifest["n_images"] < len(store):
        raise _OtherImagesError(f"{len(store)} images there, {manifest['n_images']} here")
    grown = {**manifest, "chunk_images": begun}
    whole = ScoreStore(store.path, grown)
    kept = Kept()
    for number in whole.present():
        record = whole.intact_record(number)
        if record is None:
            continue
        _compare(record, whole.rows(number), images)
        if record["n_images"] == len(whole.rows(number)) and not record["failures"]:
            kept.complete.add(number)
        else:
            kept.partial[number] = record
    on_disk = None
    with suppress(DataError):
        on_disk = read_json(store.path / MANIFEST)
    if grown != on_disk or (images.names is not None and _names(store.path) != images.names):
        whole = _written(store.path, grown, images)
    return whole, kept


def _arrange(store: ScoreStore, images) -> None:
    """Put the images into the order of the store, new ones behind the old."""
    places = dict(enumerate(_names(store.path)[: len(store)]))
    for number in store.present():  # they are right even where the list is lost
        record = store.record(number)
        if record is not None:
            abouts = zip(store.rows(number), record["images"], strict=False)
            places |= {row: about["name"] for row, about in abouts}
    there = set(images.names)
    gone = [name for name in places.values() if name not in there]
    if gone:
        raise _OtherImagesError(f"{len(gone)} images are gone, {printable(gone[0])} the first")
    known = set(places.values())
    others = (name for name in images.names if name not in known)
    images.arrange([places.get(row) or next(others) for row in range(len(images.names))])


def _compare(record: dict, rows: range, images) -> None:
    """Raise if an image is not the one that its scores were made of."""
    failed = {failure["image"] - rows.start for failure in record["failures"]}
    computed = [row for row in range(record["n_images"]) if row not in failed]
    if not images.all_compared and computed:
        computed = sorted({computed[0], computed[-1]})  # a source gives what it is described by
    for row in computed:
        about = record["images"][row]
        if not images.is_same(rows[row], about):
            raise _OtherImagesError(f"image {printable(about['name'])} has changed")
