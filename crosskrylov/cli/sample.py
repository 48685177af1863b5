"""The subcommand ``sample``: images drawn from a trained network, yours or a ready-made one."""

import argparse
import math
from pathlib import Path

import numpy as np
from PIL import Image

from crosskrylov.errors import ConfigError, DataError
from crosskrylov.learning.objectives.index import model_entry
from crosskrylov.learning.ready_made.index import provenance, ready_made_names
from crosskrylov.learning.ready_made.loading import load_ready_made
from crosskrylov.learning.sampling.generate import draw_samples
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.learning.training.checkpoint import load_network
from crosskrylov.learning.training.drawing import read_drawing
from crosskrylov.planning.config import read_schema
from crosskrylov.runtime.declared import nearest
from crosskrylov.runtime.device import select_device
from crosskrylov.runtime.files import atomic_path, printable, read_json

#: Small images are enlarged to this side, by a whole factor; pixels between the images.
_SHOWN_SIDE, _GAP = 64, 4


def sample(given: argparse.Namespace) -> int:
    """Draw images to the output file, or list what there is ready-made; return the exit status."""
    if given.list:
        return list_ready_made()
    if given.checkpoint is None or given.output is None:
        raise ConfigError(
            f"Name a ready-made network ({', '.join(ready_made_names())}) or a checkpoint folder, "
            "and the file to write: crosskrylov sample NAME -o grid.png."
        )
    if not 1 <= given.n_images <= 10_000:
        raise ConfigError(f"--n-images is {given.n_images}; it must be from 1 to 10,000.")
    if given.seed < 0:
        raise ConfigError(f"--seed is {given.seed}; it must be at least 0.")
    if given.evaluations is not None and given.evaluations < 1:
        raise ConfigError(f"--evaluations is {given.evaluations}; it must be at least 1.")
    network, drawing, levels, why = _found(given)
    budget = read_schema()["properties"]["training"]["properties"]["budget"]["properties"]
    evaluations = given.evaluations or (drawing and drawing.function_evaluations)
    side = network.config.sample_size
    drawn = draw_samples(
        network,
        levels,
        given.sampler or (drawing and drawing.sampler) or budget["sampler"]["default"],
        evaluations or budget["function_evaluations"]["default"],
        given.n_images,
        (network.config.in_channels, side, side),
        given.seed,
    )
    save_grid(drawn.images.numpy(), given.output)
    print(
        f"{given.n_images} images of {side} x {side} pixels, {why} of {len(levels)} levels up "
        f"to sigma {levels.sigmas[-1]:.4g}, {drawn.function_evaluations} network evaluations "
        f"each, {drawn.seconds:.1f} s: {printable(given.output)}"
    )
    return 0


def list_ready_made() -> int:
    """Print the ready-made networks with their data and licences; return the exit status."""
    for name in ready_made_names():
        said = provenance(name)
        print(f"{name}: {said['what']}")
        for part, licence in said["data"]["licences"].items():
            print(f"    {part}: {licence}")
    return 0


def _found(given: argparse.Namespace):
    """Return the network, what it says of drawing (or None), its levels, and where it is from."""
    overriding = ("model", "schedule", "noise_levels", "sigma_min", "sigma_max")
    device = select_device(given.device, "--device")
    folder = Path(given.checkpoint)
    drawing, network = None, None
    if not (folder / "config.json").is_file() and is_name(given.checkpoint):
        made = load_ready_made(given.checkpoint, device)
        network, drawing = made.network, made.drawing
    elif all(getattr(given, key) is None for key in overriding):
        drawing = read_drawing(folder)
    if drawing is not None and all(getattr(given, key) is None for key in overriding):
        levels = drawing.levels()
        network = load_network(folder, device) if network is None else network
        return network, drawing, levels, f"{drawing.schedule} schedule (as stored)"
    if network is not None:
        raise ConfigError(
            f"{given.checkpoint!r} is ready-made and knows its model and noise levels: leave "
            f"{', '.join('--' + key.replace('_', '-') for key in overriding)} out."
        )
    kind, why = schedule_kind(given)
    training = read_schema()["properties"]["training"]["properties"]
    section = {}
    for key in ("noise_levels", "sigma_min", "sigma_max"):
        asked = getattr(given, key)
        section[key] = training[key]["default"] if asked is None else asked
        if not section[key] > 0 or (key == "noise_levels" and section[key] < 10):
            raise ConfigError(f"--{key.replace('_', '-')} is {asked}; it is too small.")
    levels = NoiseLevels.from_config(kind, section)
    return load_network(folder, device), None, levels, f"{kind} schedule ({why})"


def is_name(text: str) -> bool:
    """Return whether a text can only be meant as the name of a ready-made network."""
    return text in ready_made_names() or nearest(text, ready_made_names()) is not None


def schedule_kind(given: argparse.Namespace) -> tuple[str, str]:
    """Return the noise schedule that a network was trained on, and who says so.

    Raises
    ------
    ConfigError
        If nobody does, or it was trained at a single noise level.
    DataError
        If the result beside the checkpoint cannot be read.
    """
    if given.schedule is not None:
        return given.schedule, "--schedule"
    if given.model is not None:
        return model_entry(given.model, "budget", "--model").experiments["budget"], "--model"
    result = Path(given.checkpoint).absolute().with_name("result.json")
    if not result.is_file():
        raise ConfigError(
            f"{printable(given.checkpoint)} does not say which noise schedule it was trained on, "
            "and there is no result.json beside it: give --model or --schedule, or the name of a "
            f"ready-made network ({', '.join(ready_made_names())})."
        )
    said = read_json(result)
    try:
        kind = model_entry(said["model"], said["experiment"], "its model").experiments[
            said["experiment"]
        ]
    except (KeyError, TypeError, ConfigError):
        raise DataError(
            f"{printable(result)} names no model and experiment of this version: give --model or "
            "--schedule."
        ) from None
    if kind is None:
        raise ConfigError(
            f"{printable(given.checkpoint)} is model {said['model']!r}, trained at a single noise "
            "level: it denoises, but cannot draw images from noise."
        )
    return kind, f"model {said['model']}"


def save_grid(images: np.ndarray, path: Path) -> None:
    """Write images [N, C, H, W] in [0, 1] as one PNG file, in rows of equal length."""
    n_images, n_channels, height, width = images.shape
    columns = math.ceil(math.sqrt(n_images))
    rows = math.ceil(n_images / columns)
    factor = max(1, _SHOWN_SIDE // max(height, width))
    height, width = height * factor, width * factor
    grid = np.full(
        (rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, n_channels), 128, np.uint8
    )
    for number, image in enumerate(images):
        top = _GAP + number // columns * (height + _GAP)
        left = _GAP + number % columns * (width + _GAP)
        pixels = np.rint(image * 255).astype(np.uint8).transpose(1, 2, 0)
        grid[top : top + height, left : left + width] = pixels.repeat(factor, 0).repeat(factor, 1)
    with atomic_path(path) as partial:
        Image.fromarray(grid.squeeze()).save(partial, format="PNG")
