"""Scores on disk: a folder of array files, readable in part, complete or absent chunk by chunk.

    manifest.json        what the numbers are, and everything they depend on
    chunk-00000.npy      float16 or float32, shape (n, S, 2, H, W); log-densities (n, S, H, W)
    chunk-00000.json     written last: SHA-256 of the array file, what ran, images that failed

A chunk exists once its .json does.  Array files are plain .npy and are memory-mapped to read.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from crosskrylov.errors import DataError, ShapeError
from crosskrylov.runtime.files import atomic_path, read_json, write_json

#: Version of this layout; readers refuse others.
FORMAT = 1
MANIFEST = "manifest.json"


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass
class ScoreStore:
    """The scores (or log-densities) of a set of images at the stored times.

    ``store[i]`` and ``store[3:7]`` read only those images, as ndarrays [S, 2, H, W] and
    [n, S, 2, H, W]; images without scores are NaN and listed in `failures`.

    Attributes
    ----------
    path : Path
        The folder.
    manifest : dict
        Contents of manifest.json.
    """

    path: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, path) -> "ScoreStore":
        """Open a folder that was written by `precompute_scores`.

        Raises
        ------
        DataError
            If there is no manifest, it is damaged, or of another version.
        """
        path = Path(path)
        if not (path / MANIFEST).is_file():
            raise DataError(f"{path} holds no scores ({MANIFEST} is missing): correct the path.")
        manifest = read_json(path / MANIFEST)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise DataError(
                f"{path / MANIFEST} is not of format {FORMAT}: compute the scores again with this "
                "version."
            )
        return cls(path, manifest)

    def __len__(self) -> int:
        """Return the number of images."""
        return int(self.manifest["n_images"])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all arrays together, image axis first."""
        return (len(self), *self.manifest["item_shape"])

    @property
    def times(self) -> np.ndarray:
        """Stored times, shape (S,)."""
        return np.array(self.manifest["times"], dtype=np.float64)

    @property
    def n_chunks(self) -> int:
        """Number of chunks, present or not."""
        return -(-len(self) // int(self.manifest["chunk_images"]))

    def rows(self, chunk: int) -> range:
        """Return the image numbers of a chunk."""
        size = int(self.manifest["chunk_images"])
        return range(chunk * size, min((chunk + 1) * size, len(self)))

    def array_path(self, chunk: int) -> Path:
        """Return the array file of a chunk."""
        return self.path / f"chunk-{chunk:05d}.npy"

    def record_path(self, chunk: int) -> Path:
        """Return the record of a chunk."""
        return self.array_path(chunk).with_suffix(".json")

    def write_chunk(self, chunk: int, values: np.ndarray, record: dict[str, Any]) -> None:
        """Write a chunk atomically: first the array, then the record that makes it count.

        Raises
        ------
        DataError
            If the disk is full or the folder cannot be written to; no half-written file is left.
        """
        expected = (len(self.rows(chunk)), *self.manifest["item_shape"])
        if values.shape != expected:
            raise ShapeError(f"Chunk {chunk} needs shape {expected}, found {values.shape}.")
        self.record_path(chunk).unlink(missing_ok=True)
        with atomic_path(self.array_path(chunk)) as partial:
            with partial.open("wb") as stream:
                np.save(stream, values, allow_pickle=False)
            digest = file_sha256(partial)
        write_json(self.record_path(chunk), {**record, "sha256": digest})

    def record(self, chunk: int) -> dict[str, Any] | None:
        """Return the record of a chunk, None if the chunk is missing or its record damaged."""
        try:
            record = read_json(self.record_path(chunk))
        except DataError:
            return None
        return record if isinstance(record, dict) and "sha256" in record else None

    def is_intact(self, chunk: int) -> bool:
        """Return whether a chunk is there and its bytes are those that were written."""
        record = self.record(chunk)
        try:
            return record is not None and file_sha256(self.array_path(chunk)) == record["sha256"]
        except OSError:
            return False

    def damaged(self) -> list[int]:
        """Return the chunks that are missing or not intact (reads every byte)."""
        return [chunk for chunk in range(self.n_chunks) if not self.is_intact(chunk)]

    @cached_property
    def _records(self) -> list[dict[str, Any] | None]:
        return [self.record(chunk) for chunk in range(self.n_chunks)]

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Images without scores: dicts with ``image`` (number), ``name`` and ``reason``."""
        return [entry for record in self._records if record for entry in record["failures"]]

    def chunk(self, chunk: int) -> np.ndarray:
        """Return a chunk as a read-only memory map.

        Raises
        ------
        DataError
            If it is missing or its file is damaged.
        """
        path = self.array_path(chunk)
        try:
            values = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(
                f"{path} cannot be read ({error}): run the pre-computation again, which makes what "
                "is missing or damaged."
            ) from error
        expected = (len(self.rows(chunk)), *self.manifest["item_shape"])
        if values.shape != expected:
            raise DataError(f"{path} has shape {values.shape}, but {expected} was expected.")
        return values

    def __getitem__(self, key: int | slice) -> np.ndarray:
        if isinstance(key, slice):
            numbers = range(len(self))[key]
            out = np.empty((len(numbers), *self.manifest["item_shape"]), self.manifest["dtype"])
            for position, number in enumerate(numbers):
                out[position] = self[number]
            return out
        number = range(len(self))[key]  # raises IndexError, understands negative numbers
        chunk, row = divmod(number, int(self.manifest["chunk_images"]))
        return np.array(self.chunk(chunk)[row])

    def summary(self) -> dict[str, Any]:
        """Return what ran, how long it took and how exact it is, over all present chunks.

        Returns
        -------
        dict
            images, failed_images, method, seconds (wall clock), seconds_per_image,
            mean_iterations, fallbacks, max_relative_residual (None where nothing is iterated).
        """
        records = [record for record in self._records if record]
        images = sum(record["n_images"] for record in records)
        residuals = [r["max_relative_residual"] for r in records]
        residuals = [value for value in residuals if value is not None]
        iterations = sum(record["iterations"] for record in records)
        seconds = sum(record["seconds"] for record in records)
        return {
            "images": images,
            "failed_images": len(self.failures),
            "method": ", ".join(sorted({record["method"] for record in records})),
            "seconds": seconds,
            "seconds_per_image": seconds / images if images else None,
            "mean_iterations": iterations / images if residuals else None,
            "fallbacks": sum(r["fallbacks"] for r in records) if residuals else None,
            "max_relative_residual": max(residuals, default=None),
        }
