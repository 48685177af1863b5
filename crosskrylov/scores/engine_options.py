"""Options of the engine and the choice of the method that runs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch

from crosskrylov.equation.problem import FokkerPlanckProblem
from crosskrylov.errors import ConfigError
from crosskrylov.runtime.device import select_device
from crosskrylov.runtime.measurement import available_cores
from crosskrylov.scores.engines.batched_march import MAX_ITERATIONS, BatchedMarch
from crosskrylov.scores.engines.density_form import DensityForm
from crosskrylov.scores.engines.exact_transform import ExactTransform
from crosskrylov.scores.engines.solver_march import SolverMarch
from crosskrylov.scores.march_options import MarchOptions

METHODS = ("auto", "exact", "batched", "density_form", "solver")
_CHOICES = {
    "method": METHODS,
    "device": ("auto", "cpu", "cuda"),
    "dtype": ("float64", "float32"),
    "storage": ("float16", "float32", "float64"),
    "quantity": ("score", "log_density"),
}
#: Tolerance where none is given; float32 cannot verify much less at 256 x 256 pixels.
DEFAULT_TOLERANCE = {"float64": 1e-8, "float32": 1e-4}
_SMALLEST_TOLERANCE = {"float64": 1e-13, "float32": 1e-5}
#: Registered solver that method "solver" marches with.
SOLVER_METHOD = "batched_bicgstab"
#: Bytes of one field of a block: what keeps all working fields of a block in a core's cache.
_BLOCK_BYTES = {"cpu": 2**19, "cuda": 2**27}


@dataclass(frozen=True)
class EngineOptions:
    """How scores are computed and stored; the config section ``engine``.

    Attributes
    ----------
    method : {"auto", "exact", "batched", "density_form", "solver"}
        "auto" is "exact" without drift, else "density_form".
    tolerance : float or None
        Relative residual of "batched"; None: 1e-8 in float64, 1e-4 in float32.
    max_iterations : int
        Iterations per time step of "batched" before Newton's iteration takes over.
    max_picard : int or None
        Picard iterates of the first steps of "batched", as in `MarchOptions`; None: every step is
        iterated to its fixed point.
    solver : dict
        ``method`` and ``options`` of the registered solver for method "solver".
    device : {"auto", "cpu", "cuda"}
    dtype : {"float64", "float32"}
        Arithmetic of "exact" and "batched".
    workers : int
        Threads that work on different images; 0: one per core that this process may use.
    block_images : int or None
        Images that one worker advances together; None: as many as fit its cache.
    chunk_images : int or None
        Images per file, the unit that survives an interruption; None: from the memory budget, at
        most 1,000.
    memory_mb : float
        Budget for arrays, in units of 10^6 bytes (Python and torch themselves are not in it).
    storage : {"float16", "float32", "float64"}
        Precision on disk.
    quantity : {"score", "log_density"}
        What is stored.
    """

    method: str = "auto"
    tolerance: float | None = None
    max_iterations: int = MAX_ITERATIONS
    max_picard: int | None = MarchOptions.max_picard
    solver: Mapping[str, Any] = field(default_factory=lambda: {"method": SOLVER_METHOD})
    device: str = "auto"
    dtype: str = "float64"
    workers: int = 0
    block_images: int | None = None
    chunk_images: int | None = None
    memory_mb: float = 2000
    storage: str = "float16"
    quantity: str = "score"

    def __post_init__(self):
        for key, allowed in _CHOICES.items():
            if getattr(self, key) not in allowed:
                raise ConfigError(
                    f"engine.{key} is {getattr(self, key)!r}; allowed are {', '.join(allowed)}."
                )
        smallest = _SMALLEST_TOLERANCE[self.dtype]
        if self.tolerance is not None and not smallest <= self.tolerance < 1:
            raise ConfigError(
                f"engine.tolerance is {self.tolerance}, but with dtype {self.dtype} it must be at "
                f"least {smallest:.0e} and below 1."
            )
        for key, least in (("max_iterations", 1), ("workers", 0), ("memory_mb", 0)):
            if getattr(self, key) < least:
                raise ConfigError(
                    f"engine.{key} is {getattr(self, key)}; it must be at least {least}."
                )
        for key in ("block_images", "chunk_images", "max_picard"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise ConfigError(f"engine.{key} is {value}; it must be at least 1.")
        if "method" not in self.solver:
            raise ConfigError("engine.solver has no method; give the name of a registered solver.")

    @classmethod
    def from_config(cls, section: Mapping | None) -> "EngineOptions":
        """Return the options of a config section; an unknown key is a ConfigError."""
        section = dict(section or {})
        known = [f.name for f in fields(cls)]
        for key in section:
            if key not in known:
                raise ConfigError(
                    f"engine.{key} is no option of the engine; known are {', '.join(known)}."
                )
        return cls(**section)

    @classmethod
    def known(cls, section: Mapping) -> dict[str, Any]:
        """Return the entries of a config section that are options, not matters of the workflow."""
        names = {f.name for f in fields(cls)}
        return {key: value for key, value in section.items() if key in names}

    @property
    def resolved_tolerance(self) -> float:
        """The tolerance in force."""
        return DEFAULT_TOLERANCE[self.dtype] if self.tolerance is None else self.tolerance

    @property
    def n_workers(self) -> int:
        """Number of worker threads: one on a GPU, else as configured."""
        if self.torch_device.type == "cuda":
            return 1
        if self.workers:
            return self.workers
        return available_cores()

    @property
    def torch_device(self) -> torch.device:
        """The device in force.

        Raises
        ------
        DeviceError
            If CUDA is asked for and there is none.
        """
        return select_device(self.device, "engine.device")

    def resolved_method(self, problem: FokkerPlanckProblem) -> str:
        """Return the method that runs for a problem."""
        if self.method != "auto":
            return self.method
        return "exact" if problem.drift is None else "density_form"

    def n_block(self, problem: FokkerPlanckProblem) -> int:
        """Return how many images one worker advances together."""
        if self.block_images is not None:
            return self.block_images
        item = 8 if self.dtype == "float64" else 4
        fitting = _BLOCK_BYTES[self.torch_device.type] // (item * problem.height * problem.width)
        if self.resolved_method(problem) == "batched":
            fitting *= 2  # its hundred steps of small operations have an overhead each to share
        if self.resolved_method(problem) == "density_form":
            fitting = max(fitting, 64)  # factorisations are shared by the block
        return max(1, fitting)

    def identity(self, problem: FokkerPlanckProblem) -> dict[str, Any]:
        """Return the options that the numbers depend on (not workers, chunks or memory)."""
        method = self.resolved_method(problem)
        chosen = {"method": method, "storage": self.storage, "quantity": self.quantity}
        if method in ("exact", "batched"):
            chosen |= {"dtype": self.dtype, "device": self.torch_device.type}
        if method in ("batched", "solver"):
            chosen["tolerance"] = self.resolved_tolerance
        if method == "batched":
            chosen["max_picard"] = self.max_picard
        if method == "solver":
            chosen["solver"] = dict(self.solver)
        return chosen

    def make_engine(self, problem: FokkerPlanckProblem, steps, march: MarchOptions | None = None):
        """Return an object whose ``run(log_density)`` gives a `BlockResult` (one per thread)."""
        method = self.resolved_method(problem)
        if method == "density_form":
            return DensityForm(problem, steps)
        if method == "solver":
            march = MarchOptions(
                **{**asdict(march or MarchOptions()), "tolerance": self.resolved_tolerance}
            )
            return SolverMarch(
                problem, steps, self.solver["method"], self.solver.get("options"), march
            )
        common = {"dtype": getattr(torch, self.dtype), "device": self.torch_device}
        if method == "exact":
            return ExactTransform(problem, steps, **common)
        return BatchedMarch(
            problem,
            steps,
            self.resolved_tolerance,
            self.max_iterations,
            self.max_picard,
            (march or MarchOptions()).picard_tolerance,
            **common,
        )
