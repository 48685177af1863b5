"""Writing and loading a ready-made network: stored in half precision, computed in single."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file

import crosskrylov.runtime.torchvision_compat  # noqa: F401  (must come before diffusers)
from crosskrylov.errors import DataError
from crosskrylov.learning.ready_made.index import READY_MADE_FOLDER, provenance
from crosskrylov.learning.sampling.generate import Samples, draw_samples
from crosskrylov.learning.training.drawing import Drawing, drawing_from
from crosskrylov.runtime.files import atomic_path, file_sha256, write_json


@dataclass(frozen=True)
class ReadyMade:
    """A ready-made network, ready for evaluation.

    Attributes
    ----------
    network : Module
        diffusers' UNet2DModel in single precision.
    drawing : Drawing
        Its noise levels and recommended sampler.
    provenance : mapping
        What it was trained on and how, and what was measured of it.
    """

    network: torch.nn.Module
    drawing: Drawing
    provenance: Mapping[str, Any]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of the images that it draws."""
        side = self.network.config.sample_size
        return self.network.config.in_channels, side, side

    def draw(self, n_samples: int, seed: int = 0) -> Samples:
        """Return images in [0, 1], drawn as recommended; the same for the same seed."""
        return draw_samples(
            self.network,
            self.drawing.levels(),
            self.drawing.sampler,
            self.drawing.function_evaluations,
            n_samples,
            self.image_shape,
            seed,
        )


def load_ready_made(
    name: str, device: torch.device | str = "cpu", folder: Path = READY_MADE_FOLDER
) -> ReadyMade:
    """Return a ready-made network by name.

    Parameters
    ----------
    name : str
        One of `crosskrylov.learning.ready_made.index.ready_made_names`.
    device : device
        Where it computes.
    folder : path
        Where the networks lie.

    Raises
    ------
    ConfigError
        If there is none of that name.
    DataError
        If its file is missing, or not the one that was measured.
    """
    from diffusers import UNet2DModel

    said = provenance(name, folder)
    path = Path(folder) / f"{name}.safetensors"
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != said["sha256"]:
            raise ValueError("its SHA-256 is not the one in its description")
        weights = {key: value.float() for key, value in load(content).items()}
        network = UNet2DModel.from_config(dict(said["network"]))
        network.load_state_dict(weights)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise DataError(
            f"The ready-made network {name!r} cannot be used ({_one_line(error)}): install "
            "crosskrylov again."
        ) from None
    drawing = drawing_from(said.get("drawing"), path.with_suffix(".json"))
    network = network.to(device, memory_format=torch.channels_last).eval()
    return ReadyMade(network, drawing, said)


def _one_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def write_ready_made(
    folder: str | Path, name: str, network: torch.nn.Module, said: Mapping[str, Any]
) -> None:
    """Write NAME.safetensors, in half precision, and NAME.json, ``said`` with the file's digest.

    Raises
    ------
    DataError
        If a weight is too large for half precision.
    """
    weights = {key: value.half().contiguous() for key, value in network.state_dict().items()}
    for key, value in weights.items():
        if not value.isfinite().all():
            raise DataError(f"Weight {key} of {name} cannot be stored in half precision.")
    path = Path(folder) / f"{name}.safetensors"
    with atomic_path(path) as partial:
        save_file(weights, partial)
    config = {k: v for k, v in network.config.items() if not k.startswith("_")}
    write_json(
        path.with_suffix(".json"),
        {"name": name, **said, "network": config, "sha256": file_sha256(path)},
    )
