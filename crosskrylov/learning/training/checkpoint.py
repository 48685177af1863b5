"""Checkpoints: a diffusers model folder plus everything that resuming needs; nothing is pickled.

Layout of a checkpoint folder::

    config.json, diffusion_pytorch_model.safetensors   averaged weights, for ``from_pretrained``
    training_state.safetensors                         raw weights, Adam moments, random state
    training_state.json                                step, clocks, curve, fingerprint
    drawing.json                                       what drawing needs beside the weights
"""

import inspect
import json
import math
from collections.abc import Mapping, Sequence
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
    values = _read_mapping(folder / STATE_VALUES)
    tensors = _load_tensors(folder / STATE_TENSORS)
    try:
        progress = _progress(values)
        updates = _count(values, "average_updates")
        moments = _moments(tensors, list(network.parameters()), progress.step)
        with torch.no_grad():
            for i, parameter in enumerate(network.parameters()):
                parameter.copy_(_like(parameter, tensors, f"weight.{i}"))
                average.shadow_params[i].copy_(_like(parameter, tensors, f"average.{i}"))
        generator.set_state(tensors["generator"])
    except KeyError as error:
        raise _incomplete(folder, f"{error} is missing") from error
    except (ValueError, TypeError, RuntimeError) as error:
        raise _incomplete(folder, error) from error
    average.optimization_step = updates
    saved = optimiser.state_dict()
    optimiser.load_state_dict({"state": moments, "param_groups": saved["param_groups"]})
    return progress


def _incomplete(folder: Path, reason: object) -> DataError:
    reason = " ".join(str(reason).split())
    return DataError(f"{folder} is no complete checkpoint ({reason}): delete it and train again.")


def _progress(values: Mapping[str, Any]) -> Progress:
    """Return the progress that a file holds; ValueError or KeyError for an impossible one."""
    curve = values["curve"]
    if not isinstance(curve, list) or not all(isinstance(row, dict) for row in curve):
        raise ValueError("curve is no list of rows")
    if not all(_is_number(value) for row in curve for value in row.values()):
        raise ValueError("curve holds what is no finite number")
    counts = ("step", "next_evaluation", "marks_done", "loss_count")
    seconds = {key: values[key] for key in ("train_seconds", "evaluation_seconds", "loss_sum")}
    for key, value in seconds.items():
        if not _is_number(value) or (value < 0 and key != "loss_sum"):
            raise ValueError(f"{key} is {value!r}")
    return Progress(curve=curve, **seconds, **{key: _count(values, key) for key in counts})


def _count(values: Mapping[str, Any], key: str) -> int:
    value = values[key]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError(f"{key} is {value!r}, which is no count")
    return value


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and math.isfinite(value)
    except (TypeError, OverflowError):
        return False


def _like(parameter: torch.Tensor, tensors: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
    """Return a tensor of exactly the shape and type of a weight: copying would broadcast."""
    value = tensors[name]
    if value.shape != parameter.shape or value.dtype != parameter.dtype:
        raise ValueError(
            f"{name} is {value.dtype} of shape {tuple(value.shape)}, the weight "
            f"{parameter.dtype} of shape {tuple(parameter.shape)}"
        )
    return value


def _moments(
    tensors: Mapping[str, torch.Tensor], parameters: Sequence[torch.Tensor], step: int
) -> dict[int, dict[str, torch.Tensor]]:
    """Return Adam's state by weight: complete for all of them once a step is done.

    The moments follow the memory layout of their weights, which a file does not keep.
    """
    names = {name for name in tensors if name.startswith("optimiser.")}
    moments = {}
    for i, parameter in enumerate(parameters if step else ()):
        count = tensors[f"optimiser.{i}.step"]
        if count.shape != () or count.dtype != torch.float32 or count.item() != step:
            raise ValueError(f"optimiser.{i}.step is not the step {step}")
        state = {"step": count}
        for key in ("exp_avg", "exp_avg_sq"):
            value = _like(parameter, tensors, f"optimiser.{i}.{key}")
            state[key] = torch.empty_like(parameter, requires_grad=False).copy_(value)
        moments[i] = state
        names -= {f"optimiser.{i}.{key}" for key in state}
    if names:
        raise ValueError(f"{min(names)} belongs to no weight")
    return moments


def read_fingerprint(folder: str | Path) -> str:
    """Return the fingerprint that the checkpoint was saved with."""
    return _read_mapping(Path(folder) / STATE_VALUES).get("fingerprint", "")


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
    said = _read_mapping(folder / "config.json")  # diffusers looks elsewhere for no mapping
    kind = UNet2DModel
    if said.get("_class_name") == "PreconditionedUNet":
        from crosskrylov.learning.preconditioned import PreconditionedUNet

        kind = PreconditionedUNet
    try:
        network = kind.from_pretrained(
            folder, use_safetensors=True, low_cpu_mem_usage=False, local_files_only=True
        )
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{folder} cannot be read as a U-Net checkpoint ({reason}); train the model again."
        ) from error
    return network.to(device, memory_format=torch.channels_last).eval()


def check_same_architecture(folder: str | Path, network: torch.nn.Module) -> None:
    """Raise unless the checkpoint in ``folder`` was made by a network like ``network``.

    Raises
    ------
    DataError
        Naming the first entry of the architecture that differs.
    """
    saved = _read_mapping(Path(folder) / "config.json")
    defaults = inspect.signature(type(network).__init__).parameters
    for key, value in network.config.items():
        if key in _PROVENANCE:
            continue
        here = list(value) if isinstance(value, tuple) else value
        # what a file leaves out has its default, as in `from_pretrained`
        there = saved.get(key, defaults[key].default if key in defaults else here)
        there = list(there) if isinstance(there, tuple) else there
        if there != here:
            raise DataError(
                f"The checkpoint {folder} belongs to another architecture: {key} is {there} there "
                f"and {here} here; delete it, or restore the config section unet."
            )


def _read_mapping(path: Path) -> dict[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict):
        raise DataError(
            f"{path} holds a {type(found).__name__} where a checkpoint has names and values: "
            "delete the checkpoint and train again."
        )
    return found


def _load_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{path} cannot be read ({error}): delete the checkpoint and train again."
        ) from error
