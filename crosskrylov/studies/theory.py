"""The statements of docs/theory.md, predicted and measured on the bank."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse.linalg import LinearOperator, eigsh, svds
from scipy.stats import spearmanr

from crosskrylov.equation.stencil import coefficient_gradient, ghost_gradient
from crosskrylov.equation.transforms import TransformPreconditioner
from crosskrylov.scores.seeds import SeedAssignment
from crosskrylov.solvers.kernels.batched_krylov import StencilOperator, bicgstab, gmres
from crosskrylov.solvers.kernels.residuals import norms
from crosskrylov.solvers.kernels.subspace import (
    arnoldi,
    galerkin_project,
    joint_basis,
    least_squares_project,
)
from crosskrylov.studies.bank import SystemBank
from crosskrylov.studies.register import register
from crosskrylov.studies.spectra import Spectrum, energy_histogram, perturbation_bound

#: Statements of theory.tsv; "bound" says which side of the prediction the measurement must lie on.
STATEMENTS = {
    "perturbation": "norm of (A - P) P^-1 at most epsilon",
    "gmres": "iterations of GMRES with P at most log(tolerance) / log(epsilon)",
    "fixed_point": "contraction of (23a) at most its bound",
    "floor": "reduction by one seed at least the floor",
    "floor_p": "reduction by one seed with P in A's place at least the floor",
    "floor_leakage": "reduction by one seed at least floor - leakage",
    "one_seed_p": "reduction by one seed as with A = P",
    "joint_p": "reduction by all seeds as with A = P",
    "joint_floor": "reduction by all seeds at least their floor",
    "size_alone": "iterations after projection as from the start, scaled to the projected size",
    "spectrum_alone": "iterations after projection as from random signs in the same spectrum",
    "quasi_optimal": "error of Galerkin over the least possible at most beta / alpha",
    "spread_and_iterations": "rank correlation of spread and iterations added",
}
_MOST_ITERATIONS = 2000
_SWEEPS = 40


def perturbation_norm(matrix, spectrum: Spectrum, seed: int = 0) -> float:
    """Return ||(A - P) P^-1||_2 of one system, shape (H, W), by Lanczos' method."""
    shape = matrix.shape
    change = matrix.to_csr() - spectrum.matrix(1).take(0).to_csr()

    def forward(x):
        return change @ spectrum.power(x.reshape(shape), -1.0).ravel()

    def backward(x):
        return spectrum.power((change.T @ x.ravel()).reshape(shape), -1.0).ravel()

    return _largest_singular_value(forward, backward, matrix.n_unknowns, seed)


def _largest_singular_value(forward, backward, n: int, seed: int) -> float:
    operator = LinearOperator((n, n), matvec=forward, rmatvec=backward, dtype=np.float64)
    start = np.random.default_rng(seed).standard_normal(n)
    return float(svds(operator, k=1, v0=start, tol=1e-4, return_singular_vectors=False)[0])


def energy_constants(matrix, spectrum: Spectrum, seed: int = 0) -> tuple[float, float]:
    """Return (alpha, beta) of one system in P's norm: u'Au >= alpha |u|_P^2, |v'Au| <= beta.

    alpha is the least eigenvalue of the symmetric part of P^-1/2 A P^-1/2, beta its 2-norm.
    """
    shape, n = matrix.shape, matrix.n_unknowns
    a = matrix.to_csr()

    def scaled(product):
        return lambda x: spectrum.power(
            (product @ spectrum.power(x.reshape(shape), -0.5).ravel()).reshape(shape), -0.5
        ).ravel()

    forward, backward = scaled(a), scaled(a.T)
    beta = _largest_singular_value(forward, backward, n, seed)
    # the identity less what is small: Lanczos on the part that differs from it
    symmetric = LinearOperator(
        (n, n), matvec=lambda x: 0.5 * (forward(x) + backward(x)) - x.ravel(), dtype=np.float64
    )
    start = np.random.default_rng(seed).standard_normal(n)
    least = eigsh(symmetric, k=1, which="SA", v0=start, tol=1e-4, return_eigenvectors=False)[0]
    return 1.0 + float(least), beta


def fixed_point_contraction(
    bank: SystemBank, position: int, images: Sequence[int], sweeps: int = _SWEEPS
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest bound and the largest measured contraction of (23a), by image.

    From the previous step's log-density; both NaN for a problem with drift.  A sweep counts while
    its change is above rounding.
    """
    problem, step = bank.problem, int(bank.steps[position])
    bound, measured = np.full((2, len(images)), np.nan)
    if problem.drift is not None:
        return bound, measured
    half_g2, h = problem.half_g2(step), problem.spacing
    invert = TransformPreconditioner.of_step(problem, step)

    def steepest(gradients):
        return np.sqrt(gradients[0] ** 2 + gradients[1] ** 2).max(axis=(-2, -1))

    m = bank.start(position)[images]
    rhs = m / problem.time_step
    old_n = old_change = old_ghost = None
    for _ in range(sweeps):
        ghost = ghost_gradient(m, h, problem.boundary)
        outer = coefficient_gradient(m, h, problem.boundary, problem.border_gradient)
        new_n = half_g2 * (outer[0] * ghost[0] + outer[1] * ghost[1])
        if old_n is not None:
            change = norms(new_n - old_n)
            if old_change is not None:
                usable = change > 1e-10 * norms(rhs)
                factor = 0.5 * np.sqrt(half_g2 * problem.time_step)
                limit = factor * (steepest(outer) + np.sqrt(1.5) * steepest(old_ghost))
                bound = np.where(usable, np.fmax(bound, limit), bound)
                measured = np.where(usable, np.fmax(measured, change / old_change), measured)
                if not usable.any() or not np.isfinite(change).all():
                    break
            old_change = change
        old_n, old_ghost = new_n, ghost
        m = invert(rhs + new_n)
    return bound, measured


def image_rows(
    bank: SystemBank,
    seeds: SeedAssignment,
    position: int,
    *,
    dimensions: Sequence[int],
    tolerance: float,
    n_norms: int,
    seed: int = 0,
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return a row per target of one step, and the residuals (targets, H, W) by stage.

    Parameters
    ----------
    bank : SystemBank
    seeds : SeedAssignment
    position : int
        Position in ``bank.steps``.
    dimensions : sequence of int
        Dimensions m of each seed's Krylov space; the first is that of every statement, the others
        show what m does to the reduction by one seed.
    tolerance : float
        True relative residual of the iterations.
    n_norms : int
        Targets whose norms are computed, from the first; the columns of the others are empty.
    seed : int
        Random seed of the signs.
    """
    spectrum = Spectrum(bank.problem, int(bank.steps[position]))
    targets = np.setdiff1d(np.arange(bank.n_images), seeds.seeds)
    everything = bank.matrix.take(position)
    starts = bank.start(position)
    residuals = bank.rhs[position] - everything.apply(starts)
    matrix, rhs, start = everything.take(targets), bank.rhs[position][targets], starts[targets]
    r_start = residuals[targets]
    size = norms(r_start)
    row = {
        "image": targets,
        "start_residual": size / norms(rhs),
        "epsilon": perturbation_bound(matrix, spectrum),
    }
    row |= _preconditioned(bank, position, targets, matrix, rhs, start, size, row, tolerance)

    # --- one seed and all seeds: floors, projections with A and with P in its place
    dimension = dimensions[0]
    r_seeds = residuals[seeds.seeds]
    p_seeds, p_targets = spectrum.matrix(len(r_seeds)), spectrum.matrix(len(targets))
    bases = arnoldi(everything.take(seeds.seeds).apply, r_seeds, max(dimensions))
    p_bases = arnoldi(p_seeds.apply, r_seeds, max(dimensions))
    nothing = np.zeros_like(rhs)
    projected, least = np.empty_like(start), np.empty_like(start)
    floor, leakage, with_p = np.empty((3, len(targets)))
    others = {m: np.empty((2, len(targets))) for m in dimensions[1:]}
    for number in range(len(r_seeds)):
        members = np.flatnonzero(seeds.assigned[targets] == number)
        if not members.size:
            continue
        some = matrix.take(members), rhs[members], start[members]
        basis = bases.basis(number)
        projected[members] = galerkin_project(*some, basis[:dimension]).x
        least[members] = least_squares_project(*some, basis[:dimension]).x
        some_p = p_targets.take(members), r_start[members], nothing[members]
        p_basis = p_bases.basis(number)
        for m, values in others.items():
            more = least_squares_project(*some, basis[:m])
            values[0, members] = more.relative_residuals / more.start_residuals
            values[1, members] = least_squares_project(*some_p, p_basis[:m]).relative_residuals
        with_p[members] = least_squares_project(*some_p, p_basis[:dimension]).relative_residuals
        own = r_seeds[number][None]
        floor[members] = spectrum.outside(r_start[members], own) / size[members]
        reached = matrix.take(members).apply(least[members] - start[members])
        leakage[members] = spectrum.outside(reached, own) / size[members]
    joint = joint_basis([bases.basis(k)[:dimension] for k in range(len(r_seeds))])
    p_joint = joint_basis([p_bases.basis(k)[:dimension] for k in range(len(r_seeds))])
    r_projected = rhs - matrix.apply(projected)
    row |= {
        "floor": floor,
        "leakage": leakage,
        "reduction": norms(rhs - matrix.apply(least)) / size,
        "reduction_galerkin": norms(r_projected) / size,
        "reduction_if_p": with_p,
        "joint_floor": spectrum.outside(r_start, r_seeds) / size,
        "joint_reduction": least_squares_project(matrix, rhs, start, joint).relative_residuals
        * norms(rhs)
        / size,
        "joint_reduction_if_p": least_squares_project(
            p_targets, r_start, nothing, p_joint
        ).relative_residuals,
    }

    row |= {f"reduction_m{m}": values[0] for m, values in others.items()}
    row |= {f"reduction_if_p_m{m}": values[1] for m, values in others.items()}

    # --- spectra and iterations before and after
    rng = np.random.default_rng([seed, position])
    signs = spectrum.with_spectrum_of(r_projected, rng)
    scaled = r_start * (norms(r_projected) / size)[:, None, None]
    for stage, field in (("start", r_start), ("projected", r_projected)):
        row[f"mean_{stage}"], row[f"spread_{stage}"] = spectrum.moments(field)
    for stage, field in (
        ("start", r_start),
        ("projected", r_projected),
        ("scaled", scaled),
        ("signs", signs),
    ):
        row[f"iterations_{stage}"] = _iterations(matrix, field, tolerance * norms(rhs))

    # --- Galerkin's error against the least possible one, in P's norm
    error = bank.solution[position][targets] - start
    row["quasi_optimality"] = np.empty(len(targets))
    for number in range(len(r_seeds)):
        members = np.flatnonzero(seeds.assigned[targets] == number)
        if not members.size:
            continue
        basis = spectrum.power(bases.basis(number)[:dimension], 0.5)
        q = np.linalg.qr(basis.reshape(len(basis), -1).T)[0]
        wanted = spectrum.power(error[members], 0.5).reshape(len(members), -1)
        best = np.linalg.norm(wanted - (wanted @ q) @ q.T, axis=1)
        found = error[members] - (projected - start)[members]
        row["quasi_optimality"][members] = norms(spectrum.power(found, 0.5)) / best
    for name in ("norm", "alpha", "beta"):
        row[name] = np.full(len(targets), np.nan)
    for k in range(min(n_norms, len(targets))):
        row["norm"][k] = perturbation_norm(matrix.take(k), spectrum, seed)
        row["alpha"][k], row["beta"][k] = energy_constants(matrix.take(k), spectrum, seed)
    table = pd.DataFrame(row)
    table.insert(0, "step", spectrum.step)
    return table, {"start": r_start, "projected": r_projected}


def _preconditioned(bank, position, targets, matrix, rhs, start, size, row, tolerance) -> dict:
    """Return GMRES with P and the fixed point, predicted and measured."""
    invert = TransformPreconditioner.of_step(bank.problem, int(bank.steps[position]))
    result = gmres(
        StencilOperator(matrix), rhs, start, tolerance, invert, _MOST_ITERATIONS, restart=200
    )
    wanted = np.log(np.minimum(tolerance * norms(rhs) / size, 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        # log(wanted) is not above 0; an epsilon of 1 or more promises nothing
        predicted = np.where(row["epsilon"] < 1, np.ceil(wanted / np.log(row["epsilon"])), np.nan)
    bound, contraction = fixed_point_contraction(bank, position, targets)
    return {
        "gmres_predicted": predicted,
        "gmres_iterations": result.iterations.astype(float),
        "contraction_bound": bound,
        "contraction": contraction,
    }


def _iterations(matrix, residual, size) -> np.ndarray:
    """Return the iterations of plain Bi-CGSTAB from a residual to an absolute size."""
    found = norms(residual)
    result = bicgstab(
        StencilOperator(matrix),
        residual,
        np.zeros_like(residual),
        size / found,
        max_iterations=_MOST_ITERATIONS,
    )
    return result.iterations.astype(float)


#: statement: (predicted column, measured column, side of the prediction)
_PAIRS = {
    "perturbation": ("epsilon", "norm", "at most"),
    "gmres": ("gmres_predicted", "gmres_iterations", "at most"),
    "fixed_point": ("contraction_bound", "contraction", "at most"),
    "floor": ("floor", "reduction", "at least"),
    "floor_p": ("floor", "reduction_if_p", "at least"),
    "floor_leakage": ("floor_less_leakage", "reduction", "at least"),
    "one_seed_p": ("reduction_if_p", "reduction", "about"),
    "joint_floor": ("joint_floor", "joint_reduction", "at least"),
    "joint_p": ("joint_reduction_if_p", "joint_reduction", "about"),
    "size_alone": ("iterations_scaled", "iterations_projected", "about"),
    "spectrum_alone": ("iterations_signs", "iterations_projected", "about"),
    "quasi_optimal": ("quasi_bound", "quasi_optimality", "at most"),
}
#: Rounding, and the tolerance of Lanczos' method.
_SLACK = 1e-3


def summary(images: pd.DataFrame, dimensions: Sequence[int], n_seeds: int) -> pd.DataFrame:
    """Return a row per statement and step: medians over targets, predicted and measured.

    Parameters
    ----------
    images : DataFrame
        Rows of `image_rows`.

    Returns
    -------
    DataFrame
        Columns statement, step, predicted, measured, side (of the prediction that the measurement
        should be on), holds (share of the targets where it is), measured_low and measured_high
        (quartiles over targets), n_targets, dimension, n_seeds.
    """
    images = images.assign(
        floor_less_leakage=images.floor - images.leakage,
        # no bound where the symmetric part is not positive
        quasi_bound=np.where(images.alpha > 0, images.beta / images.alpha, np.nan),
        spread_ratio=images.spread_projected / images.spread_start,
        added=images.iterations_projected - images.iterations_start,
    )
    pairs = [(dimensions[0], name, *pair) for name, pair in _PAIRS.items()]
    for m in dimensions[1:]:
        one, with_p = f"reduction_m{m}", f"reduction_if_p_m{m}"
        pairs.append((m, "floor", "floor", one, "at least"))
        pairs.append((m, "floor_p", "floor", with_p, "at least"))
        pairs.append((m, "one_seed_p", with_p, one, "about"))
    rows = []
    for step, group in images.groupby("step"):
        for dimension, statement, predicted, measured, side in pairs:
            both = group[[predicted, measured]].dropna()
            left, right = both[predicted], both[measured]
            holds = {
                "at most": right <= left * (1 + _SLACK) + 1e-12,
                "at least": right >= left * (1 - _SLACK) - 1e-12,
            }.get(side)
            low, middle, high = right.quantile([0.25, 0.5, 0.75]) if len(both) else [np.nan] * 3
            rows.append(
                {
                    "statement": statement,
                    "step": step,
                    "predicted": left.median(),
                    "measured": middle,
                    "side": side,
                    "holds": np.nan if holds is None or both.empty else holds.mean(),
                    "measured_low": low,
                    "measured_high": high,
                    "n_targets": len(both),
                    "dimension": dimension,
                }
            )
        rows.append(_correlation(group, step, dimensions[0]))
    # the statement is about the bank: all steps together as step 0
    rows.append(_correlation(images, 0, dimensions[0]))
    return pd.DataFrame(rows).assign(n_seeds=n_seeds)


def _correlation(group: pd.DataFrame, step: int, dimension: int) -> dict:
    constant = group.added.nunique() < 2 or group.spread_ratio.nunique() < 2
    return {
        "statement": "spread_and_iterations",
        "step": step,
        "predicted": np.nan,
        "measured": np.nan if constant else spearmanr(group.spread_ratio, group.added).statistic,
        "side": "above 0",
        "holds": np.nan,
        "n_targets": len(group),
        "dimension": dimension,
    }


def theory(
    bank: SystemBank,
    seeds: SeedAssignment,
    *,
    dimensions: Sequence[int],
    tolerance: float,
    n_norms: int,
    n_bins: int,
    seed: int = 0,
) -> dict[str, pd.DataFrame]:
    """Return the tables theory, theory_images and theory_spectra of a bank."""
    parts, spectra = [], []
    for position, step in enumerate(bank.steps):
        table, stages = image_rows(
            bank,
            seeds,
            position,
            dimensions=dimensions,
            tolerance=tolerance,
            n_norms=n_norms,
            seed=seed,
        )
        parts.append(table)
        spectrum = Spectrum(bank.problem, int(step))
        low, high = spectrum.eigenvalues.min(), spectrum.eigenvalues.max()
        edges = np.geomspace(low * (1 - 1e-9), high * (1 + 1e-9), n_bins + 1)
        for stage, fields in stages.items():
            share = energy_histogram(spectrum, fields, edges)
            spectra.append(
                pd.DataFrame(
                    {
                        "step": int(step),
                        "stage": stage,
                        "eigenvalue": np.sqrt(edges[1:] * edges[:-1]),
                        "energy": share,
                        "residual": np.median(
                            norms(fields) / norms(bank.rhs[position][table.image])
                        ),
                    }
                )
            )
    images = pd.concat(parts, ignore_index=True)
    return {
        "theory": summary(images, dimensions, len(seeds.seeds)),
        "theory_images": images,
        "theory_spectra": pd.concat(spectra, ignore_index=True),
    }


@register(
    "theory",
    needs=["bank", "seeds"],
    tables={
        "theory": "The statements of docs/theory.md, predicted and measured: medians over targets "
        "by step of the bank.",
        "theory_images": "The same for every target: bounds, norms, floors, reductions, spectral "
        "mean and spread, iterations.",
        "theory_spectra": "Energy of the residuals in the eigenvalues of P, before and after the "
        "projection on one seed's Krylov space.",
    },
    figures={
        "theory_floor": {
            "table": "theory",
            "caption": "The floor that one seed's Krylov space leaves of a target's residual where "
            "A = P, whatever its dimension m, against the reduction measured with the systems' own "
            "matrices (least squares); a point per step of the bank and image set, bars are "
            "quartiles over targets. Below the line lies what A ≠ P makes possible.",
        },
        "theory_spectra": {
            "table": "theory_spectra",
            "caption": "Energy of the targets' residuals in the eigenvalues of P: of the previous "
            "step as start, and after Galerkin projection on the nearest seed's Krylov space. "
            "Each is normalised to one; titles give the median relative residuals.",
        },
        "theory_iterations": {
            "table": "theory",
            "caption": "The bound ε on the norm of (A − P)P⁻¹, "  # noqa: RUF001
            "the norm, and the iterations of "
            "GMRES preconditioned by P: predicted by ε and measured, by step of the bank and "
            "size of the photographs. Medians over targets; no prediction where ε is 1 or more.",
        },
    },
)
def study_theory(data, dimensions, tolerance, n_norms, n_bins):
    """Check the statements of docs/theory.md on the bank."""
    return theory(
        data.bank,
        data.seeds,
        dimensions=dimensions,
        tolerance=tolerance,
        n_norms=n_norms,
        n_bins=n_bins,
        seed=data.seed,
    )
