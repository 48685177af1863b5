"""CelebA's aligned faces: a folder of them as it is, or the whole set through torchvision."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from crosskrylov.datasets.base import NO_LABEL, Item, Source, register
from crosskrylov.datasets.folder import checked_root
from crosskrylov.datasets.pixels import decode_image, read_square
from crosskrylov.datasets.torchvision_sets import (
    build,
    checked_split,
    dataset_class,
    default_root,
)
from crosskrylov.errors import ConfigError, DataError
from crosskrylov.runtime.files import printable

SPLITS = ("train", "valid", "test", "all")
#: Width and height of every aligned face, pixels.
ALIGNED = (178, 218)
PARTITION, IDENTITIES = "list_eval_partition.txt", "identity_CelebA.txt"
#: What torchvision wants beside the images.
LISTS = (
    *(PARTITION, IDENTITIES, "list_attr_celeba.txt", "list_bbox_celeba.txt"),
    "list_landmarks_align_celeba.txt",
)
FOLDER, IMAGES = "celeba", "img_align_celeba"


class CelebA(Source):
    """CelebA's aligned faces, 178 x 218 RGB; the labels are the persons' numbers, where known."""

    def __init__(self, folder, files, identities, image_size, crop_size, upscale, packages):
        self.image_size = image_size
        self.crop_size = crop_size
        self.upscale = upscale
        self.packages = packages
        self.n_available = len(files)
        self._folder = folder
        self._files = files
        self._identities = identities

    def read(self, index: int) -> Item:
        """Return image ``index``, cropped and resized, named by its file."""
        name = self._files[index]
        pixels = read_square(
            self._folder / name, self.image_size, crop_size=self.crop_size, upscale=self.upscale
        )
        return Item(pixels, int(self._identities.get(name, NO_LABEL)), printable(name))


@register("celeba", root="optional", publish=False)
def open_celeba(
    image_size, *, seed, root=None, split=None, download=True, crop_size=None, upscale=False
) -> Source:
    """Open CelebA (aligned and cropped) from a folder of its images, or download it.

    The five lists and img_align_celeba/ (or its .zip) in celeba/ are verified by checksum. Any
    other folder that holds the aligned JPEG files is taken as it is: all of them or some, with
    list_eval_partition.txt and identity_CelebA.txt in or beside it, or without.

    Parameters
    ----------
    image_size : int
        Side of the images after resizing, pixels.
    seed : int
        Not used: the images are data.
    root : path-like, optional
        Folder that holds the images, or img_align_celeba/, or celeba/; `default_root` if not given.
    split : {"train", "valid", "test", "all"}, optional
        The official partition; by default train, and all images where list_eval_partition.txt is
        missing.
    download : bool
        Whether missing files are fetched (from Google Drive, by the package gdown); nothing is
        where ``root`` holds images.
    crop_size : int, optional
        Side of the central square that is kept, of 178; all of them if not given.
    upscale : bool
        Whether the square may be enlarged.

    Raises
    ------
    ConfigError
        If an option is impossible, or a split is asked for that no list tells.
    DataError
        If the set is missing, damaged, not CelebA's aligned faces, or cannot be fetched.
    """
    if split is not None:
        checked_split(split, SPLITS, "celeba")
    folder = default_root() if root is None else checked_root(root, "celeba")
    if root is not None and not folder.is_dir():  # a typing error must not start a download
        raise DataError(f"root is {folder}, which does not exist: correct the path or create it.")
    if folder.name == FOLDER and (folder / PARTITION).is_file():
        folder = folder.parent
    how = (image_size, crop_size, upscale)
    if not all((folder / FOLDER / name).is_file() for name in LISTS):
        images = _images_in(folder)
        if images is not None:
            files, identities = _listed(images, split)
            return CelebA(images, files, identities, *how, packages=("Pillow",))
    return _through_torchvision(folder, split or "train", download, how)


# --- a folder as it is ----------------------------------------------------------------------------


def _images_in(folder: Path) -> Path | None:
    """Return the folder that holds the images, None if none of those that may does."""
    inside = (folder, folder / IMAGES, folder / IMAGES / IMAGES, folder / FOLDER / IMAGES)
    return next((place for place in inside if place.is_dir() and _jpegs(place)), None)


def _jpegs(folder: Path) -> list[str]:
    return sorted(
        file.name
        for file in folder.iterdir()
        if file.suffix.lower() in (".jpg", ".jpeg") and not file.name.startswith(".")
    )


def _listed(images: Path, split: str | None) -> tuple[list[str], dict[str, int]]:
    """Return the files of a split, sorted, and the persons' numbers by file."""
    files = _jpegs(images)
    height, width = decode_image(images / files[0]).shape[:2]
    if (width, height) != ALIGNED:
        raise DataError(
            f"image {printable(images / files[0])} is {width} x {height} pixels, but CelebA's "
            f"aligned faces are {ALIGNED[0]} x {ALIGNED[1]}: correct root, or set source: folder "
            "for other images."
        )
    partition, identities = (_read_list(images, name) for name in (PARTITION, IDENTITIES))
    if partition is None and split not in (None, "all"):
        raise ConfigError(
            f"split is {split!r}, but {PARTITION} is missing in and beside {images}: put it there, "
            "or leave split out to take all images."
        )
    if partition is not None and split != "all":
        number = SPLITS.index(split or "train")
        files = [name for name in files if partition.get(name) == number]
        if not files:
            raise DataError(
                f"{images} holds no image that {PARTITION} counts to split {split or 'train'!r}: "
                "choose another split, or all."
            )
    return files, identities or {}


def _read_list(images: Path, name: str) -> Mapping[str, int] | None:
    """Return the number that a list gives to each file; None if the list is not there."""
    found = [place / name for place in (images, images.parent) if (place / name).is_file()]
    if not found:
        return None
    try:
        rows = [line.split() for line in found[0].read_text(encoding="utf-8").splitlines()]
        return {file: int(number) for file, number in filter(None, rows)}
    except ValueError:
        raise DataError(
            f"{found[0]} is damaged: every line has to be a file and a whole number; replace or "
            "remove it."
        ) from None


# --- the whole set --------------------------------------------------------------------------------


def _through_torchvision(folder: Path, split: str, download: bool, how: Sequence) -> Source:
    """Open the set that torchvision verifies, unpacks or fetches below ``folder``."""
    celeba = dataset_class("CelebA")
    images = folder / celeba.base_folder / IMAGES
    archive = images.with_suffix(".zip")

    def construct(download):
        dataset = celeba(folder, split=split, target_type="identity", download=download)
        # torchvision is content with any folder of that name, however little was unpacked.
        missing = [name for name in dataset.filename if not (images / name).is_file()]
        if missing:
            raise DataError(f"{len(missing)} images are missing, for example {missing[0]}")
        return dataset

    dataset = build(
        construct,
        name="CelebA",
        root=folder,
        archive=archive,
        md5=next(md5 for _, md5, file in celeba.file_list if file == archive.name),
        download=download,
        layouts="the aligned JPEG files, or with celeba/ (five .txt lists and img_align_celeba/ or "
        "img_align_celeba.zip)",
    )
    files = list(dataset.filename)
    identities = dict(zip(files, dataset.identity.reshape(-1).tolist(), strict=True))
    return CelebA(images, files, identities, *how, packages=("torchvision", "Pillow"))
