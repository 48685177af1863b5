"""Scores of any number of images through a fixed amount of memory, chunk by chunk onto disk."""

import json
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
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
from crosskrylov.datasets.pixels import COLOR, DecodingMemory, decoding_within
from crosskrylov.equation.density import density_options, initial_log_density
from crosskrylov.equation.problem import (
    DEFAULTS,
    FokkerPlanckProblem,
    check_equation,
    evenly_spaced_steps,
    problem_from_config,
)
from crosskrylov.errors import ConfigError, CrosskrylovError
from crosskrylov.runtime.files import printable
from crosskrylov.scores.engine_options import EngineOptions
from crosskrylov.scores.engines.block_score import block_score
from crosskrylov.scores.images import SEED, Images, as_images
from crosskrylov.scores.march_options import MarchOptions
from crosskrylov.scores.resuming import open_or_create, written_folder
from crosskrylov.scores.smoothed_density import SmoothedDensity
from crosskrylov.scores.store import ScoreStore

logger = logging.getLogger(__name__)

#: A chunk is what an interruption can cost: never more images than this.
MAX_CHUNK_IMAGES = 1000
#: Fields of a block that are in memory at once beside the stored ones (see `BatchedMarch`).
_WORKING_FIELDS = 18


class _Sizes(NamedTuple):
    """Worker threads, images per block and per chunk, the most of a chunk, bytes for decoding."""

    workers: int
    block: int
    chunk: int
    most: int
    decoding: int


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
        """Bytes of one image in its file; more blocks than a chunk has never wait for the disk."""
        return int(np.prod(self.item_shape)) * np.dtype(self.options.storage).itemsize

    @property
    def block_bytes_per_image(self) -> int:
        """Memory that one image takes while a worker has it in hand."""
        fields = _WORKING_FIELDS + 4 * len(self.steps)
        return 8 * fields * self.channels * self.problem.height * self.problem.width

    def settings(self, equation: Mapping) -> dict[str, Any]:
        """Return everything that the numbers depend on beside the images, defaults filled in."""
        problem, diffusion = self.problem, dict(equation.get("diffusion", {}))
        g = [float(problem.diffusion.coefficient(problem.time(step))) for step in self.steps]
        diffusion |= {"g": g[0] if problem.diffusion.constant else g}
        settings = {
            "images": self.images.identity(),
            "equation": {
                "final_time": problem.final_time,
                "time_steps": problem.time_steps,
                "stored_steps": len(self.steps),
                "boundary": problem.boundary,
                "border_gradient": problem.border_gradient,
                "diffusion": {"kind": DEFAULTS["diffusion"]["kind"]} | diffusion,
                "drift": {"kind": DEFAULTS["drift"]["kind"]} | dict(equation.get("drift", {})),
            },
            "density": self.density,
            "engine": self.options.identity(problem),
            "version": crosskrylov.__version__,
        }
        if self.density["method"] == "kde":
            settings["first_image"] = self.first_image  # the draws depend on it
        if settings["engine"]["method"] in ("batched", "solver"):
            settings["march"] = asdict(self.march)
        return json.loads(json.dumps(settings, sort_keys=True, default=str))

    def sizes(self) -> _Sizes:
        """Return what fits the memory budget; a third of it is for decoding files.

        Raises
        ------
        ConfigError
            If the budget does not hold a single image.
        """
        options = self.options
        if not math.isfinite(options.memory_mb):
            raise ConfigError(
                f"engine.memory_mb is {options.memory_mb}; it must be a finite number."
            )
        budget = int(options.memory_mb * 1e6)
        least = self.chunk_bytes_per_image + self.block_bytes_per_image
        if budget < least:
            raise ConfigError(
                f"engine.memory_mb is {options.memory_mb:g}, but one image of "
                f"{self.problem.height} x {self.problem.width} pixels needs {least / 1e6:.3g} MB; "
                "raise it, or store fewer steps."
            )
        # files are larger than the images that they become, and come before all else
        reserved = min(budget // 3, budget - least) if self.images.decodes else 0
        budget -= reserved
        block = max(1, options.n_block(self.problem) // self.channels)
        most = (budget - self.chunk_bytes_per_image) // self.block_bytes_per_image
        workers = min(options.n_workers, most)
        block = max(1, min(block, most // workers))
        left = budget - workers * block * self.block_bytes_per_image
        fitting = max(1, left // self.chunk_bytes_per_image)
        chunk = options.chunk_images or min(fitting, MAX_CHUNK_IMAGES)
        if chunk > fitting:
            raise ConfigError(
                f"engine.chunk_images is {chunk}, but engine.memory_mb {options.memory_mb:g} holds "
                f"only {fitting} images at a time; lower the one or raise the other."
            )
        in_chunk = min(chunk, self.images.shape[0])
        decoding = reserved + left - in_chunk * self.chunk_bytes_per_image
        return _Sizes(workers, block, chunk, fitting, decoding)


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
        Image files and folders; floating-point pixels in [0, 1], C = 1 (grey) or 3 (colour); or a
        source of `crosskrylov.datasets` with its options, such as ``{"source": "photos",
        "image_size": 32, "n_images": 1000, "seed": 17}``.
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
    ShapeError, DataError
        If an array is not made of pixels (see `crosskrylov.equation.density.checked_images`).
    DataError
        If the disk is full, ``output`` holds something else, or somebody else is writing it.

    Notes
    -----
    Images are known by relative name and content: a folder may be moved, and images that were added
    to it are computed and appended, whatever their names.  Images that are gone or have changed are
    refused, as other settings are, unless ``overwrite`` is given.  An image that cannot be read is
    a failure of that image alone, whatever the reason, and is tried again by the next run.

    A chunk of images is computed by ``workers`` threads, each on blocks of images with one thread
    per operation; the calling thread writes and hashes finished blocks meanwhile.  Results depend
    neither on the number of workers nor, beyond rounding, on the sizes of chunks and blocks; a
    repeated run is bit-identical.
    """
    options = EngineOptions.from_config(engine)
    equation = dict(equation or {})
    check_equation(equation)
    density = density_options(density)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ConfigError(f"seed is {seed!r}; it must be a whole number of at least 0.")
    source = as_images(images, size, color)
    problem = problem_from_config(equation, *source.shape[2:])
    stored_steps = int({**DEFAULTS, **equation}["stored_steps"])
    steps = evenly_spaced_steps(problem.time_steps, stored_steps)
    _check_diffusion(problem, steps)
    if density["method"] == "kde":
        density["seed"] = seed
    plan = _Plan(source, problem, steps, density, options, march or MarchOptions(), first_image)
    sizes = plan.sizes()
    method = options.resolved_method(problem)
    if method == "solver":  # one that cannot be made is found before anything is written
        options.make_engine(problem, steps, plan.march)
    with written_folder(Path(output)):
        store, kept = open_or_create(Path(output), plan, plan.settings(equation), sizes, overwrite)
        todo = [number for number in range(store.n_chunks) if number not in kept.complete]
        left = sum(len(store.rows(number)) for number in todo)
        bar = tqdm(
            total=len(store),
            initial=len(store) - left,
            unit="image",
            disable=not progress,
            dynamic_ncols=True,
        )
        bar.set_description(method)
        with bar, _one_thread_per_operation(), _Workers(plan, sizes) as workers:
            for number in todo:
                started = time.perf_counter()
                old = kept.partial.get(number)
                before = store.chunk(number) if old else None
                with store.writing_chunk(number) as writer:
                    record = workers.compute(
                        store.rows(number), writer.append, bar.update, before, old
                    )
                    seconds = time.perf_counter() - started + (old["seconds"] if old else 0.0)
                    writer.record = record | {"method": method, "seconds": seconds}
                if on_chunk is not None:
                    on_chunk(number)
    return ScoreStore.open(output)


def _check_diffusion(problem: FokkerPlanckProblem, steps) -> None:
    """Raise `ConfigError` if g(t) or its integral is not finite at a stored time."""
    for step in steps:
        try:
            with np.errstate(all="ignore"):
                found = problem.half_g2(step), problem.diffusion.tau(problem.time(step))
        except OverflowError:
            found = (math.inf, math.inf)
        if not (found[0] < 1e150 and found[1] < 1e150):  # nor NaN
            raise ConfigError(
                f"equation.diffusion gives g^2 / 2 = {found[0]:.3g} and its integral "
                f"{found[1]:.3g} at time {problem.time(step):.3g}; both must be finite."
            )


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
    """Threads that load images and compute blocks, which the caller's thread writes meanwhile."""

    def __init__(self, plan: _Plan, sizes: _Sizes):
        self._plan, self._block, self._ahead = plan, sizes.block, sizes.workers + 1
        self._memory = DecodingMemory(sizes.decoding)
        self._local = threading.local()
        self._spare: list[np.ndarray] = []  # memory of blocks that are on disk
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

    def compute(
        self,
        rows: range,
        write: Callable[[np.ndarray], Any],
        advance: Callable[[int], Any],
        before=None,
        old=None,
    ) -> dict[str, Any]:
        """Return the record of the images ``rows``; ``write`` gets their values block by block.

        Of ``before`` and its record ``old`` the images are kept that did not fail; ``advance`` gets
        numbers of finished images.
        """
        plan = self._plan
        abouts = [plan.images.about(row) for row in rows]
        iterations, fallbacks, residuals, kept = 0, 0, [], frozenset()
        if old is not None:
            failed = {failure["image"] - rows.start for failure in old["failures"]}
            kept = frozenset(range(old["n_images"])) - failed
            for i in kept:
                abouts[i] = old["images"][i]
            iterations, fallbacks = old["iterations"], old["fallbacks"]
            residuals.append(old["max_relative_residual"])
        failures, waiting = [], deque()

        def finish() -> None:
            nonlocal iterations, fallbacks
            values, found, counts = waiting.popleft().result()
            write(values)
            self._spare.append(values)
            failures.extend(found)
            iterations, fallbacks = iterations + counts[0], fallbacks + counts[1]
            residuals.append(counts[2])
            advance(len(values))

        for first in range(0, len(rows), self._block):
            block = range(first, min(first + self._block, len(rows)))
            job = (self._compute_block, block, rows.start, before, kept, abouts)
            waiting.append(self._pool.submit(*job))
            if len(waiting) > self._ahead:
                finish()
        while waiting:
            finish()
        return {
            "first_image": int(rows.start),
            "n_images": len(rows),
            "failures": failures,
            "images": abouts,
            "iterations": iterations,
            "fallbacks": fallbacks,
            "max_relative_residual": max((r for r in residuals if r is not None), default=None),
        }

    def _memory_of(self, n_images: int) -> np.ndarray:
        """Return an array for a block; fresh memory would be cleared by the system page by page."""
        shape = (n_images, *self._plan.item_shape)
        while self._spare:
            values = self._spare.pop()
            if values.shape == shape:
                return values
        return np.empty(shape, dtype=self._plan.options.storage)

    def _compute_block(self, block: range, start: int, before, kept: frozenset, abouts: list):
        """Return values, failures and counts of the images ``block``; fill ``abouts``."""
        plan, failures, pictures, there = self._plan, {}, [], []
        for position in block:
            if position in kept:
                continue
            try:
                with decoding_within(self._memory):
                    picture = plan.images.read(int(start + position))
                pictures.append(picture.pixels)
                abouts[position] = picture.about
                there.append(position)
            except CrosskrylovError as error:
                failures[position] = str(error)
            except Exception as error:  # of a decoder: of any kind, and this image's alone
                failures[position] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        fields, problems = self._log_densities([start + p for p in there], pictures)
        failures |= {there[i]: problem for i, problem in problems.items()}
        there = [position for i, position in enumerate(there) if i not in problems]
        counts, values, fitting = (0, 0, None), None, np.zeros(0, dtype=bool)
        if there:
            engine = getattr(self._local, "engine", None)
            if engine is None:
                engine = plan.options.make_engine(plan.problem, plan.steps, plan.march)
                self._local.engine = engine
            result = engine.run(fields)
            for field, reason in sorted(result.failures.items()):
                failures.setdefault(there[field // plan.channels], reason)
            values, fitting = self._values(result.log_density)
            for i in np.flatnonzero(~fitting):
                failures[there[i]] = (
                    f"its values are too large for engine.storage {plan.options.storage}; store "
                    "float32"
                )
            residuals = result.max_residual[np.isfinite(result.max_residual)]
            worst = float(residuals.max()) if residuals.size else None
            counts = (int(result.iterations.sum()), int(result.fallbacks.sum()), worst)
        out = self._memory_of(len(block))
        if len(there) == len(block):  # the rule
            torch.from_numpy(out).copy_(values)
            out[~fitting] = np.nan
        else:
            out[:] = np.nan
            for i, position in enumerate(there):
                if fitting[i]:
                    torch.from_numpy(out[position - block.start]).copy_(values[i])
            for position in kept.intersection(block):
                out[position - block.start] = before[position]
        found = [
            {
                "image": int(start + position),
                "name": abouts[position]["name"],
                "reason": printable(failures[position]),
            }
            for position in sorted(failures)
        ]
        return out, found, counts

    def _log_densities(self, rows: list[int], pictures: list[np.ndarray]):
        """Return the initial log-densities (n * channels, H, W), and what is wrong with others.

        Images with a problem, a dict of positions to sentences, are left out of the array.
        """
        plan, problems, fields = self._plan, {}, None
        alone = list(range(len(pictures)))
        if plan.density["method"] == "smoothed" and pictures:
            fields, usable = self._smoothed(np.stack(pictures))
            alone = np.flatnonzero(~usable).tolist()
        found = {}
        for i in alone:
            try:
                found[i] = self._log_density(rows[i], pictures[i])
            except CrosskrylovError as error:
                problems[i] = str(error)
        if fields is None:
            fields = np.concatenate(list(found.values())) if found else np.empty(0)
        elif alone:
            fields = fields.reshape(len(pictures), plan.channels, *fields.shape[1:])
            for i, field in found.items():
                fields[i] = field
            keep = [i for i in range(len(pictures)) if i not in problems]
            fields = fields[keep].reshape(-1, *fields.shape[2:])
        return fields, problems

    def _smoothed(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the smoothed log-densities of a block and for which images they are to be used.

        The others are not made of pixels, or have no density: the reference says why.
        """
        plan, axes = self._plan, (1, 2, 3)
        density = getattr(self._local, "density", None)
        if density is None:
            problem = plan.problem
            shape = problem.height, problem.width
            options = (problem.spacing, plan.density, torch.float64)
            density = self._local.density = SmoothedDensity(*shape, *options)
        fields = torch.from_numpy(pictures).double()
        each = plan.density["channels"] == "each"
        fields = fields.flatten(0, 1) if each else fields.mean(1)
        logs = density(fields).log_().numpy()
        # NaN is in no range
        usable = (pictures.min(axes) >= 0) & (pictures.max(axes) <= 1)
        finite = np.isfinite(logs.sum((1, 2))).reshape(len(pictures), -1).all(1)
        return logs, usable & finite

    def _log_density(self, row: int, pixels: np.ndarray) -> np.ndarray:
        """Return the initial log-densities of one image, shape (channels, H, W)."""
        options = dict(self._plan.density)
        if "seed" in options:
            # the draw depends on the image's number alone, not on chunks or parts
            number = self._plan.first_image + row
            state = np.random.SeedSequence((options["seed"], number)).generate_state(1)
            options["seed"] = int(state[0])
        return initial_log_density(pixels[None], **options)

    def _values(self, log_density: torch.Tensor) -> tuple[torch.Tensor, np.ndarray]:
        """Return what is stored of a block, and which images fit the dtype of storage."""
        plan, values = self._plan, log_density
        if plan.options.quantity == "score":
            shape = (*values.shape[:2], 2, *values.shape[2:])
            values = self._scratch(shape, values)
            block_score(log_density, plan.problem.spacing, values)
        values = values.view(-1, *plan.item_shape)
        flat, largest = values.flatten(1), np.finfo(plan.options.storage).max
        too_large = (flat.amax(1) > largest) | (flat.amin(1) < -largest)
        return values, ~too_large.cpu().numpy()

    def _scratch(self, shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
        """Return memory that this thread keeps from block to block."""
        scratch = getattr(self._local, "scratch", None)
        if scratch is None or scratch.shape[1:] != shape[1:] or len(scratch) < shape[0]:
            scratch = self._local.scratch = like.new_empty(shape)
        return scratch[: shape[0]]
