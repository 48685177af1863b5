"""Dividing images among jobs, and putting the parts' folders together."""

import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from crosskrylov.errors import ConfigError, DataError
from crosskrylov.runtime.files import atomic_folder, write_json
from crosskrylov.scores.engine_options import EngineOptions
from crosskrylov.scores.store import MANIFEST, NAMES, ScoreStore
from crosskrylov.scores.stream import MAX_CHUNK_IMAGES


def part_rows(n_images: int, n_parts: int, chunk_images: int | None) -> tuple[list[range], int]:
    """Divide images into contiguous parts made of whole chunks.

    Parameters
    ----------
    n_images, n_parts : int
    chunk_images : int or None
        Images per chunk; None: so that every part has one, at most 1,000 images.

    Returns
    -------
    parts : list of range
        Image numbers of each part; a part may be empty.
    chunk_images : int
        Images per chunk; only the last chunk of all may have fewer.
    """
    if n_parts < 1:
        raise ConfigError(f"engine.parts is {n_parts}; it must be at least 1.")
    chunk = chunk_images or min(MAX_CHUNK_IMAGES, -(-n_images // n_parts))
    n_chunks = -(-n_images // chunk)
    edges = [len(a) for a in np.array_split(np.arange(n_chunks), n_parts)]
    edges = np.minimum(np.concatenate([[0], np.cumsum(edges)]) * chunk, n_images).tolist()
    return [range(a, b) for a, b in pairwise(edges)], chunk


def part_options(options: EngineOptions, chunk_images: int, n_workers: int) -> dict:
    """Return the engine's keywords for one part: the common chunk size and the job's threads."""
    keywords = {key: getattr(options, key) for key in options.__dataclass_fields__}
    return keywords | {"chunk_images": chunk_images, "workers": n_workers}


def gather_scores(parts: Sequence[Path], output: Path) -> ScoreStore:
    """Put the folders of consecutive parts together as one folder of scores.

    Chunk files are linked where the file system can, else copied; their bytes stay the same.

    Raises
    ------
    DataError
        If a part is damaged or was made with other settings.
    """
    stores = [ScoreStore.open(path) for path in parts if (Path(path) / MANIFEST).is_file()]
    if not stores:
        raise DataError("There are no parts to gather: compute them first.")
    first = stores[0].manifest
    same = ("quantity", "item_shape", "dtype", "steps", "times", "chunk_images")
    offset = first["settings"].get("first_image")
    for store in stores:
        expected = {**first["settings"]} | ({} if offset is None else {"first_image": offset})
        if (
            any(store.manifest[key] != first[key] for key in same)
            or store.manifest["settings"] != expected
        ):
            raise DataError(f"{store.path} was made with other settings than {stores[0].path}.")
        damaged = store.damaged()
        if damaged:
            raise DataError(f"{store.array_path(damaged[0])} is missing or damaged; make it again.")
        offset = None if offset is None else offset + len(store)
    # of the settings of the first part, and so what the whole would be if made in one
    manifest = {**first, "n_images": sum(len(store) for store in stores)}
    numbered = first["settings"]["images"]["source"] == "array"
    with atomic_folder(output) as folder:
        whole, number, offset = ScoreStore(folder, manifest), 0, 0
        write_json(folder / MANIFEST, manifest)
        if not numbered:
            write_json(folder / NAMES, [name for store in stores for name in store.names])
        for store in stores:
            for chunk in range(store.n_chunks):
                _link_or_copy(store.array_path(chunk), whole.array_path(number))
                record = store.record(chunk) | {"fingerprint": first["fingerprint"]}
                record["first_image"] += offset
                for failure in record["failures"]:
                    failure["image"] += offset
                if numbered:  # within the part
                    for row, about in enumerate(record["images"], record["first_image"]):
                        about["name"] = str(row)
                    for failure in record["failures"]:
                        failure["name"] = str(failure["image"])
                write_json(whole.record_path(number), record)
                number += 1
            offset += len(store)
    return ScoreStore.open(output)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
