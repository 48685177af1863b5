"""What the engines cost, against assembly + SpSolve, on this machine and in one run.

    PYTHONPATH=. python tests/benchmarks/engine.py WHAT

with WHAT one of

    speed [--sizes 32 64 128]
    images [--counts 1000 10000 50000] [--method auto]
    pixels [--sizes 32 64 128 256] [--figure cost.svg]
    rounding [--sizes 32 64]
    gpu

Engine times are those of `precompute_scores` as a user calls it: initial densities, the march,
scores and the disk are in them.  SpSolve's are the march alone (vectorised assembly, conversion,
solves).
Every engine run recomputes the residual of every step; the largest one is printed.
"""

import argparse
import resource
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from crosskrylov.datasets.loading import load_images
from crosskrylov.equation.density import initial_log_density
from crosskrylov.equation.exact import exact_log_density
from crosskrylov.equation.problem import evenly_spaced_steps, problem_from_config
from crosskrylov.equation.stencil import score
from crosskrylov.scores.engine_options import EngineOptions
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import MarchOptions
from crosskrylov.scores.stream import precompute_scores
from crosskrylov.solvers.registry import make_solver

#: Images of an engine run and of SpSolve's, so that each takes seconds.
N_IMAGES = {32: (1024, 4), 64: (256, 2), 128: (48, 1), 256: (8, 0)}
TOLERANCE = 1e-8


def photographs(n, size, **options):
    return load_images("photos", size, n, seed=17, **options).images


def timed_engine(images, repeats=2, **options):
    """Return (scores, summary, (wall-clock, processor) seconds) of the faster of two runs."""
    best = None
    for _ in range(repeats):
        folder = Path(tempfile.mkdtemp())
        started = clocks()
        store = precompute_scores(images, folder / "scores", progress=False, **options)
        seconds = clocks() - started
        if best is None or seconds[0] < best[2][0]:
            best = store[: min(8, len(store))], store.summary(), seconds
        shutil.rmtree(folder)
    return best


def clocks():
    """Return wall-clock and processor time; on a busy machine only the second is repeatable."""
    return np.array([time.perf_counter(), time.process_time()])


def relative(a, b):
    axes = tuple(range(1, a.ndim))
    return float((np.sqrt(((a - b) ** 2).sum(axes)) / np.sqrt((b**2).sum(axes))).max())


def speed(sizes):
    rows = []
    for size in sizes:
        n, n_direct = N_IMAGES[size]
        images = photographs(n, size)
        problem = problem_from_config({}, size, size)
        steps = evenly_spaced_steps(problem.time_steps, 10)
        initial = initial_log_density(images[: max(n_direct, 1)])
        exact = score(
            exact_log_density(problem, initial, steps * problem.time_step), problem.spacing
        )
        baseline = reference = None
        if n_direct:
            started = clocks()
            run = march(
                problem,
                initial,
                make_solver("spsolve"),
                MarchOptions(tolerance=TOLERANCE),
                stored_steps=steps,
            )
            baseline = (clocks() - started) / n_direct
            reference = run.score(problem.spacing)
            rows.append(
                {
                    "size": size,
                    "engine": "assembly + SpSolve",
                    "images": n_direct,
                    "ms_per_image": baseline[0] * 1e3,
                    "cpu_ms": baseline[1] * 1e3,
                    "speedup": 1.0,
                    "cpu_speedup": 1.0,
                    "max_residual": run.max_residual.max(),
                    "error_vs_exact": relative(reference, exact),
                }
            )
        cores = EngineOptions().n_workers
        variants = [
            ("batched", 1, {}),
            ("batched", cores, {}),
            ("batched float32", cores, {"dtype": "float32"}),
            ("solver", 1, {"tolerance": TOLERANCE, "block_images": 16}),
            ("exact", 1, {}),
            ("exact", cores, {}),
        ]
        for name, workers, options in variants:
            method, used = name.split()[0], images
            if method == "solver":
                used = images[: max(2, n // 16)]
            scores, summary, seconds = timed_engine(
                used, method=method, workers=workers, storage="float64", device="cpu", **options
            )
            count = min(len(scores), len(initial))
            speedup = (None, None) if baseline is None else baseline * len(used) / seconds
            rows.append(
                {
                    "size": size,
                    "engine": "batched_bicgstab (march)" if method == "solver" else name,
                    "workers": workers,
                    "images": len(used),
                    "ms_per_image": seconds[0] / len(used) * 1e3,
                    "cpu_ms": seconds[1] / len(used) * 1e3,
                    "speedup": speedup[0],
                    "cpu_speedup": speedup[1],
                    "iterations": summary["mean_iterations"],
                    "max_residual": summary["max_relative_residual"],
                    "diff_vs_spsolve": None
                    if reference is None
                    else relative(scores[:count], reference[:count]),
                    "error_vs_exact": relative(scores[:count], exact[:count]),
                }
            )
    show(pd.DataFrame(rows))


def rounding(sizes):
    """Score difference to SpSolve's march when both are driven to rounding."""
    rows = []
    for size in sizes:
        problem = problem_from_config({}, size, size)
        steps = evenly_spaced_steps(problem.time_steps, 10)
        images = photographs(1, size)
        options = MarchOptions(tolerance=1e-9, picard_tolerance=1e-13, max_picard=60)
        initial = initial_log_density(images)
        run = march(problem, initial, make_solver("spsolve"), options, stored_steps=steps)
        scores, summary, _ = timed_engine(
            images,
            1,
            method="batched",
            tolerance=1e-12,
            max_picard=None,
            storage="float64",
            device="cpu",
        )
        rows.append(
            {
                "size": size,
                "diff_vs_spsolve": relative(scores, run.score(problem.spacing)),
                "max_residual": summary["max_relative_residual"],
            }
        )
    show(pd.DataFrame(rows))


def images(counts, method):
    """Cost per image against the number of images: RGB 32 x 32, jittered crops, 10 steps."""
    rows = []
    for count in counts:
        source = {
            "source": "photos",
            "image_size": 32,
            "n_images": count,
            "jitter": 0.1,
            "seed": 17,
        }
        folder = Path(tempfile.mkdtemp())
        started = clocks()
        store = precompute_scores(source, folder / "scores", method=method)
        seconds, processor = clocks() - started
        size = sum(path.stat().st_size for path in (folder / "scores").iterdir())
        rows.append(
            {
                "images": count,
                "engine": store.summary()["method"],
                "minutes": seconds / 60,
                "ms_per_image": seconds / count * 1e3,
                "cpu_ms": processor / count * 1e3,
                "disk_gb": size / 1e9,
                # the process's high-water mark: of this and all smaller runs
                "peak_rss_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
                "max_residual": store.summary()["max_relative_residual"],
                "failed": store.summary()["failed_images"],
            }
        )
        shutil.rmtree(folder)
    table = pd.DataFrame(rows)
    for name in ("ms_per_image", "cpu_ms"):
        table[f"{name}_relative"] = table[name] / table[name].iloc[0]
    show(table)


def pixels(sizes, figure):
    """Cost per image against the number of pixels, with the fitted exponent."""
    rows = []
    for size in sizes:
        n = N_IMAGES[size][0] // 2
        for method in ("batched", "exact"):
            _, _, seconds = timed_engine(photographs(n, size), method=method, device="cpu")
            wall, processor = seconds / n * 1e3
            row = {"size": size, "pixels": size**2, "engine": method, "ms_per_image": wall}
            rows.append(row | {"cpu_ms": processor})
    table = pd.DataFrame(rows)
    show(table)
    fits = {}
    for method, part in table.groupby("engine"):
        slope, offset = np.polyfit(np.log(part["pixels"]), np.log(part["cpu_ms"]), 1)
        fits[method] = slope, offset
        print(f"{method}: processor time per image ~ pixels^{slope:.2f}")
    if figure:
        plot_pixels(table, fits, figure)


def plot_pixels(table, fits, figure):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(figsize=(5, 3.6), layout="constrained")
    for method, part in table.groupby("engine"):
        slope, offset = fits[method]
        (line,) = axes.loglog(
            part["pixels"], part["cpu_ms"], "o", label=f"{method}, exponent {slope:.2f}"
        )
        fit = np.exp(offset) * part["pixels"] ** slope
        axes.loglog(part["pixels"], fit, color=line.get_color())
    axes.set(xlabel="pixels per image", ylabel="processor time per image [ms]")
    axes.legend(frameon=False)
    fig.savefig(figure)
    print(f"plotted in {figure}")


def gpu():
    """Compare a GPU with all cores of this machine; says so and ends where there is no GPU."""
    if not torch.cuda.is_available():
        print("no GPU here: nothing measured")
        return
    rows = []
    for size in (32, 64, 128):
        used = photographs(4 * N_IMAGES[size][0], size)
        for method in ("batched", "exact"):
            _, _, on_cpu = timed_engine(used, 1, method=method, device="cpu")
            for dtype in ("float64", "float32"):
                _, summary, seconds = timed_engine(used, method=method, device="cuda", dtype=dtype)
                rows.append(
                    {
                        "size": size,
                        "engine": method,
                        "dtype": dtype,
                        "images": len(used),
                        "ms_per_image": seconds[0] / len(used) * 1e3,
                        "ratio_to_cpu_float64": on_cpu[0] / seconds[0],
                        "max_residual": summary["max_relative_residual"],
                    }
                )
    show(pd.DataFrame(rows))


def show(table):
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}", na_rep=""))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("speed", "rounding", "images", "pixels", "gpu"))
    parser.add_argument("--sizes", type=int, nargs="+", choices=sorted(N_IMAGES))
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10000, 50000])
    parser.add_argument("--method", default="auto")
    parser.add_argument("--figure")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.what == "speed":
        speed(given.sizes or [32, 64, 128])
    elif given.what == "rounding":
        rounding(given.sizes or [32, 64])
    elif given.what == "images":
        images(given.counts, given.method)
    elif given.what == "pixels":
        pixels(given.sizes or [32, 64, 128, 256], given.figure)
    else:
        gpu()


if __name__ == "__main__":
    main()
