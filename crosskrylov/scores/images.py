"""Where the engine gets its images: an array, files and folders, or a configured source.

Images are told apart by name and content: a file by its path relative to the folder that was named
and by its bytes, an image of an array by its number and pixels.  Where the folder lies, and when it
was copied, does not matter.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from crosskrylov.datasets.base import Source
from crosskrylov.datasets.folder import ImageFolder, list_images
from crosskrylov.datasets.loading import ImageReader, image_digest
from crosskrylov.datasets.pixels import COLOR, n_channels, read_square, to_channels
from crosskrylov.equation.density import checked_images, value_problem
from crosskrylov.errors import ConfigError, DataError
from crosskrylov.runtime.files import file_sha256, printable

#: Sides above it, in pixels, are typing errors.
MAX_SIZE = 100_000
#: More images than a source is asked for by mistake only; their numbers alone fill 800 MB.
MAX_IMAGES = 10**8

_CROP = "central square of the shorter side, resized by an antialiasing bicubic filter"


@dataclass(frozen=True)
class Picture:
    """One image and what is kept of it beside its scores.

    Attributes
    ----------
    pixels : ndarray, shape [C, H, W], in [0, 1]
    about : dict
        ``name``, ``label`` (text or None) and ``sha256`` of the content; of files ``size`` and
        ``mtime_ns`` too.
    """

    pixels: np.ndarray
    about: dict[str, Any]


#: Seed of every random draw where none is given.
SEED = 17


class Images(Protocol):
    """Images that are read one at a time, from several threads.

    Attributes
    ----------
    shape : tuple of int
        (N, C, H, W).
    names : list of str or None
        Names of all images where they are known without reading; the images can then be arranged.
    decodes : bool
        Whether reading takes memory by the size of files.
    all_compared : bool
        Whether `is_same` is cheap enough to be asked of every image.
    class_names : list of str or None
        Order of the labels; None: alphabetical.
    origin : dict
        Arguments of `as_images` that give these images again; empty for arrays.
    """

    shape: tuple[int, int, int, int]
    names: list[str] | None
    decodes: bool
    all_compared: bool
    class_names: list[str] | None
    origin: dict[str, Any]

    def read(self, index: int) -> Picture:
        """Return image ``index``; any exception means that this image is unusable."""

    def about(self, index: int) -> dict[str, Any]:
        """Return ``name`` and ``label`` of an image without reading it."""

    def is_same(self, index: int, about: Mapping[str, Any]) -> bool:
        """Return whether image ``index`` is the one that ``about`` was kept of."""

    def arrange(self, names: Sequence[str]) -> None:
        """Put the images into the order of ``names``, which are all of them."""

    def identity(self) -> dict[str, Any]:
        """Return what the pixels depend on beside the files, as JSON values."""


class ArrayImages:
    """Images of an array [N, C, H, W] of floating-point numbers in [0, 1], C = 1 or 3.

    Raises
    ------
    ShapeError, DataError
        If the array is not of that kind (`checked_images`), or most of its images have values
        outside [0, 1]; single ones that have are refused when they are read.
    """

    names, decodes, all_compared, class_names = None, False, True, None

    def __init__(self, images: np.ndarray):
        self._images = checked_images(images)
        self.shape = self._images.shape
        self.origin: dict[str, Any] = {}
        axes = (1, 2, 3)
        low, high = self._images.min(axis=axes), self._images.max(axis=axes)  # NaN if one is
        self._suspect = ~((low >= 0) & (high <= 1))
        outside = np.flatnonzero(self._suspect & ~np.isnan(low.astype(float)))
        if 2 * len(outside) > len(self._images):
            problem = value_problem(self._images[outside[0]])
            if problem is not None:  # no rounding
                raise DataError(
                    f"{len(outside)} of {len(self._images)} images have values outside [0, 1]: "
                    f"image number {outside[0]} {problem}."
                )

    def read(self, index: int) -> Picture:
        """Return image ``index``."""
        image = self._images[index]
        problem = value_problem(image) if self._suspect[index] else None
        if problem is not None:
            raise DataError(f"it {problem}")
        return Picture(image, {**self.about(index), "sha256": self._digest(index)})

    def about(self, index: int) -> dict[str, Any]:
        """Return the number of the image as its name."""
        return {"name": str(index), "label": None}

    def is_same(self, index: int, about: Mapping[str, Any]) -> bool:
        """Return whether the pixels are the same, bit by bit."""
        return about.get("sha256") == self._digest(index)

    def _digest(self, index: int) -> str:
        image = np.ascontiguousarray(self._images[index])
        digest = hashlib.sha256(image.dtype.str.encode())
        digest.update(image.view(np.uint8))
        return digest.hexdigest()

    def identity(self) -> dict[str, Any]:
        """Return the shape of the images."""
        return {"source": "array", "shape": list(self.shape[1:])}


class _Files:
    """What images that are files have in common; ``_entries`` are (name, file, label)."""

    all_compared = True

    def __init__(self, entries: Sequence[tuple[str, Path, str | None]]):
        self._entries, seen = [], {}
        for name, path, label in entries:
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > 1:  # of two folders, or named twice
                name = f"{name} ({seen[name]})"
            self._entries.append((name, path, label))

    @property
    def names(self) -> list[str]:
        """Names of all images."""
        return [name for name, _, _ in self._entries]

    def about(self, index: int) -> dict[str, Any]:
        """Return the relative path and the folder at the top of it, if every image has one."""
        name, _, label = self._entries[index]
        return {"name": name, "label": label}

    def content(self, index: int) -> dict[str, Any]:
        """Return size, modification time and SHA-256 of the file."""
        path = self._entries[index][1]
        status = path.stat()
        return {
            "size": status.st_size,
            "mtime_ns": status.st_mtime_ns,
            "sha256": file_sha256(path),
        }

    def is_same(self, index: int, about: Mapping[str, Any]) -> bool:
        """Return whether the file is the same; it is read only if its time has changed."""
        path = self._entries[index][1]
        try:
            status = path.stat()
            if status.st_size != about.get("size"):
                return False
            known = status.st_mtime_ns == about.get("mtime_ns")
            return known or file_sha256(path) == about.get("sha256")
        except OSError:
            return False

    def arrange(self, names: Sequence[str]) -> None:
        """Put the images into the order of ``names``."""
        by_name = {entry[0]: entry for entry in self._entries}
        self._entries = [by_name[name] for name in names]


class FileImages(_Files):
    """Image files, and all image files below folders, cropped to squares and resized."""

    decodes, class_names = True, None

    def __init__(self, paths, size: int, color: str = COLOR):
        if size is None:
            raise ConfigError("The image size is missing: give --size (pixels), e.g. --size 64.")
        whole = isinstance(size, int | np.integer) and not isinstance(size, bool)
        if not whole or not 2 <= size <= MAX_SIZE:
            raise ConfigError(
                f"The image size is {size!r}; it must be a whole number from 2 to {MAX_SIZE:,}."
            )
        self._channels = n_channels(color)
        files: list[tuple[str, Path]] = []
        for path in map(Path, paths):
            if _is_folder(path):
                files += [(name, path / name) for name in list_images(path)]
            else:
                files.append((path.name, path))
        tops = [name.split("/", 1)[0] if "/" in name else None for name, _ in files]
        if None in tops:
            tops = [None] * len(tops)
        super().__init__(
            [
                (printable(name), path, top and printable(top))
                for (name, path), top in zip(files, tops, strict=True)
            ]
        )
        self._size, self._color = int(size), color
        self.origin = {
            "images": [str(Path(path).absolute()) for path in paths],
            "size": self._size,
            "color": color,
        }

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return len(self._entries), self._channels, self._size, self._size

    def read(self, index: int) -> Picture:
        """Decode, crop and resize image ``index``; smaller images are enlarged."""
        pixels = read_square(self._entries[index][1], self._size, upscale=True)
        pixels = to_channels(pixels, self._color).transpose(2, 0, 1)
        return Picture(pixels, {**self.about(index), **self.content(index)})

    def identity(self) -> dict[str, Any]:
        """Return size, colour and how files become squares."""
        return {"source": "files", "size": self._size, "color": self._color, "crop": _CROP}


def _is_folder(path: Path) -> bool:
    """Return whether a path is a folder; what exists otherwise is taken for an image.

    Raises
    ------
    DataError
        If there is nothing of that name.
    """
    try:
        path.lstat()
        return path.is_dir()
    except FileNotFoundError:
        raise DataError(
            f"{printable(path)} does not exist: name image files or folders of them."
        ) from None
    except (OSError, ValueError) as error:  # too long, not permitted, a null byte
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{printable(path)} cannot be read ({reason}): name image files or folders of them."
        ) from None


class SourceImages:
    """Images of a source of `crosskrylov.datasets`, described as in config ``image_sets``."""

    names, decodes, all_compared = None, True, False

    def __init__(self, description: Mapping[str, Any]):
        self._description = {k: v for k, v in description.items() if v is not None}
        self._description.setdefault("seed", SEED)
        n_images = self._description.get("n_images")
        if isinstance(n_images, int) and n_images > MAX_IMAGES:
            raise ConfigError(f"n_images is {n_images}; it must be at most {MAX_IMAGES:,}.")
        self._reader = ImageReader(**self._description)
        self.shape = self._reader.shape
        self.class_names = [str(name) for name in self.opened.class_names] or None
        plain = {k: str(v) if isinstance(v, Path) else v for k, v in self._description.items()}
        if "root" in plain:
            plain["root"] = str(Path(plain["root"]).expanduser().absolute())
        self.origin = {"images": plain}

    @property
    def opened(self) -> Source:
        """The source itself."""
        return self._reader.source

    def read(self, index: int) -> Picture:
        """Return image ``index``."""
        item = self._reader[index]
        label = str(item.label) if item.label >= 0 else None
        if label is not None and self.class_names:
            label = self.class_names[item.label]
        about = {"name": item.name, "label": label, "sha256": image_digest(item.pixels)}
        return Picture(item.pixels, about)

    def about(self, index: int) -> dict[str, Any]:
        """Return source and number, all that is known before an image is read."""
        return {"name": f"{self._description['source']}:{index}", "label": None}

    def is_same(self, index: int, about: Mapping[str, Any]) -> bool:
        """Read the image again and compare."""
        try:
            return self.read(index).about == about
        except DataError:
            return False

    def arrange(self, names: Sequence[str]) -> None:
        """Do nothing: these images have one order."""

    def identity(self) -> dict[str, Any]:
        """Return the description without the place of the files and the number of images.

        A larger sample begins with the smaller one, so that more images can be appended.
        """
        plain = {k: v for k, v in self.origin["images"].items() if k not in ("root", "n_images")}
        return {**plain, "sampled": "n_images" in self._description, "shape": list(self.shape[1:])}


class FolderImages(_Files):
    """All images of a tree of files, as source ``folder`` reads them."""

    decodes = True

    def __init__(self, source: SourceImages):
        self._source, folder = source, source.opened
        files = [(folder.file(i), folder.label(i)) for i in range(folder.n_available)]
        super().__init__(
            [
                (printable(file.relative_to(folder.root).as_posix()), file, label)
                for file, label in files
            ]
        )
        self._rows = {name: row for row, name in enumerate(self.names)}
        self.class_names, self.origin = source.class_names, source.origin
        self.shape = source.shape

    def read(self, index: int) -> Picture:
        """Return image ``index``."""
        picture = self._source.read(self._rows[self._entries[index][0]])
        return Picture(picture.pixels, {**self.about(index), **self.content(index)})

    def identity(self) -> dict[str, Any]:
        """Return the description without the place of the folder."""
        return self._source.identity()


def as_images(images, size: int | None = None, color: str = COLOR) -> Images:
    """Return ``images`` as something to read from.

    Parameters
    ----------
    images : ndarray, mapping, path or list of paths
        Pixels [N, C, H, W] in [0, 1]; a description with ``source``, ``image_size``, ...; or image
        files and folders.
    size : int, optional
        Side in pixels; for files.
    color : {"rgb", "grey"}
        For files.
    """
    if isinstance(images, Mapping):
        source = SourceImages(images)
        whole_folder = images.get("n_images") is None
        if whole_folder and isinstance(source.opened, ImageFolder):
            return FolderImages(source)
        return source
    if isinstance(images, str | Path):
        return FileImages([images], size, color)
    if isinstance(images, list | tuple) and all(isinstance(p, str | Path) for p in images):
        if not images:
            raise DataError("No images were given: name image files or folders of them.")
        return FileImages(images, size, color)
    if hasattr(images, "read") and hasattr(images, "identity"):
        return images
    return ArrayImages(images)
