"""Images per second of a training loader: without scores, scores on the fly, stored scores.

Every image is a JPEG file that is decoded and resized; a batch gets one drawn time per image and
the score at it.  Stored scores are read from a memory map, one stored step per image, with their
files in the system's page cache or dropped from it before (the machine below may still hold them).
"""

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, default_collate

from crosskrylov.datasets.loading import load_images
from crosskrylov.errors import ConfigError
from crosskrylov.metrics.intervals import median_interval
from crosskrylov.runtime.measurement import pinned_threads
from crosskrylov.scores.on_the_fly import ExactScores, ScoreCollate
from crosskrylov.scores.store import ScoreStore
from crosskrylov.scores.stream import precompute_scores
from crosskrylov.studies.register import register

#: What a batch gets beside its images.
KINDS = ("none", "on_the_fly", "stored_cached", "stored_dropped")
_JPEG_QUALITY = 95


class JpegFiles(Dataset):
    """Images of a folder, decoded and resized; with a store, a drawn step of their scores too."""

    def __init__(self, paths: Sequence[Path], size: int, store: ScoreStore | None = None):
        self._paths, self._size, self._store = paths, size, store

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, item: int):
        with Image.open(self._paths[item]) as picture:
            resized = picture.resize((self._size, self._size), Image.Resampling.BILINEAR)
        pixels = np.asarray(resized, dtype=np.float32).transpose(2, 0, 1) / np.float32(255)
        image = torch.from_numpy(np.ascontiguousarray(pixels))
        if self._store is None:
            return image
        step = int(torch.randint(self._store.shape[1], ()))
        return image, self._store.times[step], torch.from_numpy(self._store.at_step(item, step))


def _drop_from_page_cache(folder: Path) -> None:
    for file in folder.iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # what is not on disk yet is not dropped
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _read_into_page_cache(folder: Path) -> None:
    for file in folder.iterdir():
        with file.open("rb") as stream:
            while stream.read(1 << 24):
                pass


def _images_per_second(loader: DataLoader) -> float:
    """Return the rate of a pass from its first batch on: before, processes have to start."""
    batches = iter(loader)
    next(batches)
    started, images = time.perf_counter(), 0
    for batch in batches:
        images += len(batch[0] if isinstance(batch, list | tuple) else batch)
    return images / (time.perf_counter() - started)


class _Setting:
    """The files and the scores of one image size."""

    def __init__(self, folder: Path, size: int, pictures: np.ndarray, batch_size: int):
        self._size, self._batch_size = size, batch_size
        self._paths, self._scores = [], folder / "scores"
        for number, pixels in enumerate(pictures):
            path = folder / f"{number:05d}.jpg"
            Image.fromarray(pixels).save(path, quality=_JPEG_QUALITY)
            self._paths.append(path)
        resized = np.stack([image.numpy() for image in JpegFiles(self._paths, size)])
        started = time.perf_counter()
        self._store = precompute_scores(resized, self._scores, workers=1, progress=False)
        self.store_seconds = (time.perf_counter() - started) / len(self._paths)
        self.store_bytes = sum(f.stat().st_size for f in self._scores.iterdir()) / len(self._paths)
        self.image_bytes = sum(path.stat().st_size for path in self._paths) / len(self._paths)
        self._module = ExactScores(size)

    def rate(self, kind: str, workers: int) -> float:
        """Return images per second of one pass."""
        store = self._store if kind.startswith("stored") else None
        if kind == "stored_cached":
            _read_into_page_cache(self._scores)
        if kind == "stored_dropped":
            _drop_from_page_cache(self._scores)
        loader = DataLoader(
            JpegFiles(self._paths, self._size, store),
            batch_size=self._batch_size,
            shuffle=True,
            num_workers=workers,
            collate_fn=ScoreCollate(self._module) if kind == "on_the_fly" else default_collate,
        )
        return _images_per_second(loader)


def _epochs_to_pay(store_seconds: float, fly: float, stored: float) -> float:
    """Return passes after which storing has cost less than computing on the fly; NaN for never."""
    saved = 1 / fly - 1 / stored  # seconds per image and pass
    return store_seconds / saved if saved > 0 else float("nan")


def loader_rates(
    sizes: Sequence[int],
    n_images: int,
    *,
    workers: Sequence[int],
    repeats: int,
    batch_size: int,
    store_mb: float,
    source: str,
    file_size: int,
    random_seed: int,
) -> pd.DataFrame:
    """Measure every kind of loader, interleaved in random order, after one pass that is dropped.

    Parameters
    ----------
    sizes : sequence of int
        Image sizes in pixels.
    n_images : int
        Images of a pass; fewer where their scores would exceed ``store_mb`` (10^6 bytes).
    workers : sequence of int
        Processes of the loader.
    repeats, batch_size : int
    source : str
        Image source whose crops of ``file_size`` pixels become the JPEG files.
    file_size, random_seed : int

    Returns
    -------
    DataFrame
        Columns size, workers, scores (one of `KINDS`), n_images, repeats, images_per_second, low,
        high, ms_per_image_of_scores (a batch's time beyond that without scores), image_bytes,
        store_bytes (both per image), store_ms_per_image (pre-computation on one core),
        epochs_to_pay (passes after which storing has cost less than on the fly; empty: never).

    Raises
    ------
    ConfigError
        If a pass has fewer than two batches.
    """
    rng = np.random.default_rng(random_seed)
    torch.manual_seed(random_seed)
    rows = []
    for size in sizes:
        bytes_per_image = 10 * 2 * size**2 * 2  # ten stored steps of two components in float16
        count = min(n_images, int(store_mb * 1e6 / bytes_per_image))
        if count < 2 * batch_size:
            raise ConfigError(
                f"studies.loader: a pass at {size} pixels has {count} images, fewer than two "
                f"batches of {batch_size}: raise n_images or store_mb, or lower batch_size."
            )
        crops = load_images(source, file_size, count, seed=random_seed).images
        pictures = np.round(crops * 255).astype(np.uint8).transpose(0, 2, 3, 1)
        folder = Path(tempfile.mkdtemp(prefix="loader-"))
        try:
            setting = _Setting(folder, size, pictures, batch_size)
            rates = {(kind, n): [] for kind in KINDS for n in workers}
            for repeat in range(repeats + 1):
                for position in rng.permutation(len(rates)):
                    key = list(rates)[position]
                    rate = setting.rate(*key)
                    if repeat:  # the first pass is the warm-up
                        rates[key].append(rate)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        rows += _rows(size, count, rates, setting)
    return pd.DataFrame(rows)


def _rows(size: int, count: int, rates: dict, setting: _Setting) -> list[dict]:
    rows = []
    for (kind, n), values in rates.items():
        rate = median_interval(values)
        without = np.median(rates["none", n])
        fly = np.median(rates["on_the_fly", n])
        stored = kind.startswith("stored")
        rows.append(
            {
                "size": size,
                "workers": n,
                "scores": kind,
                "n_images": count,
                "repeats": len(values),
                "images_per_second": rate.median,
                "low": rate.low,
                "high": rate.high,
                "ms_per_image_of_scores": 1e3 * (1 / rate.median - 1 / without)
                if kind != "none"
                else float("nan"),
                "image_bytes": setting.image_bytes,
                "store_bytes": setting.store_bytes if stored else 0,
                "store_ms_per_image": 1e3 * setting.store_seconds if stored else 0,
                "epochs_to_pay": _epochs_to_pay(setting.store_seconds, fly, rate.median)
                if stored
                else float("nan"),
            }
        )
    return rows


@register(
    "loader",
    tables={
        "loader": "Images per second of a training loader that decodes JPEG files, by what a batch "
        "gets beside its images: nothing, exact scores computed on the fly at one drawn time, or a "
        "drawn step of stored scores whose files are in the page cache or were dropped from it. "
        "Medians with 95 % intervals. epochs_to_pay: passes over the data after which storing, its "
        "computation counted, has cost less time than computing on the fly; empty where it never "
        "does.",
    },
    figures={
        "loader": {
            "table": "loader",
            "caption": "Images per second of a loader that decodes JPEG files: without scores, "
            "with exact scores of one drawn time computed on the fly, and with stored scores. "
            "Medians with 95 % intervals.",
        }
    },
    timed=True,
    torch=True,
)
def study_loader(
    data, sizes, n_images, workers, repeats, batch_size, store_mb, source, file_size, random_seed
):
    """Compare scores on the fly with stored scores in a training loader."""
    with pinned_threads(data.n_threads):
        table = loader_rates(
            sizes,
            n_images,
            workers=workers,
            repeats=repeats,
            batch_size=batch_size,
            store_mb=store_mb,
            source=source,
            file_size=file_size,
            random_seed=random_seed,
        )
    return {"loader": table}
