"""What the engines cost per image, end to end, against assembly and SpSolve on the same clock."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd

from crosskrylov.datasets.loading import load_images
from crosskrylov.errors import ConfigError
from crosskrylov.metrics.intervals import median_interval, ratio_interval
from crosskrylov.scores.stream import precompute_scores
from crosskrylov.studies.common import relative_errors
from crosskrylov.studies.register import register

#: The published baseline as an engine: the march around SciPy's spsolve.
SPSOLVE = {"method": "solver", "solver": {"method": "spsolve"}}
BASELINE = "spsolve"


class _Run(NamedTuple):
    """Milliseconds per image, those of each chunk, largest residual, scores of the first images."""

    ms: float
    chunk_ms: list[float]
    max_residual: float
    scores: np.ndarray


def engine_speed(
    sizes: Sequence[Mapping],
    engines: Sequence[str],
    workers: Sequence[int],
    *,
    repeats: int,
    seed: int,
    streamed: Mapping | None = None,
    source: str = "photos",
) -> pd.DataFrame:
    """Measure engines and SpSolve at several image sizes, and engines on many images.

    The clock runs from pixels in memory to scores on disk: initial densities, the march or the
    exact solution, scores, files.  It is the same for the march around SpSolve, which runs on the
    first images, with one worker.  In a streamed run the images are drawn while the clock runs.
    Settings of the equation are the defaults (the authors').

    Parameters
    ----------
    sizes : sequence of mapping
        {"size", "n_images", "n_direct"}: side in pixels, images of an engine's run, and images of
        SpSolve's.
    engines : sequence of str
        Methods of `EngineOptions`.
    workers : sequence of int
        Threads on different images, 0 for all cores.
    repeats : int
        Timed runs of each, interleaved with each other and with SpSolve's in random order, after a
        run that is dropped.
    seed : int
        Of the crops and of the order.
    streamed : mapping, optional
        {"size", "n_images", "engines"}: run once with the first entry of ``workers``, written to
        the working folder and deleted.
    source : str
        Source of images without options of its own.

    Returns
    -------
    DataFrame
        ``low`` and ``high`` are 95 % intervals over repeats, in a streamed row over its chunks.
        ``speedup_vs_spsolve`` is paired by repeat, in a streamed row against SpSolve's median.
        ``score_difference`` is the relative 2-norm of the difference to SpSolve's scores over all
        stored steps, the largest of the first images; streamed rows hold the rounding of their
        16-bit storage in it, the others none.

    Raises
    ------
    ConfigError
        If SpSolve is to solve more images than an engine, or ``streamed`` has a size of its own.
    """
    for entry in sizes:
        if entry["n_direct"] > entry["n_images"]:
            raise ConfigError(
                f"studies.engine_speed.sizes has n_direct {entry['n_direct']} and n_images "
                f"{entry['n_images']}: SpSolve's images are the first of the others, lower it."
            )
    if streamed and streamed["size"] not in [entry["size"] for entry in sizes]:
        raise ConfigError(
            f"studies.engine_speed.streamed has size {streamed['size']}, which is none of its "
            "sizes: SpSolve is measured there only, add it."
        )
    rng = np.random.default_rng(seed)
    rows = []
    for entry in sizes:
        size, n_direct = entry["size"], entry["n_direct"]
        many = load_images(source, size, entry["n_images"], seed=seed).images
        few = many[:n_direct]
        variants = {(BASELINE, 1): (few, SPSOLVE)}
        variants |= {(e, w): (many, {"method": e}) for e in engines for w in workers}
        first = {}  # the dropped runs say how exact each is
        for key, (_, options) in variants.items():
            first[key] = _run(few, n_direct, key[1], seed, options | {"storage": "float64"})
        reference = first[BASELINE, 1]
        runs: dict[tuple, list[_Run]] = {key: [] for key in variants}
        keys = list(variants)
        for _ in range(repeats):
            for position in rng.permutation(len(keys)):
                used, options = variants[keys[position]]
                runs[keys[position]].append(_run(used, n_direct, keys[position][1], seed, options))
        baseline = [run.ms for run in runs[BASELINE, 1]]
        for key, (used, _) in variants.items():
            own = [run.ms for run in runs[key]]
            residuals = [run.max_residual for run in (first[key], *runs[key])]
            rows.append(
                _row(size, *key, len(used), repeats)
                | dict(zip(("ms_per_image", "low", "high"), median_interval(own), strict=True))
                | dict(zip(_SPEEDUP, ratio_interval(baseline, own), strict=True))
                | {
                    "max_residual": _largest(residuals),
                    "score_difference": _difference(first[key], reference),
                }
            )
        if streamed and streamed["size"] == size:
            used = {"source": source, "image_size": size, "seed": seed}
            used |= {"n_images": streamed["n_images"]}
            for engine in streamed["engines"]:
                run = _run(used, n_direct, workers[0], seed, {"method": engine})
                _, low, high = median_interval(run.chunk_ms)
                rows.append(
                    _row(size, engine, workers[0], used["n_images"], 1)
                    | {
                        "ms_per_image": run.ms,
                        "low": min(low, run.ms),
                        "high": max(high, run.ms),
                        "speedup_vs_spsolve": float(np.median(baseline)) / run.ms,
                        "max_residual": run.max_residual,
                        "score_difference": _difference(run, reference),
                    }
                )
    return pd.DataFrame(rows)


_SPEEDUP = ("speedup_vs_spsolve", "speedup_low", "speedup_high")


def _row(size, engine, workers, n_images, repeats) -> dict:
    values = ("ms_per_image", "low", "high", *_SPEEDUP, "max_residual", "score_difference")
    row = {"size": size, "engine": engine, "workers": workers}
    return row | dict.fromkeys(values, np.nan) | {"n_images": n_images, "repeats": repeats}


def _run(images, n_kept, workers, seed, options) -> _Run:
    """Compute the scores of images and store them in the working folder, then delete them."""
    with TemporaryDirectory(prefix=".engine-speed-", dir=Path.cwd()) as folder:
        started = time.perf_counter()
        store = precompute_scores(
            images, Path(folder) / "scores", workers=workers, device="cpu", progress=False,
            seed=seed, **options,
        )  # fmt: skip
        seconds = time.perf_counter() - started
        records = [store.record(chunk) for chunk in range(store.n_chunks)]
        residual = store.summary()["max_relative_residual"]
        return _Run(
            1e3 * seconds / len(store),
            [1e3 * record["seconds"] / record["n_images"] for record in records],
            np.nan if residual is None else residual,
            np.array(store[:n_kept], dtype=np.float64),
        )


def _difference(run, reference) -> float:
    return float(relative_errors(run.scores, reference.scores).max())


def _largest(values) -> float:
    """Return the largest of the values that are numbers, NaN if none is."""
    found = [value for value in values if not np.isnan(value)]
    return max(found) if found else np.nan


@register(
    "engine_speed",
    timed=True,
    torch=True,
    solvers=["spsolve"],
    tables={
        "engine_speed": "Milliseconds per image of the engines and of the march with SpSolve, from "
        "pixels to scores on disk, largest relative residual of any system, and "
        "the relative difference of the scores to SpSolve's (the exact engines have no error of "
        "the time steps in them, the march has). Rows of one repeat are streamed runs, which "
        "also draw the images and have intervals over chunks of images."
    },
    figures={
        "engine_speed": {
            "table": "engine_speed",
            "caption": "Time per image, end to end, and speed-up over the march with SpSolve on "
            "the same clock, by image size (bars: 95 % intervals; stars: streamed runs of many "
            "images).",
        }
    },
)
def study_engine_speed(data, sizes, engines, workers, repeats, streamed, random_seed):
    """Measure the engines end to end against SpSolve."""
    table = engine_speed(
        sizes, engines, workers, repeats=repeats, seed=random_seed, streamed=streamed
    )
    return {"engine_speed": table}
