"""Study: the march with projected solutions alone, and what it does to scores and images."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from crosskrylov.equation.problem import FokkerPlanckProblem, problem_from_config
from crosskrylov.equation.stencil import score
from crosskrylov.learning.embedding import drift_at_steps, embed_images
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import march_options
from crosskrylov.scores.seeds import select_seeds
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.common import relative_errors
from crosskrylov.studies.register import register


def unrefined(
    images: np.ndarray,
    log_density: np.ndarray,
    problem: FokkerPlanckProblem,
    steps: np.ndarray,
    exact: np.ndarray,
    solvers: Mapping[str, Mapping],
    march_section: Mapping,
    tolerance: float,
    variant: str,
    seed: int = 0,
) -> pd.DataFrame:
    """March with every solver and follow residual, score error and embedded images.

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W)
        Images in [0, 1].
    log_density : ndarray, shape (N, H, W)
        Initial log-densities in nats.
    problem : FokkerPlanckProblem
    steps : ndarray of int, shape (S,)
        Time steps to look at.
    exact : ndarray, shape (N, S, H, W)
        Exact log-densities at these steps.
    solvers : mapping
        Name to {"method", "options", "n_seeds"}; without ``n_seeds`` the solver needs none.
    march_section : mapping
        Section ``march``.
    tolerance : float
        Of the solvers that state one.
    variant : {"row", "sum"}
        Reading of the embedding.
    seed : int
        Seed of the embedding's noise, the same for all: it cancels in the differences.

    Returns
    -------
    DataFrame
        A row per solver and step: largest true relative residual of the step's systems, its median
        over images and the worst image's; score error (relative 2-norm) and RMS of the embedded
        images against those of the exact scores (units of the intensity range), means over images;
        ``displacement`` is how far the exact scores move the images.
    """
    times = steps * problem.time_step
    g = np.array([np.sqrt(2 * problem.half_g2(int(step))) for step in steps])
    embedding = {"variant": variant, "diffusion": g, "steps": len(steps), "seed": seed}
    embedding["drift"] = drift_at_steps(problem, steps)
    exact_score = score(exact, problem.spacing)
    reference = embed_images(images, exact_score, times, **embedding)
    options = march_options({**march_section, "tolerance": tolerance})
    rows = []
    for name, entry in solvers.items():
        n_seeds = entry.get("n_seeds")
        solver = make_solver(entry["method"], entry.get("options"))
        seeds = select_seeds(log_density, n_seeds or 1)
        trajectory = march(problem, log_density, solver, options, seeds=seeds, stored_steps=steps)
        scores = score(trajectory.log_density, problem.spacing)
        embedded = embed_images(images, scores, times, **embedding)
        apart = embedded.images.astype(np.float64) - reference.images
        rms = np.sqrt((apart**2).mean(axis=(2, 3, 4)))
        is_seed = np.isin(np.arange(len(images)), seeds.seeds)
        for position, step in enumerate(steps):
            residuals = trajectory.max_residual[step - 1]
            errors = relative_errors(scores[:, position], exact_score[:, position])
            rows.append(
                {
                    "solver": name,
                    "method": entry["method"],
                    "n_seeds": n_seeds,
                    "dimension": getattr(solver, "dimension", None) if n_seeds else None,
                    "joint": getattr(solver, "joint", None) if n_seeds else None,
                    "states_tolerance": solver.states_tolerance,
                    "step": int(step),
                    "time": times[position],
                    "residual": np.median(residuals),
                    "residual_max": residuals.max(),
                    "score_error": errors.mean(),
                    "score_error_max": errors.max(),
                    "score_error_seeds": errors[is_seed].mean() if n_seeds else np.nan,
                    "embedded_error": rms[:, position].mean(),
                    "embedded_error_max": rms[:, position].max(),
                    "displacement": reference.displacement_rms[:, position].mean(),
                    "picard": trajectory.picard_iterations[step - 1].mean(),
                    "n_images": len(images),
                }
            )
    return pd.DataFrame(rows)


@register(
    "unrefined",
    needs=["images", "log_density", "exact", "equation", "march"],
    solvers_from="solvers",
    tables={
        "unrefined": "The march with projected solutions alone, without refinement: residual, "
        "score error against the exact scores and error of the embedded images at every stored "
        "step."
    },
    figures={
        "unrefined": {
            "table": "unrefined",
            "caption": "Marches that go on from the projected solutions, beside one whose systems "
            "are solved (black) and one that solves nothing (grey): median residual of the "
            "systems, score error against the exact score, and RMS difference of the embedded "
            "images from those that the exact scores give, means over images.",
        }
    },
)
def study_unrefined(data, n_images, solvers, tolerance, variant):
    """March with projected solutions alone."""
    table = unrefined(
        data.images[:n_images],
        data.log_density[:n_images],
        problem_from_config(data.equation, *data.images.shape[2:]),
        data.exact["steps"],
        data.exact["log_density"][:n_images],
        solvers,
        data.march,
        tolerance,
        variant,
        data.seed,
    )
    return {"unrefined": table}
