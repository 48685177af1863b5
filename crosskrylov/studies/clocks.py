"""Seconds of every solver over the same time steps: end to end, interleaved, repeated.

The marches of `crosskrylov.studies.trajectory` are jobs of their own, so that another solver
re-runs no other; what a machine does meanwhile falls on one of them.  Here one job times all
solvers.  They take turns in random order, on windows of time steps that start from the states of
one reference march: every solver gets the same systems, and a repeat takes a fraction of a march.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from crosskrylov.equation.problem import FokkerPlanckProblem, problem_from_config
from crosskrylov.equation.stencil import score
from crosskrylov.errors import ConfigError
from crosskrylov.runtime.measurement import pinned_threads
from crosskrylov.scores.march import PHASES, Trajectory, Window, march
from crosskrylov.scores.march_options import MarchOptions, march_options
from crosskrylov.scores.reference import reference_log_density
from crosskrylov.scores.seeds import SeedAssignment, select_seeds
from crosskrylov.solvers.index import BASELINE_METHOD
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.common import relative_errors
from crosskrylov.studies.register import register
from crosskrylov.studies.trajectory import warm_up

#: Solver of the reference march; it is not timed.
REFERENCE_METHOD = "transform_bicgstab"

#: Share of the images that may be seeds in the check of the windows.
SEED_SHARE = 0.1


def time_solvers(
    equation: Mapping,
    log_density: np.ndarray,
    solvers: Mapping[str, Mapping],
    march_section: Mapping | None,
    seeds: SeedAssignment,
    windows: Sequence[Sequence[int]] | None,
    repeats: int,
    march_images: int,
    n_threads: int = 1,
    seed: int = 0,
) -> pd.DataFrame:
    """Time all solvers on the same windows of time steps, in random order within each repeat.

    Parameters
    ----------
    equation, march_section : mapping
        Config sections.
    log_density : ndarray, shape (N, H, W)
        Initial log-densities in nats.
    solvers : mapping
        Name to {"method", "options"}.
    seeds : SeedAssignment
        For cross-matrix solvers.
    windows : sequence of (first, last) or None
        Time steps that are marched, ends included; None for the whole march.
    repeats : int
        How often every solver marches every window.
    march_images : int
        The first images, marched whole once by every solver to check the windows, with at most
        a tenth of them as seeds (at least one); 0 for no check.
    n_threads : int
        Threads of BLAS and torch, the same for all.
    seed : int
        Of the order in which the solvers take turns.

    Returns
    -------
    DataFrame
        A row per repeat, window and solver in the order in which they ran (``turn``, from 1, within
        repeat and window): seconds of all images by phase, iterations, residuals, and score errors
        at the window's last step (relative 2-norm, worst image).  Rows of the check have
        ``part`` "march" in place of "window".

    Raises
    ------
    ConfigError
        If a window lies outside the march.
    ConvergenceError
        If a solver misses the tolerance: nothing is skipped silently.
    """
    options = march_options(march_section)
    log_density = np.asarray(log_density, dtype=np.float64)
    problem = problem_from_config(equation, *log_density.shape[1:])
    parts = window_states(problem, log_density, options, windows)
    for entry in solvers.values():
        method, own = entry["method"], entry.get("options")
        warm_up(method, own, equation, log_density.shape[1:], options, seeded=True)
    order, rows = np.random.default_rng(seed), []
    with pinned_threads(n_threads):
        for repeat in range(1, repeats + 1):
            for state, window in parts:
                exact = reference_log_density(problem, log_density, [window.last])
                rows += _take_turns(
                    *("window", repeat, problem, state, window, seeds, solvers, options, order),
                    exact if repeat == 1 else None,
                )
        if march_images:
            chosen = log_density[:march_images]
            n_seeds = max(1, int(SEED_SHARE * len(chosen)))
            whole = Window(1, problem.time_steps)
            exact = reference_log_density(problem, chosen, [whole.last])
            few = select_seeds(chosen, n_seeds)
            rows += _take_turns(
                *("march", 1, problem, chosen, whole, few, solvers, options, order), exact
            )
    table = pd.DataFrame(rows)
    # solutions, and so their errors, are the same in every repeat
    errors = [name for name in table if name.startswith("score_error")]
    table[errors] = table.groupby(["solver", "part", "first_step"])[errors].transform("first")
    return table


def window_states(
    problem: FokkerPlanckProblem,
    log_density: np.ndarray,
    options: MarchOptions,
    windows: Sequence[Sequence[int]] | None,
) -> list[tuple[np.ndarray, Window]]:
    """Return every window and the log-densities that it starts from, shape (N, H, W).

    They come from one march by `REFERENCE_METHOD`, which ends where the last window starts.

    Raises
    ------
    ConfigError
        If a window lies outside the march.
    """
    plain = [Window(*window) for window in windows or [(1, problem.time_steps)]]
    for window in plain:
        window.check(problem.time_steps)
    wanted = {step for w in plain for step in (w.first - 1, w.first - 2) if step > 0}
    states = {0: log_density}
    if wanted:
        reference = march(
            problem,
            log_density,
            make_solver(REFERENCE_METHOD),
            options,
            stored_steps=sorted(wanted),
            window=Window(1, max(wanted)),
        )
        steps = reference.steps.tolist()
        states |= {step: reference.log_density[:, k] for k, step in enumerate(steps)}
    return [
        (states[w.first - 1], Window(w.first, w.last, older=states.get(w.first - 2))) for w in plain
    ]


def _take_turns(
    part: str,
    repeat: int,
    problem: FokkerPlanckProblem,
    state: np.ndarray,
    window: Window,
    seeds: SeedAssignment,
    solvers: Mapping[str, Mapping],
    options: MarchOptions,
    order: np.random.Generator,
    exact: np.ndarray | None,
) -> list[dict]:
    """March a window once with every solver, in random order; with ``exact`` measure errors."""
    rows, scores = [], {}
    # of two entries of that method the first of the configuration is the published one
    methods = {name: entry["method"] for name, entry in solvers.items()}
    baseline = next((name for name in solvers if methods[name] == BASELINE_METHOD), None)
    for turn, name in enumerate(order.permutation(list(solvers)).tolist(), start=1):
        solver = make_solver(methods[name], solvers[name].get("options"))
        found = march(
            problem,
            state,
            solver,
            options,
            seeds=seeds,
            stored_steps=[window.last],
            window=window,
        )
        if exact is not None:
            scores[name] = found.score(problem.spacing)
        rows.append(
            {
                "solver": name,
                "method": methods[name],
                "family": solver.family,
                "baseline": name == baseline,
                "tolerance": options.tolerance,
                "part": part,
                "first_step": window.first,
                "n_steps": window.n_steps,
                "n_images": len(state),
                "n_seeds": len(seeds.seeds),
                "repeat": repeat,
                "turn": turn,
                **{f"{phase}_seconds": found.seconds[phase] for phase in PHASES},
                **_counts(found),
            }
        )
    truth = None if exact is None else score(exact, problem.spacing)
    for row in rows:
        own = scores.get(row["solver"])
        row["score_error_vs_spsolve"] = _worst(own, scores.get(baseline))
        row["score_error_vs_exact"] = _worst(own, truth)
    return rows


def _counts(found: Trajectory) -> dict[str, float]:
    """Return what the systems of a march took, in the units of the table of solvers."""
    per_system = found.solver_iterations / found.picard_iterations
    return {
        "systems": int(found.picard_iterations.sum()),
        "iterations": int(found.solver_iterations.sum()),
        "max_iterations": int(np.ceil(per_system.max())),
        "mean_picard": float(found.picard_iterations.mean()),
        "fallbacks": int(found.fallbacks.sum()),
        "max_relative_residual": float(found.max_residual.max()),
    }


def _worst(scores: np.ndarray | None, reference: np.ndarray | None) -> float:
    if scores is None or reference is None:
        return np.nan
    return float(relative_errors(scores, reference).max())


@register(
    "clocks",
    needs=["log_density", "seeds", "equation", "march", "solvers"],
    timed=True,
    solvers=["transform_bicgstab"],
    solvers_from="solvers",
    tables={
        "clocks": "Every timed repeat behind solvers.tsv: seconds of all images by phase, of every "
        "window of time steps and solver, in the order in which they took turns (the part "
        "*march* is a whole march of few images, once, as a check).",
    },
)
def study_clocks(data, windows, repeats, march_images, largest_size):
    """Time the solvers that are wanted at these images' size."""
    unknown = [name for name in largest_size if name not in data.solvers]
    if unknown:
        raise ConfigError(
            f"studies.clocks.largest_size names {unknown[0]!r}, which is not timed: correct the "
            "name, or add it to studies.clocks.solvers."
        )
    side = max(data.log_density.shape[1:])
    chosen = {
        name: entry for name, entry in data.solvers.items() if side <= largest_size.get(name, side)
    }
    table = time_solvers(
        data.equation,
        data.log_density,
        chosen,
        data.march,
        data.seeds,
        windows,
        repeats,
        march_images,
        data.n_threads,
        data.seed,
    )
    return {"clocks": table}
