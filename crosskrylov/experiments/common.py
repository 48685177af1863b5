"""What the experiments share: objective, loop settings, the identity of a run and its end."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.base import Objective, Setting
from crosskrylov.learning.objectives.index import Model
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.learning.training.loop import TrainingOptions, TrainingResult
from crosskrylov.learning.unet import count_parameters
from crosskrylov.runtime.files import write_json, write_tsv

#: Streams of random numbers that belong to one run, derived from its seed so that none repeats.
_STREAMS = ("weights", "training", "noise", "sampling", "selection")


def stream_seed(seed: int, stream: str) -> int:
    """Return the seed of one random stream of a run.

    Parameters
    ----------
    seed : int
        Seed of the run.
    stream : {"weights", "training", "noise", "sampling", "selection"}
        What it is for.
    """
    entropy = np.random.SeedSequence([seed, _STREAMS.index(stream)])
    return int(entropy.generate_state(1)[0])


def make_objective(
    model: Model,
    experiment: str,
    images: np.ndarray,
    embedded: np.ndarray | None,
    training: Mapping,
    *,
    batch_size: int,
    times: Sequence[float],
    noise: float,
    final_time: float,
    visited: Sequence[int] | None = None,
) -> Objective:
    """Return what a model is trained on in an experiment; see `Setting`.

    Raises
    ------
    ConfigError
        If the model uses scores and there are no embedded images.
    """
    if not model.scores:
        embedded = None
    elif embedded is None:
        raise ConfigError(f"Model {model.name!r} needs embedded images; run embed_scores first.")
    return model.build(
        Setting(
            images=torch.as_tensor(images),
            times=torch.as_tensor(times),
            embedded=None if embedded is None else torch.as_tensor(embedded),
            levels=NoiseLevels.from_config(model.experiments[experiment], training),
            batch_size=batch_size,
            noise=noise,
            diffusion=training["diffusion"],
            final_time=final_time,
            scaled=model.scaled,
            visited=None if visited is None else torch.as_tensor(visited),
        )
    )


def loop_options(training: Mapping, **experiment) -> TrainingOptions:
    """Return the settings of the loop: those of all experiments, completed by ``experiment``."""
    shared = ("learning_rate", "ema_decay", "gradient_clip", "device", "mixed_precision")
    return TrainingOptions(**{key: training[key] for key in shared}, **experiment)


def run_fingerprint(settings: Mapping, *arrays: np.ndarray) -> str:
    """Return a digest of everything that determines a run: only an equal run may be resumed."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def finish_training(
    result: TrainingResult, curve_path: str | Path, summary_path: str | Path, state: str | Path
) -> None:
    """Write the curve as a table and the summary of a run as JSON; drop what it could resume from.

    Parameters
    ----------
    result : TrainingResult
        The finished run.
    curve_path, summary_path : path
        Files to write.
    state : path
        Folder in which the run kept its state.
    """
    import pandas as pd

    write_tsv(curve_path, pd.DataFrame(result.curve))
    device = next(result.network.parameters()).device
    write_json(
        summary_path,
        {
            "steps": result.steps,
            "train_seconds": result.train_seconds,
            "evaluation_seconds": result.evaluation_seconds,
            "stopped_by": result.stopped_by,
            "parameters": count_parameters(result.network),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
        },
    )
    shutil.rmtree(state, ignore_errors=True)
