"""A user's own tree of image files."""

import os
from pathlib import Path

import numpy as np

from crosskrylov.datasets.base import NO_LABEL, Item, Source, register, select_classes
from crosskrylov.datasets.pixels import IMAGE_SUFFIXES, read_square
from crosskrylov.errors import ConfigError, DataError
from crosskrylov.runtime.files import printable
from crosskrylov.runtime.fingerprint import walk_files


class ImageFolder(Source):
    """Image files below a folder, in the order of their relative paths.

    Parameters
    ----------
    root : Path
        Folder that the names are relative to.
    files : list of str
        Relative paths of the images, "/" between folders, sorted.
    image_size, crop_size, upscale : see `open_folder`
    classes : list of str, optional
        Classes to keep; all if None.

    Notes
    -----
    If every image lies in a subfolder, the top-level folders are the classes (sorted, so that the
    order is that of the other loaders); with any image beside them there are none.
    """

    packages = ("Pillow",)

    def __init__(self, root, files, image_size, *, crop_size=None, upscale=False, classes=None):
        self.root = root
        self.image_size = image_size
        self.crop_size = crop_size
        self.upscale = upscale
        tops = [file.split("/", 1)[0] if "/" in file else None for file in files]
        self.class_names = () if None in tops else tuple(sorted(set(tops)))
        if self.class_names:
            labels = np.array([self.class_names.index(top) for top in tops])
        else:
            labels = np.full(len(files), NO_LABEL)
        kept = select_classes(labels, self.class_names, classes, f"folder {root}")
        self._files = [files[index] for index in kept]
        self._labels = labels[kept]
        self.n_available = len(self._files)

    def read(self, index: int) -> Item:
        """Return image ``index``, cropped and resized, named by its relative path."""
        pixels = read_square(
            self.file(index), self.image_size, crop_size=self.crop_size, upscale=self.upscale
        )
        return Item(pixels, int(self._labels[index]), printable(self._files[index]))

    def file(self, index: int) -> Path:
        """Return the file of image ``index``."""
        return self.root / self._files[index]

    def label(self, index: int) -> str | None:
        """Return the class of image ``index``, None if there are no classes."""
        return self.class_names[self._labels[index]] if self.class_names else None


def list_images(root: Path) -> list[str]:
    """Return the relative paths of all image files below a folder, sorted.

    Hidden files and folders are left out (macOS puts "._" copies of every file on foreign disks),
    and so is whatever does not end like an image. Links to folders are followed, once. What ends
    like an image and is no file (a pipe, a link to nothing) is listed: reading it says so.

    Raises
    ------
    DataError
        If the folder is missing, is a file, or holds no image, or one below it cannot be read.
    """
    if not root.exists():
        raise DataError(f"root is {root}, which does not exist: correct the path in the config.")
    if not root.is_dir():
        raise DataError(f"root is {root}, which is a file: name the folder that holds the images.")
    names = list(walk_files(root))
    files = [name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES]
    n_others = len(names) - len(files)
    if not files:
        found = f"only {n_others} other files" if n_others else "no files"
        raise DataError(
            f"root is {root}, which holds no images but {found}: put PNG, JPEG, WebP, TIFF or BMP "
            "files there or correct the path."
        )
    return sorted(files)


def checked_root(root, source: str) -> Path:
    """Return ``root`` as an absolute path.

    Raises
    ------
    ConfigError
        If it is missing or no path.
    """
    if root is None or not isinstance(root, str | os.PathLike) or not str(root).strip():
        found = "missing" if root is None else f"{root!r}"
        raise ConfigError(f"root is {found}, but source {source!r} needs a folder: set root.")
    return Path(root).expanduser().absolute()


@register("folder", root="required", watch=True, publish=False)
def open_folder(
    image_size, *, seed, root=None, split=None, classes=None, crop_size=None, upscale=False
) -> Source:
    """Open a tree of image files.

    Parameters
    ----------
    image_size : int
        Side of the images after resizing, pixels.
    seed : int
        Not used: the files are data.
    root : path-like
        The folder.
    split : str, optional
        Subfolder of ``root`` to read instead, for trees like train/<class>/, test/<class>/.
    classes : list of str, optional
        Top-level subfolders to keep.
    crop_size : int, optional
        Side of the central square that is kept, in pixels of the file; the shorter side if not
        given.
    upscale : bool
        Whether images smaller than ``image_size`` may be enlarged.

    Raises
    ------
    ConfigError
        If ``root`` is not given, or a class is unknown.
    DataError
        If the folder is missing or holds no image.
    """
    folder = checked_root(root, "folder")
    if split is not None:
        folder = folder / split
    return ImageFolder(
        folder,
        list_images(folder),
        image_size,
        crop_size=crop_size,
        upscale=upscale,
        classes=classes,
    )
