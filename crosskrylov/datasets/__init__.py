"""Images as float32 [N, C, H, W] in [0, 1], from sources that are found by name.

A source is one function in one module of this package, decorated with `register`; importing the
module adds it.
"""

from crosskrylov.datasets import folder, photographs, small, torchvision_sets  # noqa: F401
from crosskrylov.datasets.base import SOURCES, Item, Source, open_source, register
from crosskrylov.datasets.loading import (
    ImageReader,
    ImageSet,
    image_digest,
    iter_image_batches,
    load_images,
)

__all__ = [
    "SOURCES",
    "ImageReader",
    "ImageSet",
    "Item",
    "Source",
    "image_digest",
    "iter_image_batches",
    "load_images",
    "open_source",
    "register",
]
