"""What drawing from a trained network needs beside its weights; kept in its checkpoint."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from crosskrylov.errors import ConfigError, DataError
from crosskrylov.learning.sampling.registry import sampler_choice
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.runtime.files import printable, read_json

#: File of a checkpoint folder.
DRAWING = "drawing.json"


@dataclass(frozen=True)
class Drawing:
    """How images are drawn from a network; with the network's own config.json, everything.

    Attributes
    ----------
    model : str
        What it was trained on; see `crosskrylov.learning.objectives.index`.
    schedule : {"linear", "geometric"} or None
        Noise schedule; None: trained at a single noise level, no images can be drawn from noise.
    noise_levels : int or None
        Number of levels of the schedule.
    sigma_min, sigma_max : float or None
        Noise of the first and the last level, for images in ``data_range``, dimensionless.
    data_range : tuple of float
        Intensities that black and white have for the network.
    sampler : str or mapping
        Recommended sampler, as in a configuration.
    function_evaluations : int or None
        Network evaluations per image recommended with it.
    """

    model: str
    schedule: str | None
    noise_levels: int | None
    sigma_min: float | None
    sigma_max: float | None
    data_range: tuple[float, float]
    sampler: str | Mapping[str, Any] | None
    function_evaluations: int | None

    @classmethod
    def of_training(
        cls, model: str, kind: str | None, training: Mapping, experiment: Mapping
    ) -> "Drawing":
        """Return what a training leaves for drawing.

        Parameters
        ----------
        model : str
            Name of the model.
        kind : {"linear", "geometric"} or None
            The schedule that it declares for the experiment.
        training, experiment : mapping
            Config section, and the part of it that may say ``sampler`` and
            ``function_evaluations``.
        """
        levels = NoiseLevels.from_config(kind, training)
        ends = (None, None) if levels is None else map(float, levels.sigmas[[0, -1]])
        return cls(
            model,
            kind,
            None if levels is None else len(levels),
            *ends,
            # without a schedule the networks see intensities as they are
            data_range=(0.0, 1.0) if levels is None else (-1.0, 1.0),
            sampler=experiment.get("sampler"),
            function_evaluations=experiment.get("function_evaluations"),
        )

    def levels(self) -> NoiseLevels:
        """Return the noise levels.

        Raises
        ------
        ConfigError
            If there are none, or if this version's schedule of that name is another one.
        """
        if self.schedule is None:
            raise ConfigError(
                f"The network is model {self.model!r}, trained at a single noise level: it "
                "denoises, but cannot draw images from noise."
            )
        ends = {"sigma_min": self.sigma_min, "sigma_max": self.sigma_max}
        levels = NoiseLevels.from_config(self.schedule, {"noise_levels": self.noise_levels, **ends})
        if not np.allclose(levels.sigmas[[0, -1]], list(ends.values()), rtol=1e-6, atol=0):
            raise ConfigError(
                f"The network was trained on a {self.schedule} schedule of noise "
                f"{self.sigma_min:.6g} to {self.sigma_max:.6g}, which in this version runs from "
                f"{levels.sigmas[0]:.6g} to {levels.sigmas[-1]:.6g}: use the version that trained "
                "it."
            )
        return levels

    def as_json(self) -> dict[str, Any]:
        """Return the values as JSON has them."""
        return {**asdict(self), "data_range": list(self.data_range)}


def read_drawing(folder: str | Path) -> Drawing | None:
    """Return what a checkpoint folder says about drawing; None for one that does not.

    Raises
    ------
    DataError
        If the file is no description of this kind.
    """
    path = Path(folder) / DRAWING
    return drawing_from(read_json(path), path) if path.is_file() else None


def drawing_from(said: Any, path: str | Path) -> Drawing:
    """Return the description that a JSON value is; ``path`` names the file in errors.

    Raises
    ------
    DataError
        If an entry is missing, unknown or impossible.
    """
    names = [field.name for field in fields(Drawing)]
    if not isinstance(said, dict) or sorted(said) != sorted(names):
        raise DataError(
            f"{printable(path)} has to say exactly {', '.join(names)}: train the model again."
        )
    try:
        drawing = Drawing(**{**said, "data_range": tuple(map(float, said["data_range"]))})
        if drawing.schedule is not None:
            if not 2 <= int(drawing.noise_levels) <= 1_000_000:
                raise ValueError(f"noise_levels is {drawing.noise_levels}")
            drawing.levels()
        if drawing.sampler is not None:
            sampler_choice(drawing.sampler)
    except (ConfigError, TypeError, ValueError) as error:
        raise DataError(
            f"{printable(path)} does not say how to draw from the network ({error})."
        ) from None
    return drawing
