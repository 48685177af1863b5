"""What scores cost at any number of images: measured runs, a fitted model, what follows from it.

Costs are processor seconds of this process, which another program beside it disturbs little, and
which are what a cluster charges.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from scipy.optimize import nnls

from crosskrylov.datasets.loading import load_images
from crosskrylov.errors import ConfigError
from crosskrylov.runtime.measurement import PeakMemory
from crosskrylov.scores.on_the_fly import ExactScores
from crosskrylov.scores.stream import precompute_scores
from crosskrylov.studies.register import register

#: Terms of the models, by column of the fitted table: what multiplies each coefficient, with n
#: images of p pixels (side s) and k stored steps.
TERMS = {
    "seconds_per_run": lambda n, p, k: np.ones_like(p * n * k, dtype=float),
    "seconds_per_image": lambda n, p, k: 1.0 * n,
    "seconds_per_pixel": lambda n, p, k: 1.0 * n * p,
    "seconds_per_pixel_step": lambda n, p, k: 1.0 * n * p * k,
    "seconds_per_pixel_side_step": lambda n, p, k: n * p**1.5 * k,
}
BYTES = {
    "bytes_per_run": TERMS["seconds_per_run"],
    "bytes_per_image": TERMS["seconds_per_image"],
    "bytes_per_pixel_step": TERMS["seconds_per_pixel_step"],
}


def measured_costs(
    runs: Sequence[Mapping], stored_steps: Sequence[int], *, repeats: int, seed: int
) -> pd.DataFrame:
    """Measure whole runs of the engines, from pixels in memory to scores on disk.

    Parameters
    ----------
    runs : sequence of mapping
        {"engine", "size", "n_images"}: a method of `EngineOptions`, the side in pixels, and the
        numbers of images, a run for each.
    stored_steps : sequence of int
        Numbers of stored time steps.
    repeats : int
        Timed runs of each, interleaved in random order, after a run that is dropped.
    seed : int
        Of the crops and of the order.

    Returns
    -------
    DataFrame
        A row per engine, size, number of images and of stored steps: median processor seconds,
        bytes on disk, and the largest peak of the process's resident memory in MB, libraries and
        all images of the study included (empty where it cannot be measured).
    """
    rng = np.random.default_rng(seed)
    most: dict[int, int] = {}
    for entry in runs:
        most[entry["size"]] = max(most.get(entry["size"], 0), *entry["n_images"])
    images = {size: load_images("photos", size, n, seed=seed).images for size, n in most.items()}
    cases = [
        (entry["engine"], entry["size"], n, steps)
        for entry in runs
        for n in entry["n_images"]
        for steps in stored_steps
    ]
    for engine, size, _, steps in cases:
        _run(images[size][:1], engine, steps, seed)
    timed: dict[tuple, list[tuple]] = {case: [] for case in cases}
    for _ in range(repeats):
        for position in rng.permutation(len(cases)):
            engine, size, n, steps = cases[position]
            timed[cases[position]].append(_run(images[size][:n], engine, steps, seed))
    rows = []
    for (engine, size, n, steps), found in timed.items():
        seconds, written, memory = zip(*found, strict=True)
        rows.append(
            {"engine": engine, "size": size, "n_images": n, "stored_steps": steps}
            | {"seconds": float(np.median(seconds)), "bytes": written[0]}
            | {"memory_mb": max((m for m in memory if m is not None), default=np.nan)}
            | {"repeats": repeats}
        )
    return pd.DataFrame(rows)


def _run(images: np.ndarray, engine: str, steps: int, seed: int) -> tuple[float, int, float | None]:
    """Return processor seconds, bytes on disk and MB of memory of one run."""
    with TemporaryDirectory(prefix=".scaling-", dir=Path.cwd()) as folder:
        peak, started = PeakMemory(), time.process_time()
        precompute_scores(
            images, Path(folder) / "scores", equation={"stored_steps": steps}, method=engine,
            workers=1, device="cpu", progress=False, seed=seed,
        )  # fmt: skip
        seconds = time.process_time() - started
        written = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    return seconds, written, peak.megabytes()


def _resident_mb() -> float | None:
    """Return the resident memory of this process in MB (10^6 bytes), None where nobody says."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(x.split()[1]) * 1024 / 1e6 for x in lines if x.startswith("VmRSS:")), None)


def fitted(costs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit seconds and bytes of each engine by non-negative least squares on relative residuals.

    Parameters
    ----------
    costs : DataFrame
        Of `measured_costs`.

    Returns
    -------
    costs : DataFrame
        With ``seconds_fitted`` and ``residual``, the relative difference of the fit to the run.
    model : DataFrame
        A row per engine: the coefficients of `TERMS` and `BYTES`, the number of runs, and the
        median and largest absolute value of ``residual``.
    """
    costs, models = costs.copy(), []
    for engine, group in costs.groupby("engine", sort=False):
        n, p = group.n_images.to_numpy(), group["size"].to_numpy() ** 2
        k = group.stored_steps.to_numpy()
        model = {"engine": engine, "runs": len(group)}
        for terms, column in ((TERMS, "seconds"), (BYTES, "bytes")):
            values = group[column].to_numpy(dtype=float)
            design = np.stack([term(n, p, k) for term in terms.values()], axis=1)
            # columns differ by many orders of magnitude, which non-negative least squares minds
            weighted = design / values[:, None]
            scale = np.abs(weighted).max(axis=0)
            coefficients = nnls(weighted / scale, np.ones(len(values)))[0] / scale
            model |= dict(zip(terms, coefficients.tolist(), strict=True))
            if column == "seconds":
                estimate = design @ coefficients
                costs.loc[group.index, "seconds_fitted"] = estimate
                costs.loc[group.index, "residual"] = estimate / values - 1
        off = costs.loc[group.index, "residual"].abs()
        models.append(model | {"residual_median": off.median(), "residual_largest": off.max()})
    return costs, pd.DataFrame(models)


def extrapolated(
    model: pd.DataFrame, workloads: Sequence[Mapping], *, stored_steps: int, part: Mapping
) -> pd.DataFrame:
    """Return what image sets would cost, by the fitted model of each engine.

    Parameters
    ----------
    model : DataFrame
        Of `fitted`.
    workloads : sequence of mapping
        {"name", "size", "n_images"}.
    stored_steps : int
        Stored time steps of all of them.
    part : mapping
        {"start_seconds", "deaths_per_hour"}: what a job takes before its first image, and how many
        jobs of an hour die.  Where a job that dies starts anew, a part loses least of its time if
        it takes sqrt(2 start_seconds / rate) (Young's approximation of the checkpoint interval).

    Returns
    -------
    DataFrame
        A row per workload and engine: core hours without and with the jobs' starts and deaths,
        gpu_hours (empty: none was measured), bytes, images per part, seconds per part, jobs.
        Hours, seconds and parts are NaN where the runs were too small to show a cost per image.
    """
    rate = part["deaths_per_hour"] / 3600
    best = math.sqrt(2 * part["start_seconds"] / rate)
    rows = []
    for workload in workloads:
        n, pixels = workload["n_images"], workload["size"] ** 2
        for row in model.itertuples():
            values = row._asdict()
            per_image = sum(
                values[name] * float(term(1, np.float64(pixels), stored_steps))
                for name, term in TERMS.items()
                if name != "seconds_per_run"
            )
            if per_image:
                images = max(1, min(n, round(best / per_image)))
                jobs = math.ceil(n / images)
            else:  # runs so small that the fit puts all of their seconds into their start
                per_image = images = jobs = math.nan
            seconds = images * per_image
            # what a job costs on average: its start, its images, and half of them again if it dies
            whole = part["start_seconds"] + seconds * (1 + rate * seconds / 2)
            written = values["bytes_per_image"] + values["bytes_per_pixel_step"] * (
                pixels * stored_steps
            )
            rows.append(
                {"workload": workload["name"], "size": workload["size"], "n_images": n}
                | {"engine": row.engine, "stored_steps": stored_steps}
                | {"core_hours": n * per_image / 3600, "core_hours_with_jobs": jobs * whole / 3600}
                | {"gpu_hours": np.nan, "bytes": n * written}
                | {"images_per_part": images, "seconds_per_part": seconds, "jobs": jobs}
            )
    return pd.DataFrame(rows)


def streamed_memory(
    size: int, n_images: int, batch: int, samples: int, seed: int
) -> Iterator[dict[str, float]]:
    """Stream synthetic images through the exact scores, storing nothing; yield what is resident.

    Yields
    ------
    dict
        images so far, processor seconds so far, resident memory in MB.
    """
    if batch > n_images:
        raise ConfigError(f"studies.scaling.streamed has batch {batch} and n_images {n_images}.")
    scores = ExactScores(size, check=False)
    generator = torch.Generator().manual_seed(seed)
    started, done, told = time.process_time(), 0, 0
    with torch.inference_mode():
        while done < n_images:
            count = min(batch, n_images - done)
            images = torch.rand(count, 1, size, size, generator=generator)
            scores(images, scores.uniform_times(count))
            done += count
            if done * samples // n_images > told:
                told = done * samples // n_images
                yield {
                    "size": size, "images": done, "seconds": time.process_time() - started,
                    "resident_mb": _resident_mb() or np.nan,
                }  # fmt: skip


@register(
    "scaling",
    timed=True,
    torch=True,
    tables={
        "scaling": "Processor seconds, bytes and memory of whole runs of the engines, and what the "
        "fitted model says of each (residual: relative difference of the model).",
        "scaling_model": "The fitted models: seconds and bytes per run, image, pixel and step.",
        "scaling_sets": "What image sets would cost by the fitted models; nothing of it was run.",
        "scaling_memory": "Resident memory while images stream through the exact scores.",
    },
    figures={
        "scaling": {
            "table": "scaling",
            "caption": "Processor seconds per image of whole runs (points) and the fitted model "
            "(lines) by image size, and the relative differences between the two.",
        }
    },
)
def study_scaling(data, runs, stored_steps, repeats, workloads, part, streamed, random_seed):
    """Measure, fit, extrapolate; and stream images without storing anything."""
    costs, model = fitted(measured_costs(runs, stored_steps, repeats=repeats, seed=random_seed))
    sets = extrapolated(model, workloads, stored_steps=max(stored_steps), part=part)
    memory = pd.DataFrame(streamed_memory(**streamed, seed=random_seed))
    return {
        "scaling": costs,
        "scaling_model": model,
        "scaling_sets": sets,
        "scaling_memory": memory,
    }
