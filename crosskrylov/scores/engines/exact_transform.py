"""The exact engine: Cole-Hopf by dense transforms, every stored time at once (Eq. 13).

`crosskrylov.equation.exact` is the reference, one fast transform after the other in SciPy; this is
the same formula as matrix products over blocks of images, on CPU or GPU.  Tests compare the two.
"""

import numpy as np
import torch

from crosskrylov.equation.problem import FokkerPlanckProblem
from crosskrylov.equation.transforms import laplacian_symbol, transform_matrix
from crosskrylov.errors import ConfigError
from crosskrylov.scores.engines.result import NOT_FINITE, BlockResult


class ExactTransform:
    """Evaluate the exact solution for blocks of images.

    Parameters
    ----------
    problem : FokkerPlanckProblem
        Without drift; g may depend on time.
    steps : sequence of int
        Time steps whose times are evaluated; 0 is the initial state.
    dtype, device
        Of the arithmetic.  In float32, densities below 1e-7 next to the padding's 1 are lost.

    Raises
    ------
    ConfigError
        If the problem has a drift.
    """

    def __init__(self, problem: FokkerPlanckProblem, steps, dtype=torch.float64, device="cpu"):
        if problem.drift is not None:
            raise ConfigError(
                "engine.method is 'exact', which needs equation.drift.kind zero; use 'auto', "
                "'density_form' or 'batched'."
            )
        self._options = {"dtype": dtype, "device": device}
        self._shape = (problem.height, problem.width)
        self._shift = 1.0 if problem.boundary == "zero_padding" else 0.0
        rows = transform_matrix(problem.height, problem.boundary)
        cols = transform_matrix(problem.width, problem.boundary)
        self._rows, self._rows_t = self._tensor(rows), self._tensor(rows.T)
        self._cols, self._cols_t = self._tensor(cols), self._tensor(cols.T)
        symbol = laplacian_symbol(problem.height, problem.width, problem.spacing, problem.boundary)
        taus = [problem.diffusion.tau(problem.time(int(step))) for step in steps]
        self._decay = [self._tensor(np.exp(tau * symbol)) for tau in taus]

    def _tensor(self, a):
        return torch.tensor(np.ascontiguousarray(a), **self._options)

    def run(self, log_density: np.ndarray) -> BlockResult:
        """Evaluate one block; ``log_density`` has shape (B, H, W), in nats."""
        m = torch.as_tensor(log_density).to(**self._options)
        b, (height, width) = len(m), self._shape
        failures = {
            i: NOT_FINITE
            for i in torch.nonzero(~torch.isfinite(m).flatten(1).all(1))[:, 0].tolist()
        }
        work = torch.exp(m).sub_(self._shift)
        half, spectrum = torch.empty_like(work), torch.empty_like(work)
        rows, rows_t = self._rows.expand(b, -1, -1), self._rows_t.expand(b, -1, -1)
        flat = (b * height, width)
        torch.mm(work.view(flat), self._cols, out=half.view(flat))
        torch.bmm(rows_t, half, out=spectrum)
        store = torch.empty((b, len(self._decay), height, width), **self._options)
        for position, decay in enumerate(self._decay):
            torch.mul(spectrum, decay, out=work)
            torch.bmm(rows, work, out=half)
            torch.mm(half.view(flat), self._cols_t, out=work.view(flat))
            torch.log(work.add_(self._shift), out=work)
            store[:, position] = work
        finite = torch.isfinite(store).flatten(1).all(1)
        for i in torch.nonzero(~finite)[:, 0].tolist():
            failures.setdefault(
                i, "its density is not positive at every stored time; raise density.floor"
            )
        store[~finite] = torch.nan
        none = np.zeros(b, dtype=int)
        return BlockResult(store, none, none, np.full(b, np.nan), failures)
