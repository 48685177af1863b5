"""The exact engine: Cole-Hopf by dense transforms, every stored time at once (Eq. 13).

`crosskrylov.equation.exact` is the reference, one fast transform after the other in SciPy; this is
the same formula as matrix products over blocks of images, on CPU or GPU.  Tests compare the two.

Of a time's modes only those take part that have not decayed below what rounding leaves of the
others: at the tenth of the authors' time interval 18 of 64 along an axis, at its end 6.
"""

import numpy as np
import torch

from crosskrylov.equation.problem import FokkerPlanckProblem
from crosskrylov.equation.transforms import laplacian_eigenvalues, transform_matrix
from crosskrylov.errors import ConfigError
from crosskrylov.scores.engines.result import NOT_FINITE, BlockResult

#: Modes that have decayed to less than this part are left out; float64 rounds at 1e-16.
_NEGLIGIBLE = 1e-18


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
        self._shift = 1.0 if problem.boundary == "zero_padding" else 0.0
        axes = []
        for n in (problem.height, problem.width):
            eigenvalues = laplacian_eigenvalues(n, problem.spacing, problem.boundary)
            axes.append((eigenvalues, transform_matrix(n, problem.boundary)))
        (row_values, rows), (col_values, cols) = axes
        taus = [problem.diffusion.tau(problem.time(int(step))) for step in steps]
        self._times = []  # of each, None for the initial state: decay, and both transforms back
        n_rows = n_cols = 1
        for tau in taus:
            if tau == 0:
                self._times.append(None)
                continue
            r, c = (
                max(1, int((np.exp(tau * values) >= _NEGLIGIBLE).sum()))
                for values in (row_values, col_values)
            )
            n_rows, n_cols = max(n_rows, r), max(n_cols, c)
            decay = np.exp(tau * (row_values[:r, None] + col_values[None, :c]))
            self._times.append(tuple(map(self._tensor, (decay, rows[:, :r], cols[:, :c].T))))
        self._rows_t, self._cols = self._tensor(rows[:, :n_rows].T), self._tensor(cols[:, :n_cols])

    def _tensor(self, a):
        return torch.tensor(np.ascontiguousarray(a), **self._options)

    def run(self, log_density: np.ndarray) -> BlockResult:
        """Evaluate one block; ``log_density`` has shape (B, H, W), in nats."""
        m = torch.as_tensor(log_density).to(**self._options)
        b, height, width = m.shape
        failures = dict.fromkeys(_not_finite(m), NOT_FINITE)
        density = torch.exp(m).sub_(self._shift)
        half = density.view(b * height, width) @ self._cols
        spectrum = torch.bmm(self._rows_t.expand(b, -1, -1), half.view(b, height, -1))
        store = torch.empty((b, len(self._times), height, width), **self._options)
        later = torch.empty_like(density)
        for position, time in enumerate(self._times):
            if time is None:
                store[:, position] = m
                continue
            decay, rows, cols_t = time
            r, c = decay.shape
            left = torch.mul(spectrum[:, :r, :c], decay)
            half = (left.view(b * r, c) @ cols_t).view(b, r, width)
            torch.bmm(rows.expand(b, -1, -1), half, out=later)
            torch.log(later.add_(self._shift), out=store[:, position])
        for i in _not_finite(store):
            failures.setdefault(
                i, "its density is not positive at every stored time; raise density.floor"
            )
        if failures:
            store[list(failures)] = torch.nan
        none = np.zeros(b, dtype=int)
        return BlockResult(store, none, none, np.full(b, np.nan), failures)


def _not_finite(fields: torch.Tensor) -> list[int]:
    """Return the images of a block that hold NaN or infinity, which a sum of logarithms keeps."""
    sums = fields.flatten(1).sum(1)  # a pass at the speed of memory, which `isfinite` is not
    return torch.nonzero(~torch.isfinite(sums))[:, 0].tolist()
