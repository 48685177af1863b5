"""The density form: the linear equation for p, one factorisation per step for all images (Eq. 23).

The operator of (10) does not depend on the image, whatever the drift, so that each step is one
sparse factorisation and one solve with as many right-hand sides as there are images.  Fluxes are
central and conservative: with reflection the mass is conserved to rounding.  Crank-Nicolson steps
are second order in time; the first two are taken as two backward Euler half steps each, with the
same kind of matrix, which damps what Crank-Nicolson would only reflect (Rannacher's start).
"""

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
import torch

from crosskrylov.equation.problem import FokkerPlanckProblem
from crosskrylov.scores.engines.result import NOT_FINITE, BlockResult

#: Steps that are taken as backward Euler half steps.
SMOOTHING_STEPS = 2
#: Bytes of factors that are kept from one block of images to the next.
_KEPT_BYTES = 256 * 2**20


def density_operator(problem: FokkerPlanckProblem, time: float) -> tuple[sp.csc_array, np.ndarray]:
    """Return (L, source) of dp/dt = L p + source, the five-point form of (10).

    Parameters
    ----------
    problem : FokkerPlanckProblem
    time : float

    Returns
    -------
    L : csc_array, shape (H W, H W), 1/time units
    source : ndarray, shape (H W,)
        What the density 1 outside contributes under zero padding; 0 under reflection.

    Notes
    -----
    The flux through the face between nodes i and i + 1 is ``f (p_i + p_{i+1}) / 2 - g^2/2
    (p_{i+1} - p_i) / h`` with f at the face.
    """
    height, width, h = problem.height, problem.width, problem.spacing
    kappa = problem.diffusion.half_g2(time)
    node = np.arange(height * width).reshape(height, width)
    source = np.zeros((height, width))
    entries = []
    for axis in (0, 1):
        n = node.shape[axis]
        faces = (height + 1, width) if axis == 0 else (height, width + 1)
        row, col = np.indices(faces, dtype=np.float64)
        (row if axis == 0 else col)[...] -= 0.5
        f = np.zeros(faces)
        if problem.drift is not None:
            f = np.broadcast_to(problem.drift(row * h, col * h, time)[axis], faces)
        from_lower = f / 2 + kappa / h  # flux = from_lower p_lower + from_upper p_upper
        from_upper = f / 2 - kappa / h

        def part(a, start, stop, axis=axis):
            return a[start:stop] if axis == 0 else a[:, start:stop]

        lower, upper = part(node, 0, n - 1).ravel(), part(node, 1, n).ravel()
        for share, column in ((from_lower, lower), (from_upper, upper)):
            value = part(share, 1, n).ravel() / h
            entries += [(lower, column, -value), (upper, column, value)]
        if problem.boundary == "zero_padding":
            first, last = part(node, 0, 1).ravel(), part(node, n - 1, n).ravel()
            entries.append((first, first, part(from_upper, 0, 1).ravel() / h))
            entries.append((last, last, -part(from_lower, n, n + 1).ravel() / h))
            part(source, 0, 1)[...] += part(from_lower, 0, 1) / h
            part(source, n - 1, n)[...] -= part(from_upper, n, n + 1) / h
    rows, cols, values = (np.concatenate(a) for a in zip(*entries, strict=True))
    size = height * width
    return sp.csc_array((values, (rows, cols)), shape=(size, size)), source.ravel()


class DensityForm:
    """Step the density of blocks of images; works for every drift and both boundaries.

    Parameters
    ----------
    problem : FokkerPlanckProblem
    steps : sequence of int
        Time steps to keep; 0 is the initial state.

    Notes
    -----
    SciPy's factorisation is float64 on the CPU, so that is what this engine is.
    """

    def __init__(self, problem: FokkerPlanckProblem, steps):
        self.problem, self.steps = problem, [int(s) for s in steps]
        self._factors, self._kept = {}, 0
        self._steady = problem.diffusion.constant and self._drift_is_steady()

    def _drift_is_steady(self) -> bool:
        fields = [self.problem.drift_field(n) for n in range(self.problem.time_steps + 1)]
        return fields[0] is None or all(
            np.array_equal(a, b) for later in fields[1:] for a, b in zip(fields[0], later)
        )

    def _system(self, time: float):
        """Return (L, source, factors of I - dt/2 L) at ``time``."""
        key = 0.0 if self._steady else round(time / self.problem.time_step, 6)
        if key in self._factors:
            return self._factors[key]
        operator, source = density_operator(self.problem, time)
        half = 0.5 * self.problem.time_step
        identity = sp.eye_array(operator.shape[0], format="csc")
        factors = spla.splu(sp.csc_array(identity - half * operator), permc_spec="MMD_AT_PLUS_A")
        self._kept += 12 * (factors.L.nnz + factors.U.nnz) if self._kept < _KEPT_BYTES else 0
        if self._kept < _KEPT_BYTES or self._steady:
            self._factors[key] = operator, source, factors
        return operator, source, factors

    def run(self, log_density: np.ndarray) -> BlockResult:
        """Step one block; ``log_density`` has shape (B, H, W), in nats."""
        initial = np.asarray(log_density, dtype=np.float64)
        b, shape = len(initial), initial.shape[1:]
        finite = np.isfinite(initial).all(axis=(1, 2))
        failures = {int(i): NOT_FINITE for i in np.flatnonzero(~finite)}
        p = np.exp(np.where(finite[:, None, None], initial, 0.0)).reshape(b, -1).T
        store = np.empty((b, len(self.steps), *shape))
        positive = finite.copy()
        problem, dt = self.problem, self.problem.time_step
        if 0 in self.steps:
            store[:, self.steps.index(0)] = initial
        for step in range(1, self.steps[-1] + 1):
            before, after = problem.time(step - 1), problem.time(step)
            if step <= SMOOTHING_STEPS:
                for time in (0.5 * (before + after), after):
                    _, source, factors = self._system(time)
                    p = factors.solve(p + 0.5 * dt * source[:, None])
            else:
                operator, source, _ = self._system(before)
                rhs = p + 0.5 * dt * (operator @ p + source[:, None])
                _, source, factors = self._system(after)
                p = factors.solve(rhs + 0.5 * dt * source[:, None])
            if step in self.steps:
                positive &= (p > 0).all(axis=0)
                with np.errstate(invalid="ignore", divide="ignore"):
                    store[:, self.steps.index(step)] = np.log(p.T).reshape(b, *shape)
        for i in np.flatnonzero(finite & ~positive):
            failures[int(i)] = (
                "its density is not positive at every stored time; use more time steps, a larger "
                "density.floor or engine.method batched"
            )
        store[~positive] = np.nan
        none = np.zeros(b, dtype=int)
        return BlockResult(torch.from_numpy(store), none, none, np.full(b, np.nan), failures)
