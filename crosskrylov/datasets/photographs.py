"""Crops of the photographs that ship inside scikit-image and scikit-learn (no download)."""

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from crosskrylov.datasets.base import Item, Source, register
from crosskrylov.datasets.pixels import LUMA, decode_image
from crosskrylov.errors import ConfigError, DataError
from crosskrylov.runtime.declared import did_you_mean, listed

#: Photographs and their files: (distribution, import name, path in the package). The index is the
#: label, so new ones go last. The two motorcycles are a stereo pair, nearly the same picture.
PHOTOGRAPHS = {
    "astronaut": ("scikit-image", "skimage", "data/astronaut.png"),
    "chelsea": ("scikit-image", "skimage", "data/chelsea.png"),
    "coffee": ("scikit-image", "skimage", "data/coffee.png"),
    "china": ("scikit-learn", "sklearn", "datasets/images/china.jpg"),
    "flower": ("scikit-learn", "sklearn", "datasets/images/flower.jpg"),
    "rocket": ("scikit-image", "skimage", "data/rocket.jpg"),
    "ihc": ("scikit-image", "skimage", "data/ihc.png"),
    "motorcycle_left": ("scikit-image", "skimage", "data/motorcycle_left.png"),
    "retina": ("scikit-image", "skimage", "data/retina.jpg"),
    "hubble_deep_field": ("scikit-image", "skimage", "data/hubble_deep_field.jpg"),
    "motorcycle_right": ("scikit-image", "skimage", "data/motorcycle_right.png"),
}

#: Crops are read from a copy of the photograph that was halved until the crop is this many times
#: the target size at least; the last resize then costs the same for every crop and looks the same.
REDUCING_GAP = 2

#: How often a crop without contrast is drawn again before the best one so far is taken.
MAX_DRAWS = 20


def photograph_path(name: str) -> Path:
    """Return the file of a photograph inside its installed package.

    Raises
    ------
    DataError
        If the package is not installed or does not hold the file.
    """
    distribution, package, relative = PHOTOGRAPHS[name]
    spec = importlib.util.find_spec(package)  # the folder, without importing the package
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            f"photograph {name!r} ships inside {distribution}, which is not installed: "
            f"pip install {distribution}, or leave it out of photographs."
        )
    path = Path(spec.submodule_search_locations[0]) / relative
    if not path.is_file():
        raise DataError(
            f"photograph {name!r} is missing from the installed {distribution} ({path}): "
            "install another version, or leave it out of photographs."
        )
    return path


@cache
def photograph_size(name: str) -> tuple[int, int]:
    """Return height and width of a photograph, pixels (reads the file's header only)."""
    with Image.open(photograph_path(name)) as image:
        return image.height, image.width


class Photographs(Source):
    """Square crops at random places and scales, evenly spread over the photographs.

    Crop i shows photograph i modulo their number and depends on (seed, i) alone.
    """

    packages = tuple(sorted({distribution for distribution, _, _ in PHOTOGRAPHS.values()}))
    class_names = tuple(PHOTOGRAPHS)

    def __init__(self, image_size, seed, names, crop_scale, min_contrast, jitter):
        self.image_size = image_size
        self.seed = seed
        self.names = names
        self.crop_scale = crop_scale
        self.min_contrast = min_contrast
        self.jitter = jitter
        self._levels: dict[str, list[list[Image.Image]]] = {}

    def read(self, index: int) -> Item:
        """Return crop ``index``, named photograph/top-left-side in pixels of the photograph."""
        name = self.names[index % len(self.names)]
        rng = np.random.default_rng((self.seed, index))
        best, best_box, best_contrast = None, None, -1.0
        for _ in range(MAX_DRAWS):
            box = self._draw_box(name, rng)
            pixels = self._crop(name, *box)
            contrast = float((pixels @ LUMA).std())
            if contrast > best_contrast:
                best, best_box, best_contrast = pixels, box, contrast
            if contrast >= self.min_contrast:
                break
        if self.jitter:
            best = self._jittered(best, rng)
        top, left, side = best_box
        label = self.class_names.index(name)
        return Item(best, label, f"{index:06d}-{name}-top{top}-left{left}-side{side}")

    def _draw_box(self, name: str, rng: np.random.Generator) -> tuple[int, int, int]:
        height, width = photograph_size(name)
        low, high = (round(scale * min(height, width)) for scale in self.crop_scale)
        low = max(low, self.image_size)  # never enlarge
        high = max(low, high)
        # log-uniform: halving the side is as likely anywhere in the range
        side = min(high, round(low * (high / low) ** rng.random()))
        return int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1)), side

    def _crop(self, name: str, top: int, left: int, side: int) -> np.ndarray:
        level = 0
        levels = self._halved(name)
        while level + 1 < len(levels) and side >= 2 ** (level + 1) * REDUCING_GAP * self.image_size:
            level += 1
        box = tuple(edge / 2**level for edge in (left, top, left + side, top + side))
        size = (self.image_size, self.image_size)
        planes = [p.resize(size, Image.Resampling.BICUBIC, box=box) for p in levels[level]]
        return np.clip(np.stack([np.asarray(plane) for plane in planes], axis=2), 0, 1)

    def _halved(self, name: str) -> list[list[Image.Image]]:
        """Return the photograph's colour planes at full, half, quarter ... size (decoded once)."""
        if name not in self._levels:
            pixels = decode_image(photograph_path(name))
            planes = [Image.fromarray(np.ascontiguousarray(pixels[:, :, c])) for c in range(3)]
            levels = [planes]
            while min(levels[-1][0].size) >= 2 * REDUCING_GAP * self.image_size:
                levels.append([plane.reduce(2) for plane in levels[-1]])
            self._levels[name] = levels
        return self._levels[name]

    def _jittered(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Mirror half of the crops, scale each channel and shift the brightness."""
        if rng.random() < 0.5:
            pixels = pixels[:, ::-1]
        gain = rng.uniform(1 - self.jitter, 1 + self.jitter, size=3)
        shift = rng.uniform(-self.jitter / 2, self.jitter / 2)
        return np.clip(pixels * gain + shift, 0, 1).astype(np.float32)


@register("photos")
def open_photos(
    image_size, *, seed, photographs=None, crop_scale=(0.25, 1.0), min_contrast=0.04, jitter=0.0
) -> Source:
    """Open the photographs' crops.

    Parameters
    ----------
    image_size : int
        Side of the crops after resizing, pixels.
    seed : int
        Seed of places, scales and jitter.
    photographs : list of str, optional
        Keys of ``PHOTOGRAPHS``; all that are at least ``image_size`` large if not given.
    crop_scale : pair of float
        Smallest and largest side of a crop before resizing, as fractions of the photograph's
        shorter side; crops smaller than ``image_size`` are never taken.
    min_contrast : float
        Standard deviation of a crop's grey values, in [0, 1], below which it is drawn again (sky,
        the black frame of a retina): an even image has no score to speak of.
    jitter : float
        Strength in [0, 1) of a random mirroring, channel gain and brightness shift; 0 for none.

    Raises
    ------
    ConfigError
        If an option is impossible or a photograph unknown.
    DataError
        If a photograph is not installed or smaller than ``image_size``.
    """
    low, high = _pair(crop_scale)
    if not 0 < low <= high <= 1:
        raise ConfigError(
            f"crop_scale is [{low}, {high}]: use fractions with 0 < low <= high <= 1."
        )
    if not 0 <= jitter < 1:
        raise ConfigError(f"jitter is {jitter}: use a number from 0 to below 1.")
    if not 0 <= min_contrast <= 0.5:
        raise ConfigError(f"min_contrast is {min_contrast}: use a number from 0 to 0.5.")
    names = _large_enough(photographs, image_size)
    return Photographs(image_size, seed, names, (low, high), min_contrast, jitter)


def _pair(values) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in values)
    except (TypeError, ValueError):
        raise ConfigError(f"crop_scale is {values!r}: use two numbers, [low, high].") from None
    return low, high


def _large_enough(photographs, image_size: int) -> list[str]:
    if photographs is None:
        names = [name for name in PHOTOGRAPHS if min(photograph_size(name)) >= image_size]
        if not names:
            largest = max(min(photograph_size(name)) for name in PHOTOGRAPHS)
            raise DataError(
                f"image_size is {image_size}, but the largest photograph allows {largest}: "
                "lower image_size or use source: folder."
            )
        return names
    names = [photographs] if isinstance(photographs, str) else list(photographs)
    if not names:
        raise ConfigError("photographs is an empty list: name at least one or leave the key out.")
    for name in names:
        if name not in PHOTOGRAPHS:
            raise ConfigError(
                f"photographs names {name!r}, which is unknown{did_you_mean(name, PHOTOGRAPHS)}: "
                f"use some of {listed(PHOTOGRAPHS)}."
            )
        height, width = photograph_size(name)
        if min(height, width) < image_size:
            raise DataError(
                f"photograph {name!r} is {width} x {height} pixels (width x height), smaller than "
                f"image_size {image_size}: lower image_size or leave it out of photographs."
            )
    return names
