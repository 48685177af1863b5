"""The batched log-density march: all images of a block at once, matrix-free (Eqs. 3, 14, 23a).

The matrices of all images share P, and what differs between them is small beside it: the fixed
point of (23a) is found by corrections m <- m + P^-1 r, where r = b + N(m) - P m is the residual of
(3) (23b).  They are made in single precision, the residuals in the engine's.  The first m of a step
is extrapolated from earlier steps.  Images for which this does not converge get Newton's iteration
with preconditioned GMRES.

The solution is that of `crosskrylov.scores.march.march` with any solver.  The published march
stops Picard's iteration after five iterates, which in the first one to three steps is before it
has converged; those steps are then taken by Picard's iteration here too (``max_picard``).
"""

from math import comb, log2

import numpy as np
import torch

from crosskrylov.equation.assembly import assemble_systems
from crosskrylov.equation.problem import FokkerPlanckProblem
from crosskrylov.equation.transforms import TransformCache
from crosskrylov.scores.engines.block_equation import BlockEquation
from crosskrylov.scores.engines.result import NOT_FINITE, BlockResult
from crosskrylov.scores.march_options import MarchOptions
from crosskrylov.solvers.kernels.batched_krylov import StencilOperator, gmres
from crosskrylov.solvers.kernels.residuals import norms, relative_residuals, to_numpy

Tensor = torch.Tensor

#: Iterations per time step before Newton's iteration takes over.
MAX_ITERATIONS = 30
#: Most earlier steps that the extrapolation in time uses beyond the last one.
EXTRAPOLATION_ORDER = 5
#: Newton steps, and the part of the remaining residual that GMRES leaves in each.
_NEWTON_STEPS, _FORCING = 40, 1e-2
#: Corrections of a Picard iterate before GMRES takes over.
_CORRECTIONS = 10
#: Residual of a Picard iterate's system, relative to the change of the iterate before.
_PICARD_FORCING = 1e-4


class BatchedMarch:
    """March blocks of images through all time steps.

    Parameters
    ----------
    problem : FokkerPlanckProblem
    steps : sequence of int
        Time steps to keep, ascending; 0 is the initial state.
    tolerance : float
        Relative residual of (3), with the matrix at the solution itself, that every step reaches.
    max_iterations : int
        Iterations per step after which an image is handed to Newton's iteration.
    max_picard : int or None
        Take an image's first steps by at most so many Picard iterates, until they suffice for
        ``picard_tolerance``, as `march` does; None: every step is iterated to its fixed point.
    picard_tolerance : float
        Relative change at which Picard's iteration stops.
    dtype, device
        Of the arithmetic.
    """

    def __init__(
        self,
        problem: FokkerPlanckProblem,
        steps,
        tolerance: float = MarchOptions.tolerance,
        max_iterations: int = MAX_ITERATIONS,
        max_picard: int | None = MarchOptions.max_picard,
        picard_tolerance: float = MarchOptions.picard_tolerance,
        dtype=torch.float64,
        device="cpu",
    ):
        self.problem, self.steps = problem, [int(s) for s in steps]
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self.max_picard, self.picard_tolerance = max_picard, picard_tolerance
        self.dtype, self.device = dtype, device
        self._equation, self._transforms = None, TransformCache()

    def run(self, log_density: np.ndarray) -> BlockResult:
        """March one block; ``log_density`` has shape (B, H, W), in nats."""
        m = torch.as_tensor(log_density).to(device=self.device, dtype=self.dtype, copy=True)
        b = len(m)
        if self._equation is None or self._capacity < b:
            self._equation = BlockEquation(self.problem, b, self.dtype, self.device)
            self._capacity = b
        state = _State(m.contiguous(), len(self.steps))
        if self.steps[0] == 0:
            state.store[:, 0] = m
        bad = ~torch.isfinite(m).all(dim=2).all(dim=1)
        state.fail(bad, NOT_FINITE)
        for step in range(1, self.problem.time_steps + 1):
            self._advance(state, step)
            if step in self.steps:
                state.store[:, self.steps.index(step)] = state.m
            if len(state.failures) == b:
                break
        state.store[~state.alive] = torch.nan
        return BlockResult(
            state.store,
            state.iterations.cpu().numpy(),
            state.fallbacks,
            np.where(state.alive.cpu().numpy(), state.worst.cpu().numpy(), np.nan),
            state.failures,
        )

    def _advance(self, state: "_State", step: int) -> None:
        """Solve (23a) for one step from an extrapolated log-density."""
        equation = self._equation
        equation.set_step(step)
        state.extrapolate(step)
        equation.right_hand_side(state.m, state.rhs)
        early = state.early & state.alive if self.max_picard else torch.zeros_like(state.alive)
        relative = torch.zeros_like(state.worst)
        missed = self._iterate(state, relative, torch.nonzero(state.alive & ~early)[:, 0])
        if early.any():
            self._picard(state, step, relative, torch.nonzero(early)[:, 0])
        if len(missed):
            self._newton(state, step, relative, missed)
        state.worst = torch.where(state.alive, torch.maximum(state.worst, relative), state.worst)
        state.keep(step)

    def _iterate(self, state, relative, active) -> Tensor:
        """Iterate on the images ``active``; one that has finished leaves with its residual.

        Returns
        -------
        Tensor
            Positions of the images that did not reach the tolerance.
        """
        equation, x, rhs = self._equation, state.next, state.rhs
        if len(active) < len(rhs):
            x, rhs = x[active], rhs[active]
        scale = norms(rhs).clamp_min(torch.finfo(self.dtype).tiny)
        for iteration in range(self.max_iterations + 1):
            if not len(active):
                break
            residual = equation.residual(x, rhs, state.work[: len(x)])
            reached = norms(residual) / scale
            keep = ~(reached <= self.tolerance)
            left = int(keep.sum())
            if left < len(active):
                done = ~keep
                relative[active[done]] = reached[done]
                state.next[active[done]] = x[done]
                active, x, rhs, scale = active[keep], x[keep], rhs[keep], scale[keep]
                residual = residual[keep]
            if left and iteration < self.max_iterations:
                equation.correct(x, residual)
                state.iterations[active] += 1
        return active

    def _picard(self, state, step, relative, early) -> None:
        """Take the step for the images ``early`` by Picard's iteration, as `march` does."""
        previous, x = state.m[early], state.m[early]
        busy, change = np.arange(len(early)), np.full(len(early), np.inf)
        reached = np.full(len(early), np.inf)
        for picard in range(1, self.max_picard + 1):
            if not busy.size:
                break
            # only the last iterate has to reach the tolerance; errors of the others contract
            loose = 0.0 if picard == self.max_picard else _PICARD_FORCING
            tolerance = np.maximum(self.tolerance, loose * np.minimum(change[busy], 1.0))
            new, residuals, count = self._solve_picard(step, previous[busy], x[busy], tolerance)
            change[busy] = to_numpy(norms(new - x[busy]) / norms(x[busy]).clamp_min(1e-12))
            x[busy], reached[busy] = new, residuals
            state.iterations[early[busy]] += torch.as_tensor(count, device=early.device)
            going = (change[busy] >= self.picard_tolerance) | ~(reached[busy] <= self.tolerance)
            busy = busy[going]
        state.early[early] = torch.as_tensor(change >= self.picard_tolerance, device=early.device)
        self._finish(state, step, relative, early, x, reached)

    def _newton(self, state, step, relative, missed) -> None:
        """Solve the step for the images ``missed`` by Newton's iteration with GMRES."""
        previous, x = state.m[missed], state.m[missed]
        reached = np.full(len(missed), np.inf)
        for _ in range(_NEWTON_STEPS):
            matrix, rhs = assemble_systems(self.problem, step, previous, x)
            reached = relative_residuals(matrix, rhs, x)
            busy = np.flatnonzero(np.isfinite(reached) & ~(reached <= self.tolerance))
            if not busy.size:
                break
            inner = np.maximum(_FORCING * reached[busy], 0.1 * self.tolerance)
            result = self._solve_linear(step, previous[busy], x[busy], "newton", inner)
            x[busy] = result.x
            self._count(state, missed[busy], result)
        state.fallbacks[missed.cpu().numpy()] += 1
        self._finish(state, step, relative, missed, x, reached)

    def _solve_picard(self, step, previous, iterate, tolerance):
        """Solve the Picard system of every image by corrections with P^-1, starting at ``iterate``.

        x <- x + P^-1 (b - A x) gains a digit or more each time, for a fraction of what an iteration
        of GMRES costs.  Images where it does not get GMRES.

        Returns
        -------
        x : Tensor
        residuals, count : ndarray, shape (b,)
            True relative residuals, and applications of P^-1.
        """
        matrix, rhs = assemble_systems(self.problem, step, previous, iterate)
        size = norms(rhs).clamp_min(torch.finfo(self.dtype).tiny)
        x = iterate.clone()
        count = np.zeros(len(x), dtype=int)
        while True:
            residual = rhs - matrix.apply(x)
            reached = to_numpy(norms(residual) / size)
            busy = ~(reached <= tolerance)
            if not busy.any() or count.max() == _CORRECTIONS:
                break
            residual[torch.as_tensor(~busy, device=x.device)] = 0.0  # as it would be alone
            self._equation.correct(x, residual)
            count += busy
        if busy.any():
            left = np.flatnonzero(busy)
            starts = previous[left], iterate[left]
            result = self._solve_linear(step, *starts, "picard", tolerance[left])
            x[left], reached[left] = result.x, result.relative_residuals
            count[left] += result.iterations
        return x, reached, count

    def _solve_linear(self, step, previous, iterate, linearisation, tolerance):
        """Solve one system per image by GMRES preconditioned with (14), starting at ``iterate``."""
        problem = self.problem
        matrix, rhs = assemble_systems(problem, step, previous, iterate, linearisation)
        transform = self._transforms.get(problem, step, previous)
        return gmres(StencilOperator(matrix), rhs, iterate, tolerance, transform)

    def _count(self, state, positions, result) -> None:
        iterations = torch.as_tensor(result.iterations, device=positions.device)
        state.iterations[positions] += iterations

    def _finish(self, state, step, relative, positions, x, reached) -> None:
        """Put the step's solutions in place; images that missed the tolerance have failed."""
        state.next[positions] = x
        reached = torch.as_tensor(reached, device=positions.device).to(relative.dtype)
        relative[positions] = reached
        failed = torch.zeros_like(state.alive)
        failed[positions[~(reached <= self.tolerance)]] = True
        state.fail(
            failed,
            f"time step {step} did not reach the relative residual {self.tolerance:.1e}; use more "
            "time steps, a larger density.intensity_offset or a looser tolerance",
        )


class _State:
    """Fields and counters of a march in progress."""

    def __init__(self, m: Tensor, n_stored: int):
        b = len(m)
        self.next, self.rhs, self.work = (torch.empty_like(m) for _ in range(3))
        self.history = torch.empty((EXTRAPOLATION_ORDER + 1, *m.shape), dtype=m.dtype).to(m.device)
        self.history[0] = m
        self.m = self.history[0]
        self.store = torch.empty((b, n_stored, *m.shape[1:]), dtype=m.dtype, device=m.device)
        self.iterations = torch.zeros(b, dtype=torch.int64, device=m.device)
        self.worst = torch.zeros(b, dtype=m.dtype, device=m.device)
        self.alive = torch.ones(b, dtype=torch.bool, device=m.device)
        self.early = torch.ones_like(self.alive)  # Picard's iteration is still cut off
        self.fallbacks = np.zeros(b, dtype=int)
        self.failures: dict[int, str] = {}

    def extrapolate(self, step: int) -> None:
        """Put the log-density that earlier steps lead to expect into ``next``.

        The order grows with the logarithm of the step: early on m changes too abruptly for more.
        """
        size = len(self.history)
        order = min(EXTRAPOLATION_ORDER, int(log2(step)), step - 1)
        weights = torch.zeros(size, dtype=self.m.dtype)
        for k in range(order + 1):
            weights[(step - 1 - k) % size] = (-1) ** k * comb(order + 1, k + 1)
        used = min(step, size)
        torch.mv(
            self.history[:used].view(used, -1).T,
            weights[:used].to(self.m.device),
            out=self.next.view(-1),
        )

    def keep(self, step: int) -> None:
        """Take ``next`` for the log-density of this step."""
        self.m = self.history[step % len(self.history)]
        self.m.copy_(self.next)

    def fail(self, mask: Tensor, reason: str) -> None:
        """Take images out of the march; their fields become 0, so that nothing overflows."""
        for position in torch.nonzero(mask)[:, 0].tolist():
            self.failures.setdefault(position, reason)
            self.alive[position] = False
            self.next[position] = 0.0
            self.history[:, position] = 0.0
