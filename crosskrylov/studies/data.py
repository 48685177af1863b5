"""What a study gets to work with, read when it is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crosskrylov.errors import ConfigError
from crosskrylov.runtime.files import load_npz, read_json, read_tsv
from crosskrylov.studies.needs import READERS

if TYPE_CHECKING:
    import pandas as pd

    from crosskrylov.scores.seeds import SeedAssignment
    from crosskrylov.studies.bank import SystemBank


@dataclass(frozen=True)
class StudyData:
    """Results of one image set and random seed, and the settings that a study declares to need.

    Attributes
    ----------
    paths : mapping
        File of each need; for "trajectories" and "reads" a list of files, named like the solver or
        table that they hold.
    settings : mapping
        Sections of the configuration by name; in a job per solver also ``solver``: its name, method
        and options.
    seed : int
        Random seed of the run.
    n_threads : int
        Threads of BLAS and torch in timed solves.
    """

    paths: Mapping[str, str | Path | Sequence] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    n_threads: int = 1

    @cached_property
    def images(self) -> np.ndarray:
        """Images, shape (N, C, H, W), in [0, 1]."""
        return load_npz(self._path("images"))["images"]

    @cached_property
    def log_density(self) -> np.ndarray:
        """Initial log-densities in nats, shape (N, H, W)."""
        return load_npz(self._path("log_density"))["log_density"]

    @cached_property
    def seeds(self) -> "SeedAssignment":
        """Seed images and the seed of every image."""
        path = self._path("seeds")
        return import_module(READERS["seeds"]).SeedAssignment.from_dict(read_json(path))

    @cached_property
    def bank(self) -> "SystemBank":
        """Converged systems of a few time steps."""
        path = self._path("bank")
        return import_module(READERS["bank"]).load_bank(path)

    @cached_property
    def exact(self) -> dict[str, np.ndarray]:
        """Exact solution: ``log_density`` (N, S, H, W), ``score``, ``steps`` (S,), ``times``."""
        return load_npz(self._path("exact"))

    @cached_property
    def trajectories(self) -> dict[str, np.ndarray]:
        """Log-densities (N, S, H, W) of every solver's march, by solver."""
        files = self._path("trajectories")
        return {Path(file).stem: load_npz(file)["log_density"] for file in files}

    @cached_property
    def embedded(self) -> np.ndarray:
        """Embedded images, shape (N, S, C, H, W), in [0, 1]."""
        return load_npz(self._path("embedded"))["embedded"]

    @property
    def baseline(self) -> str | None:
        """Name of the published baseline among the trajectories, None without one."""
        return self.settings.get("baseline")

    @property
    def equation(self) -> dict:
        """Section ``equation`` for these images."""
        return self._setting("equation")

    @property
    def march(self) -> dict:
        """Section ``march``."""
        return self._setting("march")

    @property
    def density(self) -> dict:
        """Section ``density``."""
        return self._setting("density")

    @property
    def solvers(self) -> dict:
        """Section ``solvers``: method and options by name."""
        return self._setting("solvers")

    @property
    def solver(self) -> dict:
        """Name, method and options of this job's solver, where the study has a job per solver."""
        return self._setting("solver")

    @property
    def random_seeds(self) -> list[int]:
        """All random seeds of the configuration, for a study that runs once."""
        return self._setting("random_seeds")

    @cached_property
    def reference(self) -> dict[str, np.ndarray] | None:
        """Arrays that the baseline's job kept; None in that job, or without a baseline."""
        path = self.paths.get("reference")
        return None if path is None else load_npz(path)

    def table(self, name: str) -> "pd.DataFrame | None":
        """Return a table of another study on the same images, None where that study is off."""
        found = [file for file in self.paths.get("reads", ()) if Path(file).stem == name]
        return read_tsv(found[0]) if found else None

    def _path(self, need: str) -> Any:
        return self._declared(self.paths, need)

    def _setting(self, need: str) -> Any:
        return self._declared(self.settings, need)

    @staticmethod
    def _declared(offered: Mapping, need: str) -> Any:
        if offered.get(need) is None:
            raise ConfigError(
                f"The study asks for data.{need}, which its declaration does not name: add "
                f"{need!r} to its needs."
            )
        return offered[need]
