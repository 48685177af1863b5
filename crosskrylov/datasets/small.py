"""Small sources that need no files of the user: digits, faces and noise."""

import numpy as np

from crosskrylov.datasets.base import NO_LABEL, Item, Source, register, select_classes
from crosskrylov.datasets.pixels import fit, resize
from crosskrylov.errors import DataError

#: Patches of scikit-image's lfw_subset that show a face (the others are background).
N_FACES = 100


class ArraySource(Source):
    """Grey images that are held in memory at their own size.

    Parameters
    ----------
    pixels : ndarray, shape [N, S, S], float32, in [0, 1]
    labels : ndarray, shape [N], int
    names : list of str
    class_names, packages : see `Source`
    resized : callable
        ``(pixels [S, S, 1], name) -> pixels [image_size, image_size, 1]``.
    """

    def __init__(self, pixels, labels, names, class_names, packages, resized):
        self.n_available = len(pixels)
        self.class_names = class_names
        self.packages = packages
        self._pixels = pixels
        self._labels = labels
        self._names = names
        self._resized = resized

    def read(self, index: int) -> Item:
        """Return image ``index``, resized."""
        name = self._names[index]
        pixels = self._resized(self._pixels[index][:, :, None], name)
        return Item(pixels, int(self._labels[index]), name)


class Noise(Source):
    """Independent uniform noise: what images without any structure look like."""

    def __init__(self, image_size, seed):
        self.image_size = image_size
        self.seed = seed

    def read(self, index: int) -> Item:
        """Return noise that depends on (seed, index) alone."""
        rng = np.random.default_rng((self.seed, index))
        pixels = rng.random((self.image_size, self.image_size, 3), dtype=np.float32)
        return Item(pixels, NO_LABEL, f"{index:06d}-noise")


@register("noise")
def open_noise(image_size, *, seed) -> Source:
    """Open uniform noise, independent in every pixel and channel."""
    return Noise(image_size, seed)


@register("digits", features="digit_classifier")
def open_digits(image_size, *, seed, classes=None) -> Source:
    """Open scikit-learn's 1,797 handwritten digits, enlarged from 8 x 8 pixels.

    Parameters
    ----------
    image_size : int
        Side, pixels; the digits are resized to it whatever it is.
    seed : int
        Not used: the digits are data.
    classes : list, optional
        Digits to keep, "0" to "9"; all if not given.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    class_names = tuple(str(name) for name in digits.target_names)
    kept = select_classes(digits.target, class_names, classes, "source 'digits'")
    return ArraySource(
        pixels=(digits.images[kept] / 16).astype(np.float32),  # grey levels 0 ... 16
        labels=digits.target[kept],
        names=[f"{index:04d}-digit{digits.target[index]}" for index in kept],
        class_names=class_names,
        packages=("scikit-learn",),
        resized=lambda pixels, _name: resize(pixels, image_size),
    )


@register("faces", publish=False)
def open_faces(image_size, *, seed, upscale=False) -> Source:
    """Open the 100 grey 25 x 25 face patches that ship inside scikit-image.

    Parameters
    ----------
    image_size : int
        Side, pixels; above 25 only with ``upscale``.
    seed : int
        Not used: the faces are data.
    upscale : bool
        Whether the patches may be enlarged.
    """
    from skimage.data import lfw_subset

    try:
        faces = lfw_subset()[:N_FACES]
    except (OSError, ImportError) as error:  # not in this version's wheel, and no download
        raise DataError(
            f"source 'faces' ships inside scikit-image, but could not be read ({error}): "
            "install another version or use another source."
        ) from None
    return ArraySource(
        pixels=faces.astype(np.float32),
        labels=np.full(len(faces), NO_LABEL),
        names=[f"{index:03d}-face" for index in range(len(faces))],
        class_names=(),
        packages=("scikit-image",),
        resized=lambda pixels, name: fit(pixels, image_size, name, upscale=upscale),
    )
