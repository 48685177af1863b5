"""Scores of any number of images through a fixed amount of memory, chunk by chunk onto disk."""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import crosskrylov
from crosskrylov.datasets.pixels import COLOR
from crosskrylov.equation.density import initial_log_density
from crosskrylov.equation.problem import (
    DEFAULTS,
    FokkerPlanckProblem,
    evenly_spaced_steps,
    problem_from_config,
)
from crosskrylov.equation.stencil import score
from crosskrylov.errors import ConfigError, CrosskrylovError, DataError
from crosskrylov.runtime.files import write_json
from crosskrylov.scores.engine_options import EngineOptions
from crosskrylov.scores.images import SEED, Images, as_images
from crosskrylov.scores.march_options import MarchOptions
from crosskrylov.scores.store import FORMAT, MANIFEST, ScoreStore

logger = logging.getLogger(__name__)

#: A chunk is what an interruption can cost: never more images than this.
MAX_CHUNK_IMAGES = 1000
#: Fields of a block that are in memory at once beside the stored ones (see `BatchedMarch`).
_WORKING_FIELDS = 18


class _Sizes(NamedTuple):
    """Worker threads, images per block and per chunk, and the most that a chunk may have."""

    workers: int
    block: int
    chunk: int
    most: int


@dataclass
class _Plan:
    """Everything that the work on one set of images needs."""

    images: Images
    problem: FokkerPlanckProblem
    steps: np.ndarray
    density: dict[str, Any]
    options: EngineOptions
    march: MarchOptions
    first_image: int

    @property
    def channels(self) -> int:
        """Densities per image."""
        return self.images.shape[1] if self.density.get("channels") == "each" else 1

    @property
    def item_shape(self) -> list[int]:
        """Shape of what is stored per image: [C,] S, [2,] H, W."""
        field = [len(self.steps), 2, self.problem.height, self.problem.width]
        if self.options.quantity == "log_density":
            del field[1]
        return [self.channels, *field] if self.density.get("channels") == "each" else field

    @property
    def chunk_bytes_per_image(self) -> int:
        """Memory that one image of a chunk takes until the chunk is written."""
        return int(np.prod(self.item_shape)) * np.dtype(self.options.storage).itemsize

    @property
    def block_bytes_per_image(self) -> int:
        """Memory that one image takes while a worker has it in hand."""
        fields = _WORKING_FIELDS + 4 * len(self.steps)
        return 8 * fields * self.channels * self.problem.height * self.problem.width

    def sizes(self) -> _Sizes:
        """Return what fits the memory budget.

        Raises
        ------
        ConfigError
            If the budget does not hold a single image.
        """
        options = self.options
        budget = int(options.memory_mb * 1e6)
        least = self.chunk_bytes_per_image + self.block_bytes_per_image
        if budget < least:
            raise ConfigError(
                f"engine.memory_mb is {options.memory_mb:g}, but one image of "
                f"{self.problem.height} x {self.problem.width} pixels needs {least / 1e6:.3g} MB; "
                "raise it, or store fewer steps."
            )
        block = max(1, options.n_block(self.problem) // self.channels)
        most = (budget - self.chunk_bytes_per_image) // self.block_bytes_per_image
        workers = min(options.n_workers, most)
        block = max(1, min(block, most // workers))
        left = budget - workers * block * self.block_bytes_per_image
        fitting = max(1, left // self.chunk_bytes_per_image)
        chunk = options.chunk_images or min(fitting, MAX_CHUNK_IMAGES, self.images.shape[0])
        if chunk > fitting:
            raise ConfigError(
                f"engine.chunk_images is {chunk}, but engine.memory_mb {options.memory_mb:g} holds "
                f"only {fitting} images at a time; lower the one or raise the other."
            )
        return _Sizes(workers, block, chunk, fitting)


def precompute_scores(
    images,
    output,
    *,
    size: int | None = None,
    color: str = COLOR,
    equation: Mapping | None = None,
    density: Mapping | None = None,
    march: MarchOptions | None = None,
    seed: int = SEED,
    first_image: int = 0,
    overwrite: bool = False,
    progress: bool = True,
    on_chunk: Callable[[int], None] | None = None,
    **engine,
) -> ScoreStore:
    """Compute the scores of all images and store them in a folder, resuming what is there.

    Parameters
    ----------
    images : path, list of paths, ndarray [N, C, H, W] or mapping
        Image files and folders; pixels in [0, 1]; or a source of `crosskrylov.datasets` with its
        options, such as ``{"source": "photos", "image_size": 32, "n_images": 1000, "seed": 17}``.
    output : path-like
        Folder of the scores (see `ScoreStore`).
    size : int, optional
        Side of the images in pixels; for files.
    color : {"rgb", "grey"}
        For files.
    equation, density : mapping, optional
        Config sections; default the authors' setting and the smoothed density.
    march : MarchOptions, optional
        For method "solver".
    seed : int
        Of the sampled density (``density.method: kde``).
    first_image : int
        Number of the first image where these are part of a larger set; seeds its draws.
    overwrite : bool
        Replace scores that were made from something else instead of refusing.
    progress : bool
        Show a progress bar with rate and time left on stderr.
    on_chunk : callable, optional
        Called with the number of each chunk once it is on disk.
    **engine
        Fields of `EngineOptions`: ``method``, ``tolerance``, ``memory_mb``, ``workers``, ...

    Returns
    -------
    ScoreStore
        Images that failed are NaN there and listed in its ``failures``; the others are complete.

    Raises
    ------
    ConfigError
        If an option is impossible, or the memory budget does not hold one image.
    DataError
        If the disk is full, or ``output`` holds something else.

    Notes
    -----
    A chunk of images is computed by ``workers`` threads, each on blocks of images with one thread
    per operation, and written at once.  Results depend neither on the number of workers nor, beyond
    rounding, on the sizes of chunks and blocks; a repeated run is bit-identical.
    """
    options = EngineOptions.from_config(engine)
    source = as_images(images, size, color)
    equation = dict(equation or {})
    problem = problem_from_config(equation, *source.shape[2:])
    stored_steps = int({**DEFAULTS, **equation}["stored_steps"])
    steps = evenly_spaced_steps(problem.time_steps, stored_steps)
    density = {**(density or {})}
    if density.get("method") == "kde":
        density["seed"] = seed
    plan = _Plan(source, problem, steps, density, options, march or MarchOptions(), first_image)
    sizes = plan.sizes()
    store = _open_or_create(Path(output), plan, equation, sizes, overwrite)
    todo = [
        number
        for number in range(store.n_chunks)
        if not store.is_intact(number) or store.record(number)["failures"]
    ]
    done = sum(len(store.rows(n)) for n in range(store.n_chunks)) - sum(
        len(store.rows(n)) for n in todo
    )
    bar = tqdm(
        total=len(store), initial=done, unit="image", disable=not progress, dynamic_ncols=True
    )
    method = options.resolved_method(problem)
    bar.set_description(method)
    with bar, _one_thread_per_operation(), _Workers(plan, sizes) as workers:
        for number in todo:
            started = time.perf_counter()
            values, record = workers.compute(store.rows(number), bar.update)
            record |= {"method": method, "seconds": time.perf_counter() - started}
            store.write_chunk(number, values, record)
            if on_chunk is not None:
                on_chunk(number)
    return ScoreStore.open(output)


def _open_or_create(output, plan, equation, sizes, overwrite) -> ScoreStore:
    """Return the store in ``output``, a new one if there is none."""
    settings = {
        "images": plan.images.identity(),
        "equation": equation,
        "density": plan.density,
        "engine": plan.options.identity(plan.problem),
        "version": crosskrylov.__version__,
    }
    if settings["engine"]["method"] in ("batched", "solver"):
        settings["march"] = asdict(plan.march)
    text = json.dumps(settings, sort_keys=True, default=str)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()
    for pattern in (".chunk-*.partial.*", ".manifest.*.partial.*"):
        for leftover in output.glob(pattern):  # of a run that was killed while it wrote
            leftover.unlink(missing_ok=True)
    if (output / MANIFEST).is_file():
        store = ScoreStore.open(output)
        if store.manifest["fingerprint"] == fingerprint:
            # the chunks on disk have the size they were begun with
            begun = int(store.manifest["chunk_images"])
            if begun <= sizes.most:
                return store
            if not overwrite:
                raise ConfigError(
                    f"engine.memory_mb holds {sizes.most} images at a time, but {output} was begun "
                    f"with {begun} per chunk; raise it, or overwrite the scores (--overwrite)."
                )
        elif not overwrite:
            raise DataError(
                f"{output} holds scores made from other images or settings; choose another folder, "
                "or overwrite it (--overwrite)."
            )
        for number in range(store.n_chunks):
            store.record_path(number).unlink(missing_ok=True)
            store.array_path(number).unlink(missing_ok=True)
    elif output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DataError(f"{output} exists but holds no scores; name a folder that is new or empty.")
    manifest = {
        "format": FORMAT,
        "quantity": plan.options.quantity,
        "n_images": plan.images.shape[0],
        "item_shape": plan.item_shape,
        "dtype": plan.options.storage,
        "steps": plan.steps.tolist(),
        "times": (plan.steps * plan.problem.time_step).tolist(),
        "spacing": plan.problem.spacing,
        "chunk_images": sizes.chunk,
        "fingerprint": fingerprint,
        "settings": json.loads(text),
    }
    write_json(output / MANIFEST, manifest)
    return ScoreStore.open(output)


@contextmanager
def _one_thread_per_operation():
    """Let every operation run on one thread: the workers are the parallelism."""
    before = torch.get_num_threads()
    with threadpool_limits(limits=1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


class _Workers:
    """Threads that load images, compute blocks and fill a chunk."""

    def __init__(self, plan: _Plan, sizes: _Sizes):
        self._plan, self._block = plan, sizes.block
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(
            sizes.workers,
            thread_name_prefix="engine",
            initializer=torch.set_num_threads,
            initargs=(1,),
        )

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, kind, *_) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)

    def compute(self, rows: Sequence[int], advance: Callable[[int], Any]):
        """Return (values, record) of the images ``rows``; ``advance`` gets finished images."""
        plan = self._plan
        values = np.full((len(rows), *plan.item_shape), np.nan, dtype=plan.options.storage)
        parts = [rows[i : i + self._block] for i in range(0, len(rows), self._block)]
        futures = [
            self._pool.submit(self._compute_block, part, values[part[0] - rows[0] :][: len(part)])
            for part in parts
        ]
        failures, iterations, fallbacks, residual = [], 0, 0, None
        for part, future in zip(parts, futures, strict=True):
            found, counts = future.result()
            failures += found
            iterations, fallbacks = iterations + counts[0], fallbacks + counts[1]
            if counts[2] is not None:
                residual = max(counts[2], residual or 0.0)
            advance(len(part))
        record = {
            "first_image": int(rows[0]),
            "n_images": len(rows),
            "failures": failures,
            "iterations": iterations,
            "fallbacks": fallbacks,
            "max_relative_residual": residual,
        }
        return values, record

    def _compute_block(self, rows: Sequence[int], out: np.ndarray):
        """Fill ``out`` with the images ``rows``; return failures and counts."""
        plan, failures, fields, kept = self._plan, [], [], []
        for position, row in enumerate(rows):
            try:
                fields.append(self._log_density(row))
                kept.append(position)
            except CrosskrylovError as error:
                failures.append(self._failure(row, str(error)))
        if not kept:
            return failures, (0, 0, None)
        engine = getattr(self._local, "engine", None)
        if engine is None:
            engine = plan.options.make_engine(plan.problem, plan.steps, plan.march)
            self._local.engine = engine
        result = engine.run(np.concatenate(fields))
        n = plan.channels
        for position, reason in sorted(result.failures.items()):
            row = rows[kept[position // n]]
            if not any(failure["image"] == row for failure in failures):
                failures.append(self._failure(row, reason))
        for position in self._store(result.log_density, out, kept):
            reason = f"its values are too large for engine.storage {plan.options.storage}"
            failures.append(self._failure(rows[position], f"{reason}; store float32"))
        residuals = result.max_residual[np.isfinite(result.max_residual)]
        worst = float(residuals.max()) if residuals.size else None
        return failures, (int(result.iterations.sum()), int(result.fallbacks.sum()), worst)

    def _log_density(self, row: int) -> np.ndarray:
        """Return the initial log-densities of one image, shape (channels, H, W)."""
        pixels = np.asarray(self._plan.images.read(row))
        options = dict(self._plan.density)
        if "seed" in options:
            # the draw depends on the image's number alone, not on chunks or parts
            number = self._plan.first_image + row
            state = np.random.SeedSequence((options["seed"], number)).generate_state(1)
            options["seed"] = int(state[0])
        if not np.isfinite(pixels).all():
            raise DataError("it holds values that are not finite; repair or remove it")
        return initial_log_density(pixels[None], **options)

    def _failure(self, row: int, reason: str) -> dict[str, Any]:
        return {"image": int(row), "name": self._plan.images.name(row), "reason": reason}

    def _store(self, log_density: torch.Tensor, out: np.ndarray, kept: list[int]) -> list[int]:
        """Fill ``out``; return the positions whose values do not fit its dtype (left NaN)."""
        plan = self._plan
        values = log_density
        if plan.options.quantity == "score":
            values = score(values, plan.problem.spacing)
        values = values.cpu().numpy()
        values = values.reshape(len(kept), *plan.item_shape)
        axes = tuple(range(1, values.ndim))
        too_large = (np.abs(values) > np.finfo(out.dtype).max).any(axis=axes)
        positions = np.asarray(kept)
        out[positions[~too_large]] = values[~too_large]
        return positions[too_large].tolist()
