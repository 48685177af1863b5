"""Where the engine gets its images: an array, files and folders, or a configured source."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from crosskrylov.datasets.folder import list_images
from crosskrylov.datasets.loading import ImageReader, image_digest
from crosskrylov.datasets.pixels import COLOR, decode_image, fit, n_channels, to_channels
from crosskrylov.errors import ConfigError, DataError, ShapeError

#: Seed of every random draw where none is given.
SEED = 17


class Images(Protocol):
    """Images that are read one at a time, from several threads.

    Attributes
    ----------
    shape : tuple of int
        (N, C, H, W).
    """

    shape: tuple[int, int, int, int]

    def read(self, index: int) -> np.ndarray:
        """Return image ``index``, float [C, H, W] in [0, 1]; DataError if it is unusable."""

    def name(self, index: int) -> str:
        """Return what to call the image in messages."""

    def identity(self) -> dict[str, Any]:
        """Return what tells these images from others."""


class ArrayImages:
    """Images of an array [N, C, H, W]."""

    def __init__(self, images: np.ndarray):
        self._images = np.asarray(images)
        if self._images.ndim != 4 or not self._images.size:
            raise ShapeError(f"Images need shape (N, C, H, W); the array has {self._images.shape}.")
        self.shape = self._images.shape

    def read(self, index: int) -> np.ndarray:
        """Return image ``index``."""
        return self._images[index]

    def name(self, index: int) -> str:
        """Return the number of the image."""
        return str(index)

    def identity(self) -> dict[str, Any]:
        """Return the digest of the pixels."""
        digest = hashlib.sha256()
        for image in self._images:
            digest.update(image_digest(image).encode())
        return {"source": "array", "shape": list(self.shape), "sha256": digest.hexdigest()}


class FileImages:
    """Image files, and all image files below folders, cropped to squares and resized."""

    def __init__(self, paths, size: int, color: str = COLOR):
        if size is None:
            raise ConfigError("The image size is missing: give --size (pixels), e.g. --size 64.")
        channels = n_channels(color)
        self._files: list[Path] = []
        for path in map(Path, paths):
            if path.is_dir():
                self._files += [path / name for name in list_images(path)]
            elif path.is_file():
                self._files.append(path)
            else:
                raise DataError(f"{path} does not exist: name image files or folders of them.")
        self._size, self._color = size, color
        self.shape = (len(self._files), channels, size, size)

    def read(self, index: int) -> np.ndarray:
        """Decode, crop and resize image ``index``; smaller images are enlarged."""
        path = self._files[index]
        pixels = fit(decode_image(path), self._size, path, upscale=True)
        return to_channels(pixels, self._color).transpose(2, 0, 1)

    def name(self, index: int) -> str:
        """Return the file's path."""
        return str(self._files[index])

    def identity(self) -> dict[str, Any]:
        """Return a digest of names, sizes and modification times of all files."""
        digest = hashlib.sha256()
        for path in self._files:
            status = path.stat()
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        return {"source": "files", "shape": list(self.shape), "sha256": digest.hexdigest()}


class SourceImages:
    """Images of a source of `crosskrylov.datasets`, described as in config ``image_sets``."""

    def __init__(self, description: Mapping[str, Any]):
        self._description = {k: v for k, v in description.items() if v is not None}
        self._description.setdefault("seed", SEED)
        self._reader = ImageReader(**self._description)
        self.shape = self._reader.shape

    def read(self, index: int) -> np.ndarray:
        """Return image ``index``."""
        return self._reader[index].pixels

    def name(self, index: int) -> str:
        """Return the number of the image."""
        return f"{self._description['source']}:{index}"

    def identity(self) -> dict[str, Any]:
        """Return the description itself."""
        plain = {k: str(v) if isinstance(v, Path) else v for k, v in self._description.items()}
        return {**plain, "shape": list(self.shape)}


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
        return SourceImages(images)
    if isinstance(images, str | Path):
        return FileImages([images], size, color)
    if isinstance(images, list | tuple) and all(isinstance(p, str | Path) for p in images):
        if not images:
            raise DataError("No images were given: name image files or folders of them.")
        return FileImages(images, size, color)
    if hasattr(images, "read") and hasattr(images, "identity"):
        return images
    return ArrayImages(images)
