"""CIFAR-10, and what reading a set through torchvision's own class takes.

torchvision (and torch) are imported when such a set is opened, so that all the rest works without.
"""

import contextlib
import os
import socket
from pathlib import Path

import numpy as np

from crosskrylov.datasets.base import Item, Source, register, select_classes
from crosskrylov.datasets.folder import ImageFolder, checked_root, list_images
from crosskrylov.datasets.pixels import fit
from crosskrylov.errors import ConfigError, DataError
from crosskrylov.runtime.declared import did_you_mean, listed

#: Seconds without an answer after which a download is given up.
NETWORK_TIMEOUT = 30.0


def default_root() -> Path:
    """Return the folder for downloads: $XDG_CACHE_HOME/crosskrylov or ~/.cache/crosskrylov."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (Path(cache) / "crosskrylov").expanduser().absolute()


def dataset_class(name: str):
    """Return ``torchvision.datasets.<name>``.

    Raises
    ------
    DataError
        If torch or torchvision is not installed, or they do not fit together.
    """
    try:
        import crosskrylov.runtime.torchvision_compat  # noqa: F401  (before torchvision)
        from torchvision import datasets  # isort: skip
    except (ImportError, RuntimeError) as error:  # RuntimeError: its operators do not fit torch
        raise DataError(
            f"{name} is read through torchvision, which cannot be imported ({error}): install the "
            "training requirements (pip install 'crosskrylov[training]')."
        ) from None
    return getattr(datasets, name)


def build(construct, name: str, root: Path, archive: Path, md5: str, download: bool, layouts: str):
    """Build a torchvision data set from what is there, from its archive, or from the network.

    Parameters
    ----------
    construct : callable
        ``construct(download)`` returns the data set, or raises whatever torchvision raises.
    name, layouts : str
        What the message calls the set, and what ``root`` may hold.
    root, archive : Path
        Folder of the set, and its archive in there, which is unpacked if its checksum is right.
    md5 : str
        Checksum of the archive.
    download : bool
        Whether the set may be fetched.

    Raises
    ------
    DataError
        If the set is missing, damaged or cannot be fetched.
    """
    from torchvision.datasets.utils import check_integrity, extract_archive

    # torchvision lets through what urllib, pickle, tarfile, zipfile or gdown raise: catch them all.
    problem = f"{name} is not complete in {root}"
    try:
        return construct(False)
    except Exception as error:
        reason = _reason(error)
    if archive.is_file():
        if check_integrity(archive, md5):
            try:
                extract_archive(archive, archive.parent)
                return construct(False)
            except Exception as error:
                reason = f"{archive.name} was unpacked, but: {_reason(error)}"
        else:
            reason = f"the checksum of {archive.name} is wrong: it is damaged or cut off"
    if not download:
        raise DataError(
            f"{problem} ({reason}); set download: true, or root to a folder with {layouts}."
        )
    try:
        with _network_timeout(NETWORK_TIMEOUT):
            return construct(True)
    except Exception as error:
        raise DataError(
            f"{problem} ({reason}) and could not be downloaded ({_reason(error)}): check the "
            f"network, or set root to a folder with {layouts}."
        ) from error


@contextlib.contextmanager
def _network_timeout(seconds: float):
    """Let sockets give up: torchvision sets no time limit, and a firewall may never answer."""
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def checked_split(split: str, splits: tuple[str, ...], source: str) -> str:
    """Return ``split`` if the source has it.

    Raises
    ------
    ConfigError
        If it has not.
    """
    if split not in splits:
        raise ConfigError(
            f"split is {split!r}, which source {source!r} does not have"
            f"{did_you_mean(split, splits)}: use one of {listed(splits)}."
        )
    return split


class Cifar10(Source):
    """CIFAR-10 as torchvision unpacks it: 32 x 32 RGB, ten classes."""

    packages = ("torchvision",)

    def __init__(self, dataset, split, image_size, upscale, classes):
        self.class_names = tuple(dataset.classes)
        self.image_size = image_size
        self.upscale = upscale
        self._split = split
        self._pixels = dataset.data  # [N, 32, 32, 3] uint8
        self._labels = np.asarray(dataset.targets)
        self._kept = select_classes(self._labels, self.class_names, classes, "source 'cifar10'")
        self.n_available = len(self._kept)

    def read(self, index: int) -> Item:
        """Return image ``index``, named split/class/number in the official order."""
        number = int(self._kept[index])
        label = int(self._labels[number])
        name = f"{self._split}/{self.class_names[label]}/{number:05d}"
        pixels = self._pixels[number].astype(np.float32) / np.float32(255)
        return Item(fit(pixels, self.image_size, name, upscale=self.upscale), label, name)


@register("cifar10", root="optional", publish=False)
def open_cifar10(
    image_size, *, seed, root=None, split="train", classes=None, download=True, upscale=False
) -> Source:
    """Open CIFAR-10, from the official archive (checksums verified) or from PNG files.

    Parameters
    ----------
    image_size : int
        Side of the images, pixels; below 32 they are reduced, above only with ``upscale``.
    seed : int
        Not used: the images are data.
    root : path-like, optional
        Folder that holds cifar-10-batches-py/ or cifar-10-python.tar.gz, or the image files as
        {train,test}/<class>/*; `default_root` if not given.
    split : {"train", "test"}
    classes : list of str, optional
        Class names to keep.
    download : bool
        Whether a missing archive is fetched into ``root``.
    upscale : bool
        Whether the images may be enlarged.

    Raises
    ------
    ConfigError
        If an option is impossible.
    DataError
        If the set is missing, damaged or cannot be fetched.
    """
    checked_split(split, ("train", "test"), "cifar10")
    folder = default_root() if root is None else checked_root(root, "cifar10")
    if (folder / split).is_dir():
        files = list_images(folder / split)
        return ImageFolder(folder / split, files, image_size, upscale=upscale, classes=classes)
    if root is not None and not folder.is_dir():  # a typing error must not start a download
        raise DataError(f"root is {folder}, which does not exist: correct the path or create it.")
    cifar10 = dataset_class("CIFAR10")

    dataset = build(
        lambda download: cifar10(folder, train=split == "train", download=download),
        name="CIFAR-10",
        root=folder,
        archive=folder / cifar10.filename,
        md5=cifar10.tgz_md5,
        download=download,
        layouts="cifar-10-python.tar.gz, cifar-10-batches-py/ or {train,test}/<class>/*.png",
    )
    return Cifar10(dataset, split, image_size, upscale, classes)
