"""Study 8: the solvers' score differences carried through the embedding to the images."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from crosskrylov.equation.problem import FokkerPlanckProblem, problem_from_config
from crosskrylov.equation.stencil import score
from crosskrylov.errors import ShapeError
from crosskrylov.learning.embedding import Embedding, drift_at_steps, embed_images
from crosskrylov.studies.common import relative_errors
from crosskrylov.studies.register import register


def downstream(
    images: np.ndarray,
    problem: FokkerPlanckProblem,
    steps: np.ndarray,
    exact: np.ndarray,
    trajectories: Mapping[str, np.ndarray],
    baseline: str | None = None,
    variants: Sequence[str] = ("row", "sum"),
    seed: int = 0,
) -> pd.DataFrame:
    """Embed the images with every solver's scores and with the exact ones, and compare.

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W)
        Images in [0, 1].
    problem : FokkerPlanckProblem
    steps : ndarray of int, shape (S,)
        Stored time steps.
    exact : ndarray, shape (N, S, H, W)
        Exact log-densities at these steps.
    trajectories : mapping
        Solver name to log-densities of the same shape.
    baseline : str, optional
        Solver that the others are also compared with.
    variants : sequence of {"row", "sum"}
        Readings of the embedding.
    seed : int
        Seed of the embedding's noise, the same for all: it cancels in the differences.

    Returns
    -------
    DataFrame
        A row per solver and variant; RMS over pixels and channels of the embedded images at the
        last time, in units of the intensity range.
    """
    times = steps * problem.time_step
    g = np.array([np.sqrt(2 * problem.half_g2(int(step))) for step in steps])
    exact_score = score(exact, problem.spacing)
    rows = []
    for variant in variants:
        options = {"variant": variant, "diffusion": g, "steps": len(steps), "seed": seed}
        options["drift"] = drift_at_steps(problem, steps)
        embedded = {"exact": embed_images(images, exact_score, times, **options)}
        moved = embedded["exact"].displacement_rms[:, -1]
        errors = {}
        for name, log_density in trajectories.items():
            if log_density.shape != exact.shape:
                raise ShapeError(
                    f"The trajectory of solver {name} has shape {log_density.shape}, the exact "
                    f"solution {exact.shape}; make both from the same configuration."
                )
            scores = score(log_density, problem.spacing)
            embedded[name] = embed_images(images, scores, times, **options)
            errors[name] = relative_errors(scores, exact_score).max()
        for name, score_error in errors.items():
            against_exact = _rms(embedded[name], embedded["exact"])
            against_baseline = np.full(1, np.nan)
            if baseline is not None:
                against_baseline = _rms(embedded[name], embedded[baseline])
            rows.append(
                {
                    "solver": name,
                    "variant": variant,
                    "n_images": len(images),
                    "score_error_vs_exact": score_error,
                    "rms_vs_exact_mean": against_exact.mean(),
                    "rms_vs_exact_max": against_exact.max(),
                    "rms_vs_spsolve_mean": against_baseline.mean(),
                    "rms_vs_spsolve_max": against_baseline.max(),
                    "displacement_rms_mean": moved.mean(),
                }
            )
    return pd.DataFrame(rows)


def _rms(embedding: Embedding, reference: Embedding) -> np.ndarray:
    """Return the RMS difference of every image at the last embedded time."""
    difference = embedding.images[:, -1].astype(np.float64) - reference.images[:, -1]
    return np.sqrt((difference**2).mean(axis=(1, 2, 3)))


@register(
    "downstream",
    needs=["images", "exact", "trajectories", "equation"],
    tables={
        "downstream": "Score differences of the solvers carried through the embedding to the "
        "images."
    },
    figures={
        "downstream": {
            "table": "downstream",
            "caption": "Differences of the embedded images that come from the scores' differences "
            "alone (the embedding's noise is the same for all), worst image.",
        }
    },
)
def study_downstream(data, variants):
    """Carry the solvers' scores through the embedding to the images."""
    problem = problem_from_config(data.equation, *data.images.shape[2:])
    table = downstream(
        data.images,
        problem,
        data.exact["steps"],
        data.exact["log_density"],
        data.trajectories,
        data.baseline,
        variants,
        data.seed,
    )
    return {"downstream": table}
