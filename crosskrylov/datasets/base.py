"""What a source of images is, and the registry that finds one by name."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from crosskrylov.datasets.index import SourceFacts, check_options, declared_sources, source_entry
from crosskrylov.errors import ConfigError, DataError
from crosskrylov.runtime.declared import did_you_mean, listed

#: Label of an image that has none.
NO_LABEL = -1


@dataclass(frozen=True)
class Item:
    """One image of a source.

    Attributes
    ----------
    pixels : ndarray, shape [image_size, image_size, C], float32, in [0, 1]
        C = 1 (grey) or 3 (RGB), as the source has it.
    label : int
        Index into the source's ``class_names``; ``NO_LABEL`` if there is none.
    name : str
        Where the pixels come from: a path relative to the root, an index, a crop.
    """

    pixels: np.ndarray
    label: int
    name: str


class Source(ABC):
    """Images that can be read one by one, in any order, as often as wanted.

    Attributes
    ----------
    n_available : int or None
        Number of images; None if the source makes as many as are asked for.
    class_names : tuple of str
        Names of the labels 0, 1, ...; empty if the images have no labels.
    packages : tuple of str
        Distributions that supply the pixels; their versions go into the manifest.
    """

    n_available: int | None = None
    class_names: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    @abstractmethod
    def read(self, index: int) -> Item:
        """Return image ``index`` (0 <= index < n_available), the same one at every call."""


#: Source names and the functions ``(image_size, *, seed, <options>) -> Source`` that open them.
SOURCES: dict[str, Callable[..., Source]] = {}


def register(name: str, **facts) -> Callable:
    """Make the decorated function open the source ``name``; its keywords are the options.

    Parameters
    ----------
    name : str
        What the configuration calls the source.
    **facts
        Attributes of `crosskrylov.datasets.index.SourceFacts`, as literals: the workflow reads them
        from the source code.
    """
    SourceFacts(**facts)  # says what is wrong with them

    def add(opener):
        SOURCES[name] = opener
        return opener

    return add


def open_source(name: str, image_size: int, *, seed: int, **options) -> Source:
    """Open a source by name.

    Parameters
    ----------
    name : str
        Key of ``SOURCES``.
    image_size : int
        Side of the images, pixels.
    seed : int
        For sources that draw at random; the others ignore it.
    **options
        Options of that source; one that is None counts as not given.

    Raises
    ------
    ConfigError
        If the source is unknown, or takes no such option.
    """
    opener = _opener(name)
    known = [
        key for key in inspect.signature(opener).parameters if key not in ("image_size", "seed")
    ]
    given = {key: value for key, value in options.items() if value is not None}
    check_options(name, given, known)
    return opener(image_size, seed=seed, **given)


def _opener(name: str) -> Callable[..., Source]:
    """Return the function that opens a source; only its own module is imported."""
    if name not in SOURCES:
        source_entry(name)  # says what is wrong with the name
        declared_sources()[name].load("crosskrylov.datasets")
    return SOURCES[name]


def select_classes(
    labels: np.ndarray, class_names: tuple[str, ...], classes: Iterable[str] | None, source: str
) -> np.ndarray:
    """Return the indices, ascending, of the images whose class is among ``classes``.

    Parameters
    ----------
    labels : ndarray, shape [N], int
    class_names : tuple of str
        Names of the labels 0, 1, ...
    classes : iterable of str, optional
        Class names to keep; all if None.
    source : str
        What the message calls the source.

    Raises
    ------
    ConfigError
        If ``classes`` is empty or names a class that the source does not have.
    """
    if classes is None:
        return np.arange(len(labels))
    classes = [str(name) for name in ([classes] if isinstance(classes, str) else classes)]
    if not classes:
        raise ConfigError("classes is an empty list: name at least one class or leave the key out.")
    for name in classes:
        if name not in class_names:
            known = f"it has {listed(class_names)}" if class_names else "its images have no classes"
            raise ConfigError(
                f"classes names {name!r}, which {source} does not have"
                f"{did_you_mean(name, class_names)}: {known}."
            )
    wanted = [class_names.index(name) for name in classes]
    return np.flatnonzero(np.isin(labels, wanted))


def choose(n_available: int | None, n_images: int | None, seed: int, source: str) -> np.ndarray:
    """Return which images to take.

    All in their own order if ``n_images`` is None; else the first ``n_images`` of a permutation
    that depends on the seed alone, so that a larger set begins with the smaller one. A source
    without end is simply counted from 0.

    Raises
    ------
    ConfigError
        If the source has no end and ``n_images`` is None.
    DataError
        If there are fewer images than asked for.
    """
    if n_images is None:
        if n_available is None:
            raise ConfigError(
                f"n_images is missing, but source {source!r} has no end: set n_images."
            )
        return np.arange(n_available)
    if n_available is None:
        return np.arange(n_images)
    if n_images > n_available:
        raise DataError(
            f"n_images is {n_images}, but source {source!r} has only {n_available} images "
            "(of the chosen split and classes): lower n_images or choose more."
        )
    return np.random.default_rng(seed).permutation(n_available)[:n_images]
