"""The subcommand ``compare``: distances between the images of two folders."""

import argparse
from pathlib import Path

import numpy as np

from crosskrylov.datasets.folder import list_images
from crosskrylov.datasets.pixels import decode_image, read_square, to_channels
from crosskrylov.errors import ConfigError, DataError
from crosskrylov.metrics.distances import frechet_distance, kernel_distance
from crosskrylov.metrics.features import extract_features
from crosskrylov.runtime.files import printable

#: Images whose pixels are in memory at once.
_BATCH = 256
#: Both kinds of features halve the sides three times.
_MULTIPLE = 8


def compare(given: argparse.Namespace) -> int:
    """Print the Fréchet and the kernel distance of two folders; return the exit status."""
    if given.size is not None and (given.size < _MULTIPLE or given.size % _MULTIPLE):
        raise ConfigError(f"--size is {given.size}; it must be a multiple of {_MULTIPLE}.")
    files = [_files(folder) for folder in given.folders]
    size = None if given.size is not None else _common_size(files[0][0])
    found = []
    for folder, paths in zip(given.folders, files, strict=True):
        found.append(_features(paths, size, given))
        n_images, dimension = found[-1].shape
        if n_images <= dimension:
            raise DataError(
                f"{printable(folder)} holds {n_images} images, but a Fréchet distance between "
                f"{dimension} features ({given.features}) needs at least {dimension + 1}: add "
                "images."
            )
    print(f"images    {len(found[0])} and {len(found[1])}, features {given.features}")
    print(f"Fréchet   {frechet_distance(*found):.6g}")
    print(f"kernel    {kernel_distance(*found):.6g}")
    return 0


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{printable(folder)} is no folder: name two folders of images.")
    return [folder / name for name in list_images(folder)]


def _common_size(path: Path) -> tuple[int, int]:
    """Return height and width of the first image, which all others have to have."""
    height, width = decode_image(path).shape[:2]
    if height % _MULTIPLE or width % _MULTIPLE:
        raise DataError(
            f"image {printable(path)} is {width} x {height} pixels (width x height), but sides "
            f"must be multiples of {_MULTIPLE}: give --size, e.g. --size 32."
        )
    return height, width


def _features(paths: list[Path], size: tuple[int, int] | None, given) -> np.ndarray:
    parts = []
    for first in range(0, len(paths), _BATCH):
        pixels = [_read(path, size, given) for path in paths[first : first + _BATCH]]
        parts.append(extract_features(given.features, np.stack(pixels)))
    return np.concatenate(parts)


def _read(path: Path, size: tuple[int, int] | None, given) -> np.ndarray:
    """Return an image [C, H, W]; DataError if it has another size than asked for."""
    if size is None:
        pixels = read_square(path, given.size, upscale=True)
    else:
        pixels = decode_image(path)
        if pixels.shape[:2] != size:
            (height, width), found = size, pixels.shape
            raise DataError(
                f"image {printable(path)} is {found[1]} x {found[0]} pixels, but the first one is "
                f"{width} x {height}, and sizes must agree: give --size to crop and resize all."
            )
    return to_channels(pixels, given.color).transpose(2, 0, 1)
