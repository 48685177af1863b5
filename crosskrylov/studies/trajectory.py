"""The full time march of all images with one solver, timed by phase."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from crosskrylov.equation.problem import evenly_spaced_steps, problem_from_config
from crosskrylov.runtime.files import load_npz, save_npz, write_json, write_tsv
from crosskrylov.runtime.measurement import PeakMemory, pinned_threads
from crosskrylov.scores.march import Trajectory, march
from crosskrylov.scores.march_options import MarchOptions, march_options
from crosskrylov.scores.seeds import SeedAssignment
from crosskrylov.solvers.registry import make_solver


def run_trajectory(
    equation: Mapping,
    log_density: np.ndarray,
    method: str,
    solver_options: Mapping | None,
    march_section: Mapping | None,
    stored_steps: Sequence[int],
    seeds: SeedAssignment | None = None,
    n_threads: int = 1,
    progress=None,
) -> tuple[Trajectory, dict]:
    """March all images with one solver and return the trajectory and its measurements.

    Parameters
    ----------
    equation, march_section : mapping
        Config sections.
    log_density : ndarray, shape (N, H, W)
        Initial log-densities in nats.
    method, solver_options
        Solver by registered name or import path, and its options.
    stored_steps : sequence of int
        Time steps to keep.
    seeds : SeedAssignment, optional
        For cross-matrix solvers.
    n_threads : int
        Threads of BLAS and torch, the same for all solvers.
    progress : callable, optional
        Called with each finished step.

    Returns
    -------
    trajectory : Trajectory
    summary : dict
        method, family, tolerance, n_images, n_seeds, time_steps, image size, seconds by phase,
        wall_seconds, peak_memory_mb (None if it cannot be measured), n_threads.
    """
    options = march_options(march_section)
    problem = problem_from_config(equation, *log_density.shape[1:])
    warm_up(method, solver_options, equation, log_density.shape[1:], options, seeds is not None)
    solver = make_solver(method, solver_options)
    with pinned_threads(n_threads):
        memory = PeakMemory()
        started = time.perf_counter()
        trajectory = march(
            problem,
            log_density,
            solver,
            options,
            seeds=seeds,
            stored_steps=stored_steps,
            progress=progress,
        )
        wall_seconds = time.perf_counter() - started
        peak = memory.megabytes()
    summary = {
        "method": method,
        "family": solver.family,
        "options": dict(solver_options or {}),
        "tolerance": options.tolerance,
        "n_images": int(log_density.shape[0]),
        "n_seeds": 0 if seeds is None else len(seeds.seeds),
        "height": problem.height,
        "width": problem.width,
        "time_steps": problem.time_steps,
        "seconds": trajectory.seconds,
        "wall_seconds": wall_seconds,
        "peak_memory_mb": peak,
        "n_threads": n_threads,
    }
    return trajectory, summary


def warm_up(
    method: str,
    solver_options: Mapping | None,
    equation: Mapping,
    shape: tuple[int, int],
    options: MarchOptions,
    seeded: bool,
) -> None:
    """March two images of noise one step, so that imports and caches do not count as solver time.

    They have the size of the real ones: options that do not fit it fail here, before hours of work.
    """
    problem = problem_from_config(equation, *shape)
    problem = replace(problem, time_steps=1, final_time=problem.time_step)
    field = np.random.default_rng(0).normal(scale=0.1, size=(2, *shape))
    seeds = None
    if seeded:
        seeds = SeedAssignment(np.array([0]), np.zeros(2, dtype=int), np.array([0.0, 1.0]))
    march(
        problem, field, make_solver(method, solver_options), options, seeds=seeds, stored_steps=[1]
    )


def history_table(trajectory: Trajectory) -> pd.DataFrame:
    """Return one row per time step and image: iterations, fallbacks, residual, change."""
    n_steps, n_images = trajectory.picard_iterations.shape
    columns = {
        "picard": trajectory.picard_iterations,
        "iterations": trajectory.solver_iterations,
        "fallbacks": trajectory.fallbacks,
        "max_relative_residual": trajectory.max_residual,
        "picard_change": trajectory.picard_change,
    }
    return pd.DataFrame(
        {
            "step": np.repeat(np.arange(1, n_steps + 1), n_images),
            "image": np.tile(np.arange(n_images), n_steps),
            **{name: values.ravel() for name, values in columns.items()},
        }
    )


def march_and_store(
    log_density_path,
    trajectory_path,
    history_path,
    summary_path,
    equation: Mapping,
    march_section: Mapping,
    solver: Mapping,
    n_threads: int = 1,
    seeds: SeedAssignment | None = None,
    progress=None,
) -> None:
    """March the images of a file and write the artifacts of a trajectory.

    Parameters
    ----------
    log_density_path : path-like
        Initial log-densities (.npz, ``log_density`` [N, H, W]).
    trajectory_path, history_path, summary_path : path-like
        Log-densities at the stored steps (.npz: ``log_density`` [N, S, H, W], ``steps``,
        ``times``), one row per step and image (.tsv), and the measurements (.json).
    equation, march_section, solver : mapping
        Config sections; ``equation`` with ``stored_steps``, ``solver`` with ``method`` and
        ``options``.
    n_threads, seeds, progress
        See `run_trajectory`.
    """
    trajectory, summary = run_trajectory(
        equation,
        load_npz(log_density_path)["log_density"],
        solver["method"],
        solver.get("options"),
        march_section,
        evenly_spaced_steps(equation["time_steps"], equation["stored_steps"]),
        seeds,
        n_threads,
        progress,
    )
    save_npz(
        trajectory_path,
        log_density=trajectory.log_density,
        steps=trajectory.steps,
        times=trajectory.times,
    )
    write_tsv(history_path, history_table(trajectory))
    write_json(summary_path, summary)
