"""The nonlinear equation of one time step, in place and matrix-free, for a block of images.

Equation (3) at its own fixed point, with P of (14), reads

    P m = b + N(m),   N(m) = g^2/2 grad_h m . grad0_h m - f . grad0_h m,                     (23a)

with b = m^(n-1)/dt - div f as there.

`assemble_systems` says the same in matrices; the tests compare the two.
"""

import numpy as np
import torch

from crosskrylov.equation.problem import FokkerPlanckProblem
from crosskrylov.equation.transforms import TransformCache

Tensor = torch.Tensor


class BlockEquation:
    """P^-1, N and the residual of (23a) for blocks of up to ``n_images`` images.

    Parameters
    ----------
    problem : FokkerPlanckProblem
    n_images : int
        Largest block.
    dtype : torch.dtype
    device : torch.device or str

    Notes
    -----
    Nothing is stored per image but scratch fields: the image enters (23a) only through N.
    One object serves one thread, since the scratch fields are shared by its methods.
    """

    def __init__(self, problem: FokkerPlanckProblem, n_images: int, dtype, device):
        self.problem = problem
        self._options = {"dtype": dtype, "device": device}
        shape = (n_images, problem.height, problem.width)
        self._scratch = torch.empty(shape, **self._options)
        self._low = torch.empty((2, *shape), dtype=torch.float32, device=device)
        self._transforms = TransformCache()
        self.set_step(1)

    def _tensor(self, a: np.ndarray) -> Tensor:
        return torch.tensor(np.ascontiguousarray(a), **self._options)

    def set_step(self, step: int) -> None:
        """Take the coefficients of time step ``step``."""
        problem = self.problem
        self.half_g2 = problem.half_g2(step)
        self._transform = self._transforms.get(problem, step, self._low)
        drift = problem.drift_field(step)
        self._drift = None if drift is None else [self._tensor(a) for a in drift]
        # without drift `nonlinear` leaves its factor out, for `residual` to multiply by in passing
        self.scale = self.half_g2 / (4.0 * problem.spacing**2) if drift is None else 1.0

    def right_hand_side(self, previous: Tensor, out: Tensor) -> Tensor:
        """Return b = m^(n-1)/dt - div f of (3), to which residuals are relative."""
        torch.mul(previous, 1.0 / self.problem.time_step, out=out)
        return out if self._drift is None else out.sub_(self._drift[2])

    def correct(self, m: Tensor, residual: Tensor) -> Tensor:
        """Add P^-1 residual (Eq. 14) to ``m``, by four dense products in single precision.

        A correction needs few digits, since the next residual is computed in full precision from
        what it gave: products of half the bytes cost less than half the time.
        """
        p = self._transform
        b, height, width = m.shape
        first, second = self._low[0, :b], self._low[1, :b]
        flat = first.view(b * height, width), second.view(b * height, width)
        first.copy_(residual)
        torch.mm(flat[0], p.cols, out=flat[1])
        torch.bmm(p.rows_t.expand(b, -1, -1), second, out=first)
        first.mul_(p.inverse_symbol)
        torch.bmm(p.rows.expand(b, -1, -1), first, out=second)
        torch.mm(flat[1], p.cols_t, out=flat[0])
        return m.add_(first)

    def nonlinear(self, m: Tensor, out: Tensor) -> Tensor:
        """Return N(m) / ``scale``; ``m`` and ``out`` are contiguous."""
        b, _, width = m.shape
        difference = self._scratch[:b]
        flat, d, o = m.view(b, -1), difference.view(b, -1), out.view(b, -1)
        # rows: neighbours are `width` apart in memory, so this is one pass over contiguous data
        torch.sub(flat[:, 2 * width :], flat[:, : -2 * width], out=d[:, width:-width])
        difference[:, 0] = 0.0
        difference[:, -1] = 0.0
        torch.mul(d, d, out=o)
        self._add_border(m[:, 0], m[:, 1], out[:, 0])
        self._add_border(m[:, -1], m[:, -2], out[:, -1])
        # columns: one pass over the whole block, then the wrapped-around borders are cleared
        torch.sub(m.view(-1)[2:], m.view(-1)[:-2], out=difference.view(-1)[1:-1])
        difference[:, :, 0] = 0.0
        difference[:, :, -1] = 0.0
        out.addcmul_(difference, difference)
        self._add_border(m[:, :, 0], m[:, :, 1], out[:, :, 0])
        self._add_border(m[:, :, -1], m[:, :, -2], out[:, :, -1])
        if self._drift is not None:
            out.mul_(self.half_g2 / (4.0 * self.problem.spacing**2))
            self._subtract_drift(m, out)
        return out

    def _add_border(self, edge: Tensor, inner: Tensor, out: Tensor) -> None:
        """Add 4 h^2 times the product of border and ghost gradient; both point inwards (5-6)."""
        reflecting = self.problem.boundary == "reflecting"
        ghost = inner - edge if reflecting else inner
        if self.problem.border_gradient == "ghost":
            out.addcmul_(ghost, ghost)
        else:
            out.addcmul_(inner - edge, ghost, value=2.0)

    def _subtract_drift(self, m: Tensor, out: Tensor) -> None:
        """Subtract f . grad0_h m."""
        half = 0.5 / self.problem.spacing
        reflecting = self.problem.boundary == "reflecting"
        for f, axis in ((self._drift[0] * half, 1), (self._drift[1] * half, 2)):
            n = m.shape[axis]
            out.narrow(axis, 0, n - 1).sub_(f.narrow(axis - 1, 0, n - 1) * m.narrow(axis, 1, n - 1))
            out.narrow(axis, 1, n - 1).add_(f.narrow(axis - 1, 1, n - 1) * m.narrow(axis, 0, n - 1))
            if reflecting:
                out.select(axis, n - 1).sub_(f.select(axis - 1, n - 1) * m.select(axis, n - 1))
                out.select(axis, 0).add_(f.select(axis - 1, 0) * m.select(axis, 0))

    def residual(self, m: Tensor, rhs: Tensor, out: Tensor) -> Tensor:
        """Return b - A(m) m of (3), which is b + N(m) - P m.

        Parameters
        ----------
        m, rhs, out : Tensor, shape (b, H, W)
            Log-density, right-hand side b, and memory for the residual; contiguous.
        """
        b, _, width = m.shape
        problem, neighbours = self.problem, self._scratch[:b]
        d = self.half_g2 / problem.spacing**2
        torch.add(rhs, self.nonlinear(m, out), alpha=self.scale, out=out)
        out.add_(m, alpha=-(1.0 / problem.time_step + 4.0 * d))
        flat, o = m.view(b, -1), out.view(b, -1)
        o[:, width:].add_(flat[:, :-width], alpha=d)
        o[:, :-width].add_(flat[:, width:], alpha=d)
        # columns as in `nonlinear`: contiguous, then the wrapped-around borders are put right
        torch.add(m.view(-1)[2:], m.view(-1)[:-2], out=neighbours.view(-1)[1:-1])
        neighbours[:, :, 0] = m[:, :, 1]
        neighbours[:, :, -1] = m[:, :, -2]
        out.add_(neighbours, alpha=d)
        if problem.boundary == "reflecting":
            for axis in (1, 2):
                for edge in (0, -1):
                    out.select(axis, edge).add_(m.select(axis, edge), alpha=d)
        return out
