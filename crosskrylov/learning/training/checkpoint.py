"""Checkpoints: a diffusers model folder plus everything that resuming needs; nothing is pickled.

Layout of a checkpoint folder::

    config.json, diffusion_pytorch_model.safetensors   averaged weights, for ``from_pretrained``
    training_state.safetensors                         raw weights, Adam moments, random state
    training_state.json                                step, clocks, curve, fingerprint
    drawing.json                                       what drawing needs beside the weights
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

import crosskrylov.runtime.torchvision_compat  # noqa: F401  (must come before diffusers)
from crosskrylov.errors import DataError
from crosskrylov.learning.training.averaging import averaged
from crosskrylov.learning.training.drawing import DRAWING, Drawing
from crosskrylov.runtime.files import atomic_folder, read_json

if TYPE_CHECKING:
    from diffusers.training_utils import EMAModel

STATE_TENSORS = "training_state.safetensors"
STATE_VALUES = "training_state.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
#: Entries of a diffusers config that say how it was written, not what the network is.
_PROVENANCE = ("_diffusers_version", "_class_name", "_name_or_path", "_use_default_values")


@dataclass
class Progress:
    """Where a run stands: restored exactly when it is resumed.

    Attributes
    ----------
    step : int
        Optimiser steps done.
    train_seconds : float
        Seconds spent in optimiser steps.
    evaluation_seconds : float
        Seconds spent in evaluations.
    next_evaluation : int
        Step of the next evaluation.
    marks_done : int
        Evaluations at fixed seconds that are done.
    loss_sum, loss_count : float, int
        Losses since the last row of the curve.
    curve : list of dict
        One row per evaluation.
    """

    step: int = 0
    train_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    next_evaluation: int = 0
    marks_done: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)


def save_checkpoint(
    folder: str | Path,
    network: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    average: "EMAModel",
    generator: torch.Generator,
    progress: Progress,
    fingerprint: str = "",
    drawing: Drawing | None = None,
) -> None:
    """Write a checkpoint folder, replacing an older one only when the new one is complete."""
    tensors = {"generator": generator.get_state()}
    for i, parameter in enumerate(network.parameters()):
        tensors[f"weight.{i}"] = parameter.detach().contiguous()
        tensors[f"average.{i}"] = average.shadow_params[i].contiguous()
    for i, state in optimiser.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"optimiser.{i}.{key}"] = value.contiguous()
    values = {
        **vars(progress),
        "average_updates": average.optimization_step,
        "fingerprint": fingerprint,
    }
    with atomic_folder(folder) as partial:
        with averaged(network, average):
            network.save_pretrained(partial)
        save_file(tensors, partial / STATE_TENSORS)
        (partial / STATE_VALUES).write_text(json.dumps(values, indent=1, allow_nan=False))
        if drawing is not None:
            (partial / DRAWING).write_text(json.dumps(drawing.as_json(), indent=1))


def load_training_state(
    folder: str | Path,
    network: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    average: "EMAModel",
    generator: torch.Generator,
) -> Progress:
    """Restore a run in place from a checkpoint folder.

    Raises
    ------
    DataError
        If the folder is incomplete or damaged, or holds another architecture.
    """
    folder = Path(folder)
    check_same_architecture(folder, network)
    values = read_json(folder / STATE_VALUES)
    tensors = _load_tensors(folder / STATE_TENSORS)
    parameters = list(network.parameters())
    moments: dict[int, dict[str, torch.Tensor]] = {}
    try:
        with torch.no_grad():
            for i, parameter in enumerate(parameters):
                parameter.copy_(tensors[f"weight.{i}"])
                average.shadow_params[i].copy_(tensors[f"average.{i}"])
        for name, value in tensors.items():
            if name.startswith("optimiser."):
                _, i, key = name.split(".")
                moments.setdefault(int(i), {})[key] = value
        average.optimization_step = values.pop("average_updates")
        generator.set_state(tensors["generator"])
        values.pop("fingerprint", None)
        progress = Progress(**values)
    except (KeyError, TypeError, RuntimeError) as error:
        raise DataError(
            f"{folder} is no complete checkpoint ({error}): delete it and train again."
        ) from error
    # Adam's moments follow the memory layout of their weights, which a file does not keep
    for i, state in moments.items():
        for key, value in state.items():
            if value.shape == parameters[i].shape:
                state[key] = torch.empty_like(parameters[i], requires_grad=False).copy_(value)
    saved = optimiser.state_dict()
    optimiser.load_state_dict({"state": moments, "param_groups": saved["param_groups"]})
    return progress


def read_fingerprint(folder: str | Path) -> str:
    """Return the fingerprint that the checkpoint was saved with."""
    return read_json(Path(folder) / STATE_VALUES).get("fingerprint", "")


def load_network(folder: str | Path, device: torch.device | str = "cpu"):
    """Return the averaged network of a checkpoint, ready for evaluation.

    Raises
    ------
    DataError
        If the folder is missing or is not a diffusers UNet2DModel folder.
    """
    from diffusers import UNet2DModel

    folder = Path(folder)
    if not (folder / "config.json").is_file() or not (folder / WEIGHTS).is_file():
        raise DataError(
            f"{folder} holds no trained network (config.json and {WEIGHTS} are needed); train the "
            "model first or correct the path."
        )
    try:
        network = UNet2DModel.from_pretrained(folder, use_safetensors=True, low_cpu_mem_usage=False)
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise DataError(
            f"{folder} cannot be read as a U-Net checkpoint ({error}); train the model again."
        ) from error
    return network.to(device, memory_format=torch.channels_last).eval()


def check_same_architecture(folder: str | Path, network: torch.nn.Module) -> None:
    """Raise unless the checkpoint in ``folder`` was made by a network like ``network``.

    Raises
    ------
    DataError
        Naming the first entry of the architecture that differs.
    """
    saved = read_json(Path(folder) / "config.json")
    for key, value in network.config.items():
        if key in _PROVENANCE:
            continue
        here = list(value) if isinstance(value, tuple) else value
        if saved.get(key, here) != here:
            raise DataError(
                f"The checkpoint {folder} belongs to another architecture: {key} is {saved[key]} "
                f"there and {here} here; delete it, or restore the config section unet."
            )


def _load_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{path} cannot be read ({error}): delete the checkpoint and train again."
        ) from error
