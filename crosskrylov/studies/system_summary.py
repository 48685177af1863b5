"""Study 7: sizes, structure and conditioning of the systems, and what the solvers needed."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from crosskrylov.studies.bank import SystemBank
from crosskrylov.studies.register import register


def condition_estimates(matrix: sp.csr_array) -> dict[str, float]:
    """Return estimates of the condition numbers in the 1-norm and the 2-norm.

    The 1-norm of the inverse by Higham and Tisseur's block algorithm, the extreme singular values
    by Lanczos iteration on A and on its inverse; both inverses through one LU factorisation.
    """
    factors = spla.splu(matrix.tocsc())
    n = matrix.shape[0]
    inverse = spla.LinearOperator(
        (n, n), factors.solve, rmatvec=lambda x: factors.solve(x, trans="T"), dtype=float
    )
    # svds draws its start at random unless it gets one
    start = np.random.default_rng(0).standard_normal(n)
    largest = spla.svds(matrix, k=1, v0=start, tol=1e-4, return_singular_vectors=False)[0]
    smallest = 1.0 / spla.svds(inverse, k=1, v0=start, tol=1e-4, return_singular_vectors=False)[0]
    return {
        "condition_1": float(spla.norm(matrix, 1) * _inverse_one_norm(inverse)),
        "condition_2": float(largest / smallest),
    }


def _inverse_one_norm(inverse: spla.LinearOperator) -> float:
    state = np.random.get_state()
    try:
        np.random.seed(0)  # onenormest draws from NumPy's global generator
        return float(spla.onenormest(inverse))
    finally:
        np.random.set_state(state)


def system_summary(
    bank: SystemBank,
    n_conditioned: int = 3,
    frozen: pd.DataFrame | None = None,
    solvers: Mapping[str, Mapping] | None = None,
) -> pd.DataFrame:
    """Return a row per step (and solver, where ``frozen`` is given).

    Parameters
    ----------
    bank : SystemBank
    n_conditioned : int
        Number of images, from the first, whose condition numbers are estimated.
    frozen : DataFrame, optional
        Rows of `crosskrylov.studies.time_to_residual.time_to_residual` on the same bank: iteration
        counts.
    solvers : mapping, optional
        Name to {"method", "options"}; the option ``dimension`` is reported.

    Returns
    -------
    DataFrame
        Columns: step, time_steps (of the march), n_unknowns, nonzeros, picard_iterations (mean of
        the systems' last one), asymmetry ||A - A'||_F / ||A||_F, cell_peclet (largest
        |v| h / (2 D) over nodes and axes), start_residual_median, condition_1 and condition_2
        (worst of the images), solver, subspace_dimension, tolerance, mean_iterations,
        max_iterations, fallbacks.
    """
    rows = []
    for position, step in enumerate(bank.steps):
        matrices = [
            bank.matrix.take(position).take(k).to_csr()
            for k in range(min(n_conditioned, bank.n_images))
        ]
        estimates = pd.DataFrame([condition_estimates(a) for a in matrices]).max()
        asymmetry = [spla.norm(a - a.T) / spla.norm(a) for a in matrices]
        residual = bank.rhs[position] - bank.matrix.take(position).apply(bank.previous[position])
        scale = np.linalg.norm(bank.rhs[position].reshape(bank.n_images, -1), axis=1)
        start = np.linalg.norm(residual.reshape(bank.n_images, -1), axis=1) / scale
        rows.append(
            {
                "step": int(step),
                "time_steps": bank.problem.time_steps,
                "n_unknowns": bank.matrix.n_unknowns,
                "nonzeros": matrices[0].nnz,
                "picard_iterations": bank.picard[position].mean(),
                "asymmetry": max(asymmetry),
                "cell_peclet": _cell_peclet(bank, position),
                "start_residual_median": np.median(start),
                **estimates,
            }
        )
    summary = pd.DataFrame(rows)
    if frozen is None or frozen.empty:
        return summary
    needed = ["step", "solver", "tolerance", "mean_iterations", "max_iterations", "fallbacks"]
    counts = frozen[needed].copy()
    dimension = {
        name: (entry.get("options") or {}).get("dimension")
        for name, entry in (solvers or {}).items()
    }
    counts.insert(2, "subspace_dimension", counts.solver.map(dimension).astype("Int64"))
    return summary.merge(counts, on="step", how="left")


def _cell_peclet(bank: SystemBank, position: int) -> float:
    """Return the largest ratio of advective to diffusive coefficients: above 1, signs change."""
    matrix = bank.matrix.take(position)
    diffusion = bank.problem.half_g2(int(bank.steps[position])) / bank.problem.spacing**2
    south = matrix.south[:, :-1] + diffusion  # v / (2 h) along rows
    east = matrix.east[:, :, :-1] + diffusion
    return float(max(np.abs(south).max(), np.abs(east).max()) / diffusion)


@register(
    "system_summary",
    needs=["bank", "solvers"],
    reads=["time_to_residual"],
    tables={
        "system_summary": "Sizes, condition estimates, subspace dimensions and iteration counts."
    },
    figures={
        "system_summary": {
            "table": "system_summary",
            "caption": "Condition estimates, asymmetry, and the residual that the previous step "
            "leaves, by time and image size.",
        }
    },
)
def study_system_summary(data, n_conditioned):
    """Summarise sizes, conditioning and iteration counts of the systems."""
    frozen = data.table("time_to_residual")
    return {"system_summary": system_summary(data.bank, n_conditioned, frozen, data.solvers)}
