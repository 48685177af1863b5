"""Compute the reference log-densities and scores of every image: exact, where f = 0."""

import time
from typing import TYPE_CHECKING

import numpy as np

from crosskrylov.equation.problem import evenly_spaced_steps, problem_from_config
from crosskrylov.equation.stencil import score
from crosskrylov.runtime.files import load_npz, save_npz, write_json
from crosskrylov.runtime.jobs import run_job
from crosskrylov.runtime.measurement import PeakMemory, pinned_threads
from crosskrylov.scores.reference import reference_log_density, reference_method

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(log_density_path, scores_path, summary_path, equation: dict, n_threads: int) -> None:
    """Write ``score`` float32 [N, S, 2, H, W], ``log_density`` [N, S, H, W], times and steps."""
    initial = load_npz(log_density_path)["log_density"]
    problem = problem_from_config(equation, *initial.shape[1:])
    steps = evenly_spaced_steps(problem.time_steps, equation["stored_steps"])
    times = steps * problem.time_step
    reference_log_density(problem, initial[:1], steps[:1])  # imports are not solver time
    with pinned_threads(n_threads):
        memory = PeakMemory()
        started = time.perf_counter()
        log_density = reference_log_density(problem, initial, steps)
        seconds = time.perf_counter() - started
        peak = memory.megabytes()
    save_npz(
        scores_path,
        score=score(log_density, problem.spacing).astype(np.float32),
        log_density=log_density,
        times=times,
        steps=steps,
    )
    write_json(
        summary_path,
        {
            "method": reference_method(problem),
            "family": "exact",
            "n_images": len(initial),
            "height": problem.height,
            "width": problem.width,
            "time_steps": problem.time_steps,
            "seconds": {"solve": seconds},
            "peak_memory_mb": peak,
            "n_threads": n_threads,
        },
    )


if __name__ == "__main__":
    run_job(main, snakemake)
