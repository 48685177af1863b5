"""What the experiments share: settings of the loop, schedules, the identity of a run."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from crosskrylov.learning.training.loop import TrainingOptions, TrainingResult
from crosskrylov.learning.unet import count_parameters
from crosskrylov.runtime.files import write_json, write_tsv

#: Streams of random numbers that belong to one run, derived from its seed so that none repeats.
_STREAMS = ("weights", "training", "noise", "sampling")


def stream_seed(seed: int, stream: str) -> int:
    """Return the seed of one random stream of a run.

    Parameters
    ----------
    seed : int
        Seed of the run.
    stream : {"weights", "training", "noise", "sampling"}
        What it is for.
    """
    entropy = np.random.SeedSequence([seed, _STREAMS.index(stream)])
    return int(entropy.generate_state(1)[0])


def schedules(training: Mapping) -> dict[str, dict]:
    """Return the noise schedules ``ddpm_levels`` and ``score_levels`` of section ``training``."""
    count = training["noise_levels"]
    return {
        "ddpm_levels": {"kind": "linear", "levels": count},
        "score_levels": {
            "kind": "geometric",
            "levels": count,
            "sigma_min": training["sigma_min"],
            "sigma_max": training["sigma_max"],
        },
    }


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


def write_training(
    result: TrainingResult, curve_path: str | Path, summary_path: str | Path
) -> None:
    """Write the curve as a table and the summary of a run as JSON."""
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
