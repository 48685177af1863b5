"""Batched Krylov kernels: Bi-CGSTAB and restarted GMRES for many systems at once (Eqs. 15a, 15b).

The kernels know nothing about images or stencils: a system is a field of shape (H, W), a batch has
shape (B, H, W), and the operator is a function.  They run on NumPy arrays and on torch tensors (any
device) alike.  Every system has its own scalars and stops on its own; a finished system leaves the
batch, so that it costs nothing from then on.

An operator or preconditioner is called as ``apply(fields, active)``: ``fields`` has shape
(b, H, W), and ``active`` is the ascending NumPy integer array of the positions in the batch of
those b systems.  `StencilOperator` makes one from a `FivePointStencil`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from crosskrylov.equation.stencil import FivePointStencil
from crosskrylov.errors import ShapeError
from crosskrylov.solvers.kernels.residuals import dots, norms, to_numpy
from crosskrylov.solvers.kernels.work import count as count_work

Array = Any
Operator = Callable[[Array, np.ndarray], Array]

# A cycle (from one true residual to the next) that gains less than this factor ends the iteration:
# rounding, or a breakdown that would only repeat itself.
_STAGNATION = 0.99
#: The march checks every residual with another product, which rounds differently: what is accepted
#: here has to be accepted there too.
_MARGIN = 1.0 - 1e-3
# Inner products (four) and additions (six) of an iteration of Bi-CGSTAB.
_BICGSTAB_VECTORS = 10


@dataclass
class KrylovResult:
    """What a batched Krylov iteration returns.

    Attributes
    ----------
    x : array, shape (B, H, W)
        Approximate solutions; never worse than the starting values.
    iterations : ndarray of int, shape (B,)
        Iterations of every system (Bi-CGSTAB: two products with A each, GMRES: one).
    converged : ndarray of bool, shape (B,)
        Whether the true relative residual is within the tolerance.
    relative_residuals : ndarray, float64, shape (B,)
        ``||b - A x||_2 / ||b||_2`` recomputed from x; 0 for a zero right-hand side (x = 0).
    residual_history : ndarray, float64, shape (K + 1, B)
        Relative residual as the iteration sees it after 0..K iterations; NaN once a system is done.
    """

    x: Array
    iterations: np.ndarray
    converged: np.ndarray
    relative_residuals: np.ndarray
    residual_history: np.ndarray = field(repr=False)


class StencilOperator:
    """A `FivePointStencil` as an index-aware operator that compacts its coefficients only once."""

    def __init__(self, matrix: FivePointStencil):
        self._full = self._taken = matrix
        self._active = None

    def __call__(self, fields: Array, active: np.ndarray) -> Array:
        """Return A x for the systems ``active``."""
        if active is not self._active:
            everyone = len(active) == self._full.shape[0]
            self._taken = self._full if everyone else self._full.take(active)
            self._active = active
        count_work(products=len(fields))
        return self._taken.apply(fields)


def bicgstab(
    apply: Operator,
    rhs: Array,
    start: Array,
    tolerance: float | np.ndarray,
    preconditioner: Operator | None = None,
    max_iterations: int = 500,
) -> KrylovResult:
    """Solve a batch of nonsymmetric systems by right-preconditioned Bi-CGSTAB (Eq. 15a).

    A system whose recurrence breaks down, or whose true residual turns out larger than the
    recurrence says, is restarted from its best iterate for as long as that helps.

    Parameters
    ----------
    apply : callable
        ``apply(fields, active)`` returns A x; see the module's text.
    rhs, start : arrays, shape (B, H, W)
        Right-hand sides and starting values (left unchanged).
    tolerance : float or ndarray, shape (B,)
        Relative residual ``||b - A x||_2 <= tolerance ||b||_2``.
    preconditioner : callable, optional
        ``preconditioner(fields, active)`` returns an approximation of A^-1 r.
    max_iterations : int
        Most iterations of a system, restarts included.

    Returns
    -------
    KrylovResult
        Systems that failed are marked in ``converged``; nothing is raised for them.

    Raises
    ------
    ShapeError
        If ``rhs`` and ``start`` differ in shape or are no batch of fields.
    """
    return _restarted(_bicgstab_cycle, apply, rhs, start, tolerance, preconditioner, max_iterations)


def gmres(
    apply: Operator,
    rhs: Array,
    start: Array,
    tolerance: float | np.ndarray,
    preconditioner: Operator | None = None,
    max_iterations: int = 500,
    restart: int = 30,
) -> KrylovResult:
    """Solve a batch of nonsymmetric systems by right-preconditioned GMRES(restart) (Eq. 15b).

    Parameters and result are those of `bicgstab`; ``restart`` is the largest dimension of a
    system's Krylov space, of which every vector is kept.
    """

    def cycle(apply, preconditioner, x, r, threshold, limit, active, record):
        limit = np.minimum(limit, restart)
        return _gmres_cycle(apply, preconditioner, x, r, threshold, limit, active, record)

    return _restarted(cycle, apply, rhs, start, tolerance, preconditioner, max_iterations)


def _restarted(cycle, apply, rhs, start, tolerance, preconditioner, max_iterations):
    """Run cycles on the systems that still need them, each from a recomputed true residual."""
    if rhs.ndim != 3 or tuple(rhs.shape) != tuple(start.shape):
        raise ShapeError(
            "A Krylov solver needs right-hand sides and starting values of one shape (B, H, W); "
            f"found {tuple(rhs.shape)} and {tuple(start.shape)}."
        )
    xp = array_namespace(rhs)
    n_systems = int(rhs.shape[0])
    preconditioner = preconditioner or (lambda fields, active: fields)
    scale = _norms(rhs)
    threshold = np.broadcast_to(np.asarray(tolerance, dtype=np.float64), n_systems) * scale
    threshold = _MARGIN * threshold
    x = xp.asarray(start, copy=True)
    zero = scale == 0
    if zero.any():
        x[np.flatnonzero(zero)] = 0.0
    everyone = np.arange(n_systems)
    iterations = np.zeros(n_systems, dtype=int)
    history = _History(scale)
    residual = rhs - apply(x, everyone)
    true = np.where(zero, 0.0, _norms(residual))
    history.record(everyone, iterations, true)
    active = np.flatnonzero(~(true <= threshold) & np.isfinite(scale))
    while active.size:
        limit = max_iterations - iterations[active]
        active = active[limit > 0]
        if not active.size:
            break
        chosen = residual if len(active) == residual.shape[0] else residual[active]
        new_x, done = cycle(
            apply,
            preconditioner,
            x[active],
            chosen,
            threshold[active],
            max_iterations - iterations[active],
            active,
            lambda who, count, sizes: history.record(who, iterations[who] + count, sizes),
        )
        iterations[active] += done
        new_residual = rhs[active] - apply(new_x, active)
        new_true = _norms(new_residual)
        better = new_true < true[active]  # False for NaN
        gained = active[better]
        x[gained] = new_x[np.flatnonzero(better)]
        residual[gained] = new_residual[np.flatnonzero(better)]
        useful = better & (new_true < _STAGNATION * true[active])
        true[gained] = new_true[better]
        active = active[useful & ~(true[active] <= threshold[active])]
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(zero, 0.0, true / scale)
    return KrylovResult(x, iterations, true <= threshold, relative, history.table())


def _bicgstab_cycle(apply, preconditioner, x, r, threshold, limit, active, record):
    """Bi-CGSTAB until the recurrence's residual is small, it breaks down, or the limit is hit."""
    xp = array_namespace(r)
    solution, done = x, np.zeros(len(active), dtype=int)
    local = np.arange(len(active))  # position in the cycle's batch of the systems still iterating
    x = xp.asarray(x, copy=True)
    shadow, p, v = r, r, None
    rho = _dots(shadow, r)
    count = 0
    while local.size:
        count += 1
        ph = preconditioner(p, active)
        v = apply(ph, active)
        alpha, ok = _quotient(rho, _dots(shadow, v))
        s = r - _scaled(alpha, v)
        x = x + _scaled(alpha, ph)
        done[local] = count
        size = _norms(s)
        record(active, count, size)
        keep = ok & (size > threshold[local])
        if not keep.all():
            left = np.flatnonzero(~keep)
            solution[local[left]] = x[left]
            local, active, rho, alpha = local[keep], active[keep], rho[keep], alpha[keep]
            kept = np.flatnonzero(keep)
            x, s, shadow, p, v = (a[kept] for a in (x, s, shadow, p, v))
            if not local.size:
                break
        sh = preconditioner(s, active)
        t = apply(sh, active)
        omega, ok = _quotient(_dots(t, s), _dots(t, t))
        x = x + _scaled(omega, sh)
        r = s - _scaled(omega, t)
        size = _norms(r)
        record(active, count, size)
        new_rho = _dots(shadow, r)
        ratio, fine = _quotient(new_rho * alpha, rho * omega)
        ok &= fine & (new_rho != 0)
        keep = ok & (size > threshold[local]) & (count < limit[local])
        if not keep.all():
            left = np.flatnonzero(~keep)
            solution[local[left]] = x[left]
            local, active, new_rho = local[keep], active[keep], new_rho[keep]
            omega, ratio = omega[keep], ratio[keep]
            kept = np.flatnonzero(keep)
            x, r, shadow, p, v = (a[kept] for a in (x, r, shadow, p, v))
        p = r + _scaled(ratio, p - _scaled(omega, v))
        rho = new_rho
    count_work(vectors=_BICGSTAB_VECTORS * done.sum())
    return solution, done


def _gmres_cycle(apply, preconditioner, x, r, threshold, limit, active, record):
    """One GMRES cycle: Arnoldi by modified Gram-Schmidt, least squares by Givens rotations."""
    solution, done = x, np.zeros(len(active), dtype=int)
    local = np.arange(len(active))
    size = _norms(r)
    basis = [_scaled(1.0 / size, r)]
    steps = int(limit.max())
    triangle = np.zeros((len(active), steps + 1, steps))
    cosine, sine = np.ones((len(active), steps)), np.zeros((len(active), steps))
    g = np.zeros((len(active), steps + 1))
    g[:, 0] = size
    for k in range(steps):
        w = apply(preconditioner(basis[k], active), active)
        before = _norms(w)
        for i, q in enumerate(basis):
            triangle[:, i, k] = _dots(q, w)
            w = w - _scaled(triangle[:, i, k], q)
        count_work(vectors=2 * len(basis) * len(w))
        size = _norms(w)
        # a remainder at the level of rounding is an exact solution ("happy breakdown")
        happy = ~(size > 1e-2 * _eps(w) * before)
        size = np.where(happy, 0.0, size)
        for i in range(k):
            upper, lower = triangle[:, i, k].copy(), triangle[:, i + 1, k].copy()
            triangle[:, i, k] = cosine[:, i] * upper + sine[:, i] * lower
            triangle[:, i + 1, k] = cosine[:, i] * lower - sine[:, i] * upper
        length = np.hypot(triangle[:, k, k], size)
        cosine[:, k], _ = _quotient(triangle[:, k, k], length)
        sine[:, k], regular = _quotient(size, length)
        triangle[:, k, k] = length
        g[:, k + 1] = -sine[:, k] * g[:, k]
        g[:, k] *= cosine[:, k]
        error = np.abs(g[:, k + 1])
        done[local] = k + 1
        record(active, k + 1, error)
        keep = regular & ~happy & (error > threshold[local]) & (k + 1 < limit[local])
        if not keep.all():
            left = np.flatnonzero(~keep)
            # a singular Hessenberg column carries no information and is left out
            y = _back_substitution(triangle[left], g[left], k + 1, regular[left])
            step = 0
            for i in range(k + 1):
                step = step + _scaled(y[:, i], basis[i][left])
            solution[local[left]] = solution[local[left]] + preconditioner(step, active[left])
            kept = np.flatnonzero(keep)
            local, active, size, w = local[keep], active[keep], size[keep], w[kept]
            triangle, cosine, sine, g = triangle[keep], cosine[keep], sine[keep], g[keep]
            basis = [q[kept] for q in basis]
        if not local.size:
            break
        basis.append(_scaled(1.0 / size, w))
    return solution, done


def _back_substitution(triangle, g, k, regular):
    """Solve the k x k triangular systems of a batch; an irregular last column counts as absent."""
    y = np.zeros((len(g), k))
    for i in reversed(range(k)):
        value = g[:, i] - np.einsum("bj,bj->b", triangle[:, i, i + 1 : k], y[:, i + 1 :])
        y[:, i], _ = _quotient(value, triangle[:, i, i])
        if i == k - 1:
            y[:, i] = np.where(regular, y[:, i], 0.0)
    return y


class _History:
    """Relative residuals by iteration and system, NaN where a system did not iterate."""

    def __init__(self, scale):
        self._scale = scale
        self._rows = []

    def record(self, systems, count, sizes):
        """Store ``sizes`` of ``systems`` after ``count`` (scalar or per system) iterations."""
        count = np.broadcast_to(count, len(systems))
        while len(self._rows) <= count.max(initial=0):
            self._rows.append(np.full(len(self._scale), np.nan))
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = np.where(sizes == 0, 0.0, sizes / self._scale[systems])
        for value in np.unique(count):
            here = count == value
            self._rows[value][systems[here]] = relative[here]

    def table(self):
        return np.stack(self._rows)


def _dots(a: Array, b: Array) -> np.ndarray:
    """Return the inner products of a batch as float64 on the host, shape (B,)."""
    return to_numpy(dots(a, b)).astype(np.float64)


def _norms(a: Array) -> np.ndarray:
    """Return the 2-norms of a batch as float64 on the host, shape (B,)."""
    return to_numpy(norms(a)).astype(np.float64)


def _scaled(factors: np.ndarray, fields: Array) -> Array:
    """Return factors[b] * fields[b], the factors carried to the fields' dtype and device."""
    xp = array_namespace(fields)
    factors = xp.asarray(factors, dtype=fields.dtype, device=device(fields))
    return factors[:, None, None] * fields


def _quotient(numerator: np.ndarray, denominator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (quotient, whether it is usable); an unusable quotient is 0, which changes nothing."""
    with np.errstate(all="ignore"):
        value = numerator / denominator
    usable = np.isfinite(value) & (denominator != 0)
    return np.where(usable, value, 0.0), usable


def _eps(a: Array) -> float:
    return float(array_namespace(a).finfo(a.dtype).eps)
