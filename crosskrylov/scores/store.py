"""Scores on disk: a folder of array files, readable in part, complete or absent chunk by chunk.

    manifest.json        what the numbers are, and everything they depend on
    names.json           names of the images in their order; of files only
    chunk-00000.npy      float16 or float32, shape (n, S, 2, H, W); log-densities (n, S, H, W)
    chunk-00000.json     written last: SHA-256 of the array file, fingerprint of the settings, name,
                         label and content of each image, what ran, images that failed
    .lock                while somebody writes

A chunk exists once its .json does and has the manifest's fingerprint.  Array files are plain .npy
and are memory-mapped to read.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from crosskrylov.errors import DataError, ShapeError
from crosskrylov.runtime.files import (
    LOCK,
    atomic_path,
    file_sha256,
    printable,
    read_json,
)

if TYPE_CHECKING:
    from crosskrylov.scores.torch_dataset import ScoreDataset

#: Version of this layout; readers refuse others.
FORMAT = 2
MANIFEST = "manifest.json"
NAMES = "names.json"

_CHUNK = re.compile(r"chunk-(\d{5,})\.(npy|json)")
#: What a writer that was killed leaves behind.
LEFTOVER = re.compile(r"\.(chunk-\d{5,}|manifest|names)\..+\.partial\.(npy|json)")

#: Chunks that are kept open while they are read.
_MAPS = 256

#: Keys of a manifest and of a chunk's record, and what their values are.
_MANIFEST_KEYS: dict[str, type | tuple] = {
    "quantity": str,
    "n_images": int,
    "item_shape": list,
    "dtype": str,
    "steps": list,
    "times": list,
    "chunk_images": int,
    "fingerprint": str,
    "settings": dict,
}
_RECORD_KEYS: dict[str, type | tuple] = {
    "sha256": str,
    "fingerprint": str,
    "first_image": int,
    "n_images": int,
    "images": list,
    "failures": list,
    "method": str,
    "iterations": int,
    "fallbacks": int,
    "seconds": (int, float),
    "max_relative_residual": (int, float, type(None)),
}


def is_ours(name: str) -> bool:
    """Return whether a file of that name in a folder of scores may be replaced or removed."""
    return bool(
        name in (MANIFEST, NAMES, LOCK) or _CHUNK.fullmatch(name) or LEFTOVER.fullmatch(name)
    )


def _has(value: Any, keys: Mapping[str, type | tuple]) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(k), t) for k, t in keys.items())


class OtherFormatError(DataError):
    """A store was written by another version."""


@dataclass(repr=False)
class ScoreStore:
    """The scores (or log-densities) of a set of images at the stored times.

    ``store[i]`` reads only that image, as ndarray [S, 2, H, W]; ``store[3:7]``, ``store[[1, -2]]``
    and ``store[mask]`` read several, as [n, S, 2, H, W]; images without scores are NaN and listed
    in `failures`.

    Attributes
    ----------
    path : Path
        The folder.
    manifest : dict
        Contents of manifest.json; ``settings`` in it holds the resolved equation (g at the stored
        times, T, steps), density, engine, and how images became squares.
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
        file = path / MANIFEST
        try:
            there = file.is_file()
        except (OSError, ValueError) as error:  # too long, not permitted, a null byte
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"{printable(path)} cannot be read ({reason}).") from None
        if not there:
            raise DataError(
                f"{printable(path)} holds no scores ({MANIFEST} is missing): correct the path."
            )
        manifest = None
        with suppress(DataError):  # the sentence below says what helps: deleting it would not
            manifest = read_json(file)
        if isinstance(manifest, dict) and manifest.get("format", FORMAT) != FORMAT:
            raise OtherFormatError(
                f"{printable(file)} is of format {manifest['format']}, not of format {FORMAT}: "
                "compute the scores again with this version (precompute --overwrite replaces them)."
            )
        problem = _manifest_problem(manifest)
        if problem is not None:
            raise DataError(
                f"{printable(file)} is damaged ({problem}): run the pre-computation again, which "
                "repairs it where the settings are the same, or add --overwrite."
            )
        return cls(path, manifest)

    def __len__(self) -> int:
        """Return the number of images."""
        return int(self.manifest["n_images"])

    def __repr__(self) -> str:
        quantity, dtype = self.manifest["quantity"], self.manifest["dtype"]
        return f"<ScoreStore {printable(self.path)}: {quantity}, {dtype}, shape {self.shape}>"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all arrays together, image axis first."""
        return (len(self), *self.manifest["item_shape"])

    @property
    def times(self) -> np.ndarray:
        """Stored times, shape (S,)."""
        return np.array(self.manifest["times"], dtype=np.float64)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that the numbers depend on beside the images, with no default left out."""
        return self.manifest["settings"]

    # --- names and labels ------------------------------------------------------------------------

    @cached_property
    def names(self) -> list[str]:
        """Names of the images: paths relative to the folder, or numbers."""
        try:
            names = [str(name) for name in read_json(self.path / NAMES)][: len(self)]
        except (DataError, TypeError):
            names = []
        names += [str(number) for number in range(len(names), len(self))]
        for about, number in self._abouts():
            names[number] = str(about["name"])
        return names

    @cached_property
    def _label_texts(self) -> list[str | None]:
        texts: list[str | None] = [None] * len(self)
        for about, number in self._abouts():
            texts[number] = about.get("label")
        return texts

    @cached_property
    def class_names(self) -> list[str]:
        """Names of the labels 0, 1, ...; empty if images have none."""
        given = self.manifest.get("class_names")
        return list(given or sorted({text for text in self._label_texts if text is not None}))

    @cached_property
    def labels(self) -> np.ndarray:
        """Index of each image's label in `class_names`, -1 where there is none; shape (N,)."""
        index = {name: i for i, name in enumerate(self.class_names)}
        return np.array([index.get(text, -1) for text in self._label_texts], dtype=np.int64)

    def about(self, number: int) -> dict[str, Any]:
        """Return what is kept of an image: name, label, SHA-256 of its content; {} if nothing."""
        chunk, row = divmod(range(len(self))[number], self._chunk_images)
        record = self._records.get(chunk)
        return record["images"][row] if record and row < record["n_images"] else {}

    def _abouts(self):
        for chunk, record in self._records.items():
            for row, about in enumerate(record["images"]):
                if row < len(self.rows(chunk)):
                    yield about, self.rows(chunk)[row]

    # --- chunks ----------------------------------------------------------------------------------

    @property
    def _chunk_images(self) -> int:
        return int(self.manifest["chunk_images"])

    @property
    def n_chunks(self) -> int:
        """Number of chunks, present or not."""
        return -(-len(self) // self._chunk_images)

    def rows(self, chunk: int) -> range:
        """Return the image numbers of a chunk."""
        size = self._chunk_images
        return range(chunk * size, min((chunk + 1) * size, len(self)))

    def array_path(self, chunk: int) -> Path:
        """Return the array file of a chunk."""
        return self.path / f"chunk-{chunk:05d}.npy"

    def record_path(self, chunk: int) -> Path:
        """Return the record of a chunk."""
        return self.array_path(chunk).with_suffix(".json")

    @contextmanager
    def writing_chunk(self, chunk: int) -> Iterator["ChunkWriter"]:
        """Yield what takes the chunk's values image by image; at the end, all of it exists.

        The array goes to a temporary file and replaces an older one once it is complete; the
        record, `ChunkWriter.record`, follows and makes it count.

        Raises
        ------
        DataError
            If the disk is full or the folder cannot be written to; no half-written file is left.
        ShapeError
            If there were more or fewer images than the chunk has.
        """
        shape = (len(self.rows(chunk)), *self.manifest["item_shape"])
        with atomic_path(self.array_path(chunk)) as partial:
            with partial.open("wb") as stream:
                writer = ChunkWriter(stream, shape, self.manifest["dtype"])
                yield writer
            digest = writer.digest()
            try:
                self.record_path(chunk).unlink(missing_ok=True)
            except OSError as error:
                raise DataError(
                    f"{printable(self.record_path(chunk))} cannot be replaced ({error.strerror}): "
                    "remove it."
                ) from None
        own = {key: self.manifest[key] for key in ("fingerprint", "chunk_images")}
        _write_record(self.record_path(chunk), {**writer.record, **own, "sha256": digest})

    def present(self) -> list[int]:
        """Return the chunks that have a record, in order; one look at the folder."""
        try:
            found = (_CHUNK.fullmatch(name) for name in os.listdir(self.path))
        except OSError as error:
            raise DataError(f"{printable(self.path)} cannot be read ({error.strerror}).") from None
        numbers = {int(match[1]) for match in found if match and match[2] == "json"}
        return sorted(number for number in numbers if number < self.n_chunks)

    def record(self, chunk: int) -> dict[str, Any] | None:
        """Return the record of a chunk, None if the chunk is missing or its record damaged.

        A record with another fingerprint, of other rows or with more images belongs to other
        scores, and counts as none.
        """
        try:
            record = read_json(self.record_path(chunk))
        except DataError:
            return None
        rows = self.rows(chunk)
        right = (
            _has(record, _RECORD_KEYS)
            and record["fingerprint"] == self.manifest["fingerprint"]
            and record["first_image"] == rows.start
            and 0 < record["n_images"] == len(record["images"]) <= len(rows)
            and all(_has(about, {"name": str}) for about in record["images"])
            and all(_has(f, {"image": int, "name": str, "reason": str}) for f in record["failures"])
        )
        return record if right else None

    def intact_record(self, chunk: int) -> dict[str, Any] | None:
        """Return the record of a chunk whose array is that which was written; None otherwise.

        The chunk may have fewer images than there is room for, if more were appended since.
        """
        record = self.record(chunk)
        try:
            if record is None or file_sha256(self.array_path(chunk)) != record["sha256"]:
                return None
            self._mapped(chunk, record["n_images"])
        except (OSError, DataError):
            return None
        return record

    def is_intact(self, chunk: int) -> bool:
        """Return whether a chunk is there, complete, and its bytes are those that were written."""
        record = self.intact_record(chunk)
        return record is not None and record["n_images"] == len(self.rows(chunk))

    def damaged(self) -> list[int]:
        """Return the chunks that are missing or not intact (reads every byte)."""
        intact = {chunk for chunk in self.present() if self.is_intact(chunk)}
        return [chunk for chunk in range(self.n_chunks) if chunk not in intact]

    def __getstate__(self) -> dict[str, Any]:
        # a worker of a loader opens the files itself: a memory map travels as all that it shows
        return {key: value for key, value in self.__dict__.items() if key != "_maps"}

    @cached_property
    def _maps(self) -> dict[int, tuple[tuple, np.ndarray]]:
        """Memory maps that are open, with the version of their file."""
        return {}

    @cached_property
    def _sizes(self) -> dict[int, int]:
        return {}  # images of the chunks whose records were looked at

    @cached_property
    def _records(self) -> dict[int, dict[str, Any]]:
        records = {chunk: self.record(chunk) for chunk in self.present()}
        return {chunk: record for chunk, record in records.items() if record}

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Images without scores: dicts with ``image`` (number), ``name`` and ``reason``."""
        return [entry for record in self._records.values() for entry in record["failures"]]

    def chunk(self, chunk: int) -> np.ndarray:
        """Return a chunk as a read-only memory map.

        Raises
        ------
        DataError
            If it is missing, its file is damaged, or it belongs to scores of other settings.
        """
        if chunk not in self._sizes:
            record = self.record(chunk)
            if record is None:
                raise DataError(
                    f"{printable(self.array_path(chunk))} is missing, or its record is damaged or "
                    "of other settings: run the pre-computation again, which makes such chunks."
                )
            self._sizes[chunk] = record["n_images"]
        return self._mapped(chunk, self._sizes[chunk])

    def _mapped(self, chunk: int, n_images: int) -> np.ndarray:
        path = self.array_path(chunk)
        try:
            # opening costs more than reading an image; a chunk made anew is another file
            found = path.stat()
            version = (found.st_ino, found.st_mtime_ns, n_images)
            if self._maps.get(chunk, (None,))[0] == version:
                return self._maps[chunk][1]
            values = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError, SyntaxError) as error:
            raise DataError(
                f"{printable(path)} cannot be read ({error}): run the pre-computation again, which "
                "makes what is missing or damaged."
            ) from error
        expected = (n_images, *self.manifest["item_shape"])
        if values.shape != expected or values.dtype != self.manifest["dtype"]:
            raise DataError(
                f"{printable(path)} has shape {values.shape} and dtype {values.dtype}, but "
                f"{expected} and {self.manifest['dtype']} were expected: run the pre-computation "
                "again."
            )
        if len(self._maps) >= _MAPS:
            self._maps.clear()
        self._maps[chunk] = version, values
        return values

    # --- reading ---------------------------------------------------------------------------------

    def __getitem__(self, key) -> np.ndarray:
        if isinstance(key, int | np.integer) and not isinstance(key, bool):
            return np.array(self._image(int(key)))
        numbers = self._numbers(key)
        out = np.empty((len(numbers), *self.manifest["item_shape"]), self.manifest["dtype"])
        for position, number in enumerate(numbers):
            out[position] = self._image(number)
        return out

    def at_step(self, number: int, step: int) -> np.ndarray:
        """Return what is stored of one image at one time, ``times[step]``: [C,] [2,] H, W."""
        values = self._image(number)
        step_axis = 1 if self.settings["density"].get("channels") == "each" else 0
        return np.array(values.take(step, axis=step_axis))

    def _numbers(self, key) -> Sequence[int]:
        """Return the image numbers that a slice, a sequence or a mask means."""
        if isinstance(key, slice):
            return range(len(self))[key]
        chosen = np.asarray(key)
        if chosen.ndim == 1 and chosen.dtype == bool and len(chosen) == len(self):
            return np.flatnonzero(chosen).tolist()
        if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
            raise IndexError(
                f"a store of {len(self)} images takes a number, a slice, a list of numbers or a "
                f"mask of {len(self)} booleans, not {key!r}"
            )
        return [int(number) for number in chosen]

    def _image(self, number: int) -> np.ndarray:
        try:
            number = range(len(self))[number]  # understands negative numbers
        except IndexError:
            raise IndexError(f"image {number} of a store of {len(self)} images") from None
        chunk, row = divmod(number, self._chunk_images)
        values = self.chunk(chunk)
        if row >= len(values):
            raise DataError(
                f"image {number} of {printable(self.path)} has no scores yet: run the "
                "pre-computation again."
            )
        return values[row]

    def torch_dataset(
        self, images=False, labels: bool = False, one_step: bool = False
    ) -> "ScoreDataset":
        """Return the scores as a dataset of torch, image by image, without those that failed.

        Parameters
        ----------
        images : bool, or what `precompute_scores` takes
            Whether items begin with the image [C, H, W], read again as it was for its scores; True:
            from where it was read then; or name where the images are now (arrays have to be given).
        labels : bool
            Whether items end with the label.
        one_step : bool
            Draw one of the stored steps for an item, by torch's generator: in place of all scores
            [S, 2, H, W] an item has a time and the score at it [2, H, W].
        """
        from crosskrylov.scores.torch_dataset import ScoreDataset  # needs torch

        return ScoreDataset(self, images, labels, one_step)

    def summary(self) -> dict[str, Any]:
        """Return what ran, how long it took and how exact it is, over all present chunks.

        Returns
        -------
        dict
            images, failed_images, method, seconds (wall clock), seconds_per_image,
            mean_iterations, fallbacks, max_relative_residual (None where nothing is iterated).
        """
        records = list(self._records.values())
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


class ChunkWriter:
    """A chunk's array file in the making: the bytes that `numpy.save` would write, and their hash.

    Attributes
    ----------
    record : dict
        What the chunk's record is to say.
    """

    def __init__(self, stream: BinaryIO, shape: tuple[int, ...], dtype: str):
        self.record: dict[str, Any] = {}
        self._stream, self._shape, self._dtype = stream, shape, np.dtype(dtype)
        self._written, self._hash = 0, hashlib.sha256()
        header = BytesIO()
        array_format = np.lib.format
        description = {"descr": array_format.dtype_to_descr(self._dtype), "fortran_order": False}
        array_format.write_array_header_1_0(header, description | {"shape": shape})
        self._put(header.getbuffer())

    def append(self, values: np.ndarray) -> None:
        """Write the values of the next images, shape (n, ...); the interpreter's lock is free."""
        if values.shape[1:] != self._shape[1:] or values.dtype != self._dtype:
            raise ShapeError(
                f"A chunk of {self._dtype} {self._shape} cannot take {values.dtype} {values.shape}."
            )
        self._put(memoryview(np.ascontiguousarray(values)).cast("B"))
        self._written += len(values)

    def _put(self, data: memoryview) -> None:
        self._stream.write(data)
        self._hash.update(data)

    def digest(self) -> str:
        """Return the SHA-256 of a file that is complete."""
        if self._written != self._shape[0]:
            raise ShapeError(f"A chunk needs {self._shape[0]} images, found {self._written}.")
        return self._hash.hexdigest()


def _write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a record as JSON on one line: hundreds of images are encoded ten times as fast so."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def _manifest_problem(manifest: Any) -> str | None:
    """Return what is wrong with the contents of a manifest, None if nothing is."""
    if not isinstance(manifest, dict):
        return "it is no JSON object"
    if "format" not in manifest:
        return "'format' is missing"
    for key, kind in _MANIFEST_KEYS.items():
        if not isinstance(manifest.get(key), kind) or isinstance(manifest[key], bool):
            return f"{key!r} is missing or of another kind"
    shape, steps = manifest["item_shape"], manifest["steps"]
    whole = [manifest["n_images"], manifest["chunk_images"], *shape, *steps]
    if not all(isinstance(n, int) and 1 <= n < 2**48 for n in whole):
        return "numbers of images, steps or pixels are impossible"
    if not all(isinstance(t, int | float) for t in manifest["times"]):
        return "times are no numbers"
    if manifest["dtype"] not in ("float16", "float32", "float64"):
        return f"dtype is {manifest['dtype']!r}"
    vector = [2] if manifest["quantity"] == "score" else []
    tail = [len(steps), *vector, *shape[-2:]]
    if not steps or len(manifest["times"]) != len(steps) or shape[-len(tail) :] != tail:
        return "its shape does not fit its steps"
    if len(shape) - len(tail) not in (0, 1):
        return "its shape has too many axes"
    return None
