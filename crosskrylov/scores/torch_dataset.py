"""A store of scores as a dataset of torch."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset

from crosskrylov.errors import DataError
from crosskrylov.scores.images import Images, as_images

if TYPE_CHECKING:
    from crosskrylov.scores.store import ScoreStore


class ScoreDataset(Dataset):
    """Scores [S, 2, H, W] of the images that have some, with their image before and label after.

    An item is the scores, or a tuple of what was asked for: image, scores, label.  With
    ``one_step``, the scores are two entries: the time of a drawn step, and the score [2, H, W].

    Parameters
    ----------
    store : ScoreStore
    images : bool, or what `crosskrylov.precompute_scores` takes
        See `ScoreStore.torch_dataset`.
    labels, one_step : bool

    Attributes
    ----------
    numbers : ndarray
        Numbers of the images in the store, one per item.

    Raises
    ------
    DataError
        If the images are not known, or are not those that the scores were made of (when an item is
        read, if it is only then that an image shows it).
    """

    def __init__(
        self, store: "ScoreStore", images: Any = False, labels: bool = False, one_step: bool = False
    ):
        failed = [failure["image"] for failure in store.failures]
        self.numbers = np.setdiff1d(np.arange(len(store)), failed)
        self._store, self._labels = store, store.labels if labels else None
        self._images = None if images is False else _images_of(store, images)
        self._times = torch.as_tensor(store.times, dtype=torch.float32) if one_step else None

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, item: int):
        number = int(self.numbers[item])
        if self._times is None:
            found = [torch.from_numpy(self._store[number])]
        else:
            step = int(torch.randint(len(self._times), ()))
            found = [self._times[step], torch.from_numpy(self._store.at_step(number, step))]
        if self._images is not None:
            found.insert(0, self._picture(number))
        if self._labels is not None:
            found.append(torch.tensor(self._labels[number]))
        return found[0] if len(found) == 1 else tuple(found)

    def _picture(self, number: int) -> torch.Tensor:
        picture, about = self._images.read(number), self._store.about(number)
        if picture.about["sha256"] != about.get("sha256"):
            raise DataError(
                f"image {about.get('name', number)} is not the one that its scores in "
                f"{self._store.path} were made of: compute them again."
            )
        return torch.from_numpy(np.ascontiguousarray(picture.pixels, dtype=np.float32))


def _images_of(store: "ScoreStore", given: Any) -> Images:
    """Return the images of a store in its order, from ``given`` or (True) from where they were."""
    origin = dict(store.manifest.get("origin", {}))
    if given is True:
        if not origin:
            raise DataError(
                f"{store.path} was made from an array: give it again, torch_dataset(images=array)."
            )
        images = as_images(**origin)
    else:
        how = {key: origin[key] for key in ("size", "color") if key in origin}
        images = as_images(given, **how)
    if images.names is not None:
        gone = set(store.names) - set(images.names)
        if gone:
            raise DataError(
                f"{len(gone)} images of {store.path} are not there, {min(gone)} among them: name "
                "where they are now, torch_dataset(images=...)."
            )
        images.arrange(store.names)
    if images.shape[0] < len(store):
        raise DataError(f"{store.path} has {len(store)} images, but {images.shape[0]} were given.")
    return images
