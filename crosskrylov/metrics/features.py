"""Features that need no download, for Fréchet distances named after them.

``digit_classifier``: last hidden layer (48 units) of a small network trained here, with a fixed
seed, on scikit-learn's 1,797 digits of 8 x 8 pixels; other sizes are reduced to 8 x 8 first.
``haar``: a fixed transform for photographs. In luma and two colour differences: logarithms of the
mean magnitude of three levels of Haar wavelet coefficients in three orientations, and block
means (4 x 4 of luma, 2 x 2 of the colour differences).
``random_conv``: 224 features of three convolutions with fixed random weights, for digits and
photographs alike. Nothing was trained for them, so that they favour neither a data set nor a model
trained on it; they are more than 48, so that a model can miss in more directions, and few enough
that the covariance of some 800 images has full rank.
"""

import warnings
from functools import lru_cache

import numpy as np

from crosskrylov.errors import ConfigError, ShapeError

_HIDDEN = (128, 48)
#: Channels of the random convolutions, and the seed of their weights.
_RANDOM_CHANNELS = (16, 32, 32)
_RANDOM_SEED = 20240
#: Images that go through the convolutions at once.
_BATCH = 500


def extract_features(name: str, images: np.ndarray) -> np.ndarray:
    """Return the feature vectors of images.

    Parameters
    ----------
    name : {"digit_classifier", "haar", "random_conv"}
        Which features.
    images : ndarray, shape (N, C, H, W)
        Images in [0, 1].

    Returns
    -------
    ndarray, shape (N, D), float64

    Raises
    ------
    ConfigError
        If the name is unknown.
    ShapeError
        If the images do not suit the features.
    """
    if name not in FEATURES:
        raise ConfigError(f"Features {name!r} are unknown; allowed are {', '.join(FEATURES)}.")
    images = np.asarray(images, dtype=np.float64)
    if images.ndim != 4:
        raise ShapeError(f"Features need images of shape (N, C, H, W), found {images.shape}.")
    return FEATURES[name](images)


def _block_means(planes: np.ndarray, side: int) -> np.ndarray:
    """Return the means of ``side`` x ``side`` equal blocks of planes (..., H, W)."""
    *lead, height, width = planes.shape
    if height % side or width % side:
        raise ShapeError(
            f"Images of {height} x {width} pixels cannot be cut into {side} x {side} blocks; use "
            f"a size that is a multiple of {side}."
        )
    blocks = planes.reshape(*lead, side, height // side, side, width // side)
    return blocks.mean(axis=(-3, -1))


@lru_cache(maxsize=1)
def digit_classifier():
    """Return a classifier of 8 x 8 digits, trained on scikit-learn's digits with a fixed seed."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    digits = load_digits()
    network = MLPClassifier(_HIDDEN, max_iter=60, random_state=20240)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 60 passes are enough for features
        return network.fit(digits.data / 16.0, digits.target)


def _digit_features(images: np.ndarray) -> np.ndarray:
    hidden = _block_means(images.mean(axis=1), 8).reshape(len(images), -1)  # (N, 64)
    network = digit_classifier()
    for weights, bias in zip(network.coefs_[:-1], network.intercepts_[:-1]):
        hidden = np.maximum(hidden @ weights + bias, 0)
    return hidden


def _haar_features(images: np.ndarray, levels: int = 3) -> np.ndarray:
    if images.shape[1] == 3:
        red, green, blue = np.moveaxis(images, 1, 0)
        planes = [(red + green + blue) / 3, red - green, blue - (red + green) / 2]
    else:
        planes = list(np.moveaxis(images, 1, 0))
    parts = []
    for i, plane in enumerate(planes):
        parts.append(_block_means(plane, 2 if i else 4).reshape(len(images), -1))
        low = plane
        for _ in range(levels):
            a, b, c, d = low[:, ::2, ::2], low[:, ::2, 1::2], low[:, 1::2, ::2], low[:, 1::2, 1::2]
            for detail in (a + b - c - d, a - b + c - d, a - b - c + d):
                magnitude = np.abs(detail / 2).mean(axis=(1, 2))
                parts.append(np.log(magnitude + 1e-2)[:, None])
            low = (a + b + c + d) / 2
    return np.concatenate(parts, axis=1)


@lru_cache(maxsize=1)
def _random_filters() -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weights (out, in, 3, 3) and biases (out,) of every convolution; variance is kept."""
    rng = np.random.default_rng(_RANDOM_SEED)
    filters, inputs = [], 3
    for outputs in _RANDOM_CHANNELS:
        scale = np.sqrt(2 / (9 * inputs))
        weights = scale * rng.standard_normal((outputs, inputs, 3, 3))
        filters.append((weights, 0.1 * rng.standard_normal(outputs)))
        inputs = outputs
    return filters


def _random_features(images: np.ndarray) -> np.ndarray:
    parts = [_random_batch(images[k : k + _BATCH]) for k in range(0, len(images), _BATCH)]
    return np.concatenate(parts)


def _random_batch(images: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of each channel of two stages, quadrant means of the third."""
    import torch
    from torch.nn import functional

    x = torch.as_tensor(images * 2 - 1).float().expand(-1, 3, -1, -1)
    parts = []
    for k, (weights, biases) in enumerate(_random_filters()):
        if k:
            x = functional.avg_pool2d(x, 2)
        padded = functional.pad(x, (1, 1, 1, 1), mode="replicate")
        weights, biases = (torch.as_tensor(a).float() for a in (weights, biases))
        x = functional.conv2d(padded, weights, biases).relu()
        maps = x.double().numpy()
        if k < len(_RANDOM_CHANNELS) - 1:
            parts += [maps.mean(axis=(2, 3)), maps.std(axis=(2, 3))]
        else:
            parts.append(_block_means(maps, 2).reshape(len(maps), -1))
    return np.concatenate(parts, axis=1)


#: Feature extractors by name.
FEATURES = {
    "digit_classifier": _digit_features,
    "haar": _haar_features,
    "random_conv": _random_features,
}
