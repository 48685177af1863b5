"""Batched Krylov solvers in torch: all systems of a call at once, on CPU or GPU (Eqs. 14-15b)."""

import time

import numpy as np

from crosskrylov.equation.stencil import FivePointStencil
from crosskrylov.equation.transforms import TransformCache
from crosskrylov.errors import ConfigError, ConvergenceError
from crosskrylov.solvers.base import LinearSolver, LinearSystems, Solution, register
from crosskrylov.solvers.kernels.batched_krylov import StencilOperator, bicgstab, gmres

PRECONDITIONERS = ("transform", "none")
PRECISIONS = ("float64", "float32")


class _BatchedKrylov(LinearSolver):
    """Iterate on all systems together; each stops on its own and then costs nothing."""

    kernel = None

    def __init__(
        self,
        preconditioner: str = "transform",
        preconditioner_precision: str = "float64",
        max_iterations: int = 500,
        device: str = "cpu",
    ):
        for key, value, allowed in (
            ("preconditioner", preconditioner, PRECONDITIONERS),
            ("preconditioner_precision", preconditioner_precision, PRECISIONS),
        ):
            if value not in allowed:
                raise ConfigError(
                    f"The solver option {key} is {value!r}; allowed are {', '.join(allowed)}."
                )
        if max_iterations < 1:
            raise ConfigError(
                f"The solver option max_iterations is {max_iterations}; it must be at least 1."
            )
        import torch  # here, so that the registry of solvers does not need torch

        from crosskrylov.runtime.device import select_device

        device = select_device(device, "The solver option device").type
        self._torch, self._device = torch, device
        self._preconditioner = preconditioner
        self._precision = getattr(torch, preconditioner_precision)
        self._max_iterations = max_iterations
        self._transforms = TransformCache()

    def prepare(self, problem, log_density, seeds=None) -> None:
        """Forget the transform of an earlier march."""
        super().prepare(problem, log_density, seeds)
        self._transforms = TransformCache()

    def solve(self, systems: LinearSystems) -> Solution:
        """Solve every system to ``systems.tolerance``; arrays keep their kind and device."""
        from_numpy = isinstance(systems.rhs, np.ndarray)
        device = self._device if from_numpy else systems.rhs.device

        def convert(a):
            return self._torch.as_tensor(a, device=device)

        clock = time.perf_counter()
        matrix = FivePointStencil(*map(convert, systems.matrix.arrays()))
        rhs, start = convert(systems.rhs), convert(systems.start)
        systems.conversion_seconds += time.perf_counter() - clock
        clock = time.perf_counter()
        preconditioner = self._make_preconditioner(systems, rhs)
        setup = time.perf_counter() - clock
        result = self.kernel(
            StencilOperator(matrix),
            rhs,
            start,
            systems.tolerance,
            preconditioner,
            self._max_iterations,
        )
        if not result.converged.all():
            self._raise_missed(systems, result)
        x = result.x.cpu().numpy() if from_numpy else result.x
        return Solution(x, result.iterations, setup_seconds=setup)

    def _make_preconditioner(self, systems, rhs):
        if self._preconditioner == "none":
            return None
        like = rhs[:0].to(self._precision)
        transform = self._transforms.get(systems.problem, systems.step, like)
        if self._precision == rhs.dtype:
            return transform
        return lambda fields, active: transform(fields.to(self._precision)).to(fields.dtype)

    def _raise_missed(self, systems, result):
        residuals = np.where(np.isnan(result.relative_residuals), np.inf, result.relative_residuals)
        worst = int(np.where(result.converged, -1.0, residuals).argmax())
        history = result.residual_history[:, worst]
        raise ConvergenceError(
            f"Solver {self.name} reached a relative residual of {residuals[worst]:.2e} (tolerance "
            f"{systems.tolerance:.1e}) after {result.iterations[worst]} iterations in the system "
            f"of image {systems.image_index[worst]}, time step {systems.step}, Picard iteration "
            f"{systems.picard}; loosen the tolerance or raise max_iterations.",
            residual_history=history[~np.isnan(history)].tolist(),
            iterations=int(result.iterations[worst]),
            best=result.x[worst],
        )


@register("batched_bicgstab", family="batched")
class BatchedBicgstab(_BatchedKrylov):
    """Bi-CGSTAB over the whole batch in torch, preconditioned by the transform (Eq. 14).

    Parameters
    ----------
    preconditioner : {"transform", "none"}
    preconditioner_precision : {"float64", "float32"}
        float32 halves the cost of the dense products; the iteration itself stays in float64.
    max_iterations : int
        Most iterations of a system.
    device : str
        Where NumPy systems are solved: "cpu" or "cuda"; torch systems stay where they are.
    """

    kernel = staticmethod(bicgstab)


@register("batched_gmres", family="batched")
class BatchedGmres(_BatchedKrylov):
    """GMRES(30) over the whole batch in torch; the options are those of `BatchedBicgstab`."""

    kernel = staticmethod(gmres)
