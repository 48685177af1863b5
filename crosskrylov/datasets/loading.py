"""From the name of a source to images as float32 [N, C, H, W] in [0, 1], at once or in batches."""

import hashlib
import importlib.metadata
import platform
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

import crosskrylov
from crosskrylov.datasets.base import Item, choose, open_source
from crosskrylov.datasets.pixels import COLOR, n_channels, to_channels
from crosskrylov.errors import ConfigError, DataError

#: Packages whose version can change a pixel of any source.
PIXEL_PACKAGES = ("numpy", "Pillow")


@dataclass(frozen=True)
class ImageSet:
    """Images with where they come from.

    Attributes
    ----------
    images : ndarray, shape [N, C, H, W], float32, in [0, 1]
        C = 3 (RGB) or 1 (grey).
    labels : ndarray, shape [N], int64
        Indices into ``class_names``; -1 where there is no label.
    names : list of str
        Path, crop or number of each image within its source.
    sha256 : list of str
        SHA-256 of the little-endian float32 bytes of each [C, H, W] image.
    source : str
        Name of the source.
    class_names : tuple of str
    packages : dict of str to str
        Versions of what made the pixels.
    """

    images: np.ndarray
    labels: np.ndarray
    names: list[str]
    sha256: list[str]
    source: str
    class_names: tuple[str, ...] = ()
    packages: dict[str, str] = field(default_factory=dict)

    def manifest(self, **parameters) -> dict:
        """Return what is to be known of the set, as plain JSON values.

        Parameters
        ----------
        **parameters
            Further entries, for example the seed and the options that made the set.
        """
        n_images, channels, height, width = self.images.shape
        return {
            "source": self.source,
            "n_images": n_images,
            "channels": channels,
            "height": height,
            "width": width,
            **parameters,
            "class_names": list(self.class_names),
            "packages": dict(self.packages),
            "images": [
                {"name": name, "label": int(label), "sha256": digest}
                for name, label, digest in zip(self.names, self.labels, self.sha256, strict=True)
            ],
        }


class ImageReader:
    """The chosen images of a source, read when they are asked for.

    ``reader[i]`` is an `Item` whose pixels are [C, H, W], the same at every call; ``len(reader)``
    is the number of images. Nothing but the source's own data is held in memory.

    Parameters
    ----------
    source : str
        Name of a source; see `load_images` for this and the rest.
    image_size : int
    n_images : int, optional
    color : {"rgb", "grey"}
    seed : int
    **options
        Options of the source.
    """

    def __init__(self, source, image_size, n_images=None, *, color=COLOR, seed, **options):
        self.image_size = _whole("image_size", image_size, least=2)
        if n_images is not None:
            n_images = _whole("n_images", n_images, least=1)
        self.seed = _whole("seed", seed, least=0)
        self._channels = n_channels(color)
        if options.get("crop_size") is not None:
            _whole("crop_size", options["crop_size"], least=1)
        self.name = source
        self.color = color
        self.source = open_source(source, self.image_size, seed=self.seed, **options)
        self._chosen = choose(self.source.n_available, n_images, self.seed, source)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape [N, C, H, W] of all images together."""
        return len(self), self._channels, self.image_size, self.image_size

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> Item:
        item = self.source.read(int(self._chosen[index]))
        pixels = to_channels(item.pixels, self.color).transpose(2, 0, 1)
        pixels = np.ascontiguousarray(pixels, dtype=np.float32)
        # NaN compares false, so this catches it too.
        if not (pixels.min() >= 0 and pixels.max() <= 1):
            raise DataError(
                f"image {item.name} of source {self.name!r} has values that are NaN or outside "
                "[0, 1]: repair or remove it."
            )
        return Item(pixels, item.label, item.name)

    def batches(self, batch_size: int) -> Iterator[np.ndarray]:
        """Yield the images in order as float32 [n, C, H, W], n = batch_size, fewer at the end."""
        batch_size = _whole("batch_size", batch_size, least=1)
        for start in range(0, len(self), batch_size):
            stop = min(start + batch_size, len(self))
            yield np.stack([self[index].pixels for index in range(start, stop)])


def load_images(source, image_size, n_images=None, *, color=COLOR, seed, **options) -> ImageSet:
    """Load images from a source by name.

    Parameters
    ----------
    source : str
        Name that a module of this folder registers: "photos", "digits", "folder", ...
    image_size : int
        Side H = W of the images, pixels.
    n_images : int, optional
        Number of images. From a finite source, the first ``n_images`` of a permutation that depends
        on ``seed`` alone, so that larger sets contain smaller ones; all of it, in its own order, if
        None. The endless sources (photos, noise) need a number.
    color : {"rgb", "grey"}
        Three channels (grey images have them equal) or one (ITU-R BT.601 luma).
    seed : int
        Seed of every random draw.
    **options
        Options of the source, None for the default: ``root``, ``split``, ``classes``,
        ``download``, ``crop_size``, ``upscale``, ``photographs``, ``crop_scale``,
        ``min_contrast``, ``jitter``; see the source's ``open_...`` function for those it takes.

    Returns
    -------
    image_set : ImageSet

    Raises
    ------
    ConfigError
        If the source or an option is unknown or impossible.
    DataError
        If a folder or file is missing, empty, unreadable or too small, if there are fewer images
        than asked for, or if a download fails.
    """
    reader = ImageReader(source, image_size, n_images, color=color, seed=seed, **options)
    images = np.empty(reader.shape, dtype=np.float32)
    labels = np.empty(len(reader), dtype=np.int64)
    names = []
    for index in range(len(reader)):
        item = reader[index]
        images[index] = item.pixels
        labels[index] = item.label
        names.append(item.name)
    return ImageSet(
        images=images,
        labels=labels,
        names=names,
        sha256=[image_digest(image) for image in images],
        source=source,
        class_names=reader.source.class_names,
        packages=versions(*PIXEL_PACKAGES, *reader.source.packages),
    )


def held_out_images(
    source, image_size, n_images, *, most=None, color=COLOR, seed, **options
) -> np.ndarray:
    """Return the images that `load_images` leaves over: the rest of its permutation.

    Parameters
    ----------
    source, image_size, n_images, color, seed, **options
        As for `load_images`.
    most : int, optional
        At most so many; all that there are by default.

    Returns
    -------
    ndarray, shape [N, C, H, W], float32, in [0, 1]

    Raises
    ------
    ConfigError
        If the source has no end, so that nothing is left over.
    DataError
        If all its images are taken, or one of them cannot be read.
    """
    given = {"color": color, "seed": seed, **options}
    available = ImageReader(source, image_size, n_images, **given).source.n_available
    if available is None:
        raise ConfigError(
            f"Source {source!r} has no end, and its images have no held-out ones: take the image "
            "set out of training.quality.image_sets."
        )
    taken = available if n_images is None else n_images
    left = available - taken if most is None else min(available - taken, most)
    if left < 1:
        raise DataError(
            f"All {available} images of source {source!r} are in the image set, and none is held "
            "out: lower its n_images."
        )
    reader = ImageReader(source, image_size, taken + left, **given)
    return np.stack([reader[index].pixels for index in range(taken, taken + left)])


def iter_image_batches(
    source, image_size, n_images=None, *, batch_size, color=COLOR, seed, **options
) -> Iterator[np.ndarray]:
    """Return an iterator over what `load_images` loads, ``batch_size`` images at a time.

    Mistakes in the arguments raise here, not at the first batch; unreadable files when they come.

    Parameters
    ----------
    batch_size : int
        Images per batch; the last batch may have fewer.
    source, image_size, n_images, color, seed, **options
        As for `load_images`.

    Returns
    -------
    batches : iterator of ndarray, shape [n, C, H, W], float32, in [0, 1]
    """
    batch_size = _whole("batch_size", batch_size, least=1)
    reader = ImageReader(source, image_size, n_images, color=color, seed=seed, **options)
    return reader.batches(batch_size)


def image_digest(image: np.ndarray) -> str:
    """Return the SHA-256 of an image's little-endian float32 bytes, in hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(image, dtype="<f4").tobytes()).hexdigest()


def versions(*distributions: str) -> dict[str, str]:
    """Return the versions of Python, of this package and of installed distributions."""
    found = {"python": platform.python_version(), "crosskrylov": crosskrylov.__version__}
    for name in dict.fromkeys(distributions):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # not the distribution's name in this environment (a vendor's build)
    return found


def _whole(key: str, value, least: int) -> int:
    """Return ``value`` as int if it is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ConfigError(f"{key} is {value!r}: use a whole number of at least {least}.")
    return int(value)
