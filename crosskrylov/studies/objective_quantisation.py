"""Networks of the study of objectives, quantised after training: samples and predicted noise."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.base import noise_predictor
from crosskrylov.learning.quantised import quantised
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.metrics.score_diagnostics import noised

if TYPE_CHECKING:
    from crosskrylov.studies.training_objectives import Trained, Trainings

KEY = "studies.training_objectives.quantised"
#: Bits of what is not quantised.
FULL = 32
#: Offsets of the random streams that calibration inputs are sampled from and chosen by.
_CALIBRATION, _CHOICE = 3000, 3001
_COLUMNS = (
    *("model", "weight_bits", "activation_bits", "calibration", "sampler"),
    *("function_evaluations", "group", "error", "full_error", "noise_change"),
)


def check_quantised(entries: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> None:
    """Raise a `ConfigError` for a network that is not trained."""
    for entry in entries:
        if entry["model"] not in labels:
            raise ConfigError(
                f"{KEY} names {entry['model']!r}, which is not trained: add it to "
                f"studies.training_objectives.models or name one of {', '.join(labels)}."
            )


def quantised_table(trainings: "Trainings", entries: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a row per entry, and one before those of each network for its full precision.

    Samples start from the same noise and are drawn with the first sampler that fits.

    Parameters
    ----------
    trainings : Trainings
        With the networks that entries name in ``done``.
    entries : sequence of mapping
        ``model``; ``weight_bits`` and ``activation_bits``, None or left out for full precision;
        ``calibration``, see `chosen_inputs`.
    """
    rows = []
    for label in dict.fromkeys(entry["model"] for entry in entries):
        own = [entry for entry in entries if entry["model"] == label]
        rows += _rows(trainings, trainings.done[label], own)
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _rows(trainings: "Trainings", run: "Trained", entries: Sequence[Mapping]) -> list[dict]:
    sampler, evaluations = trainings.final(run)
    rows, full, exact, calls = [], None, None, None
    for entry in ({}, *entries):
        bits = [entry.get(f"{name}_bits") for name in ("weight", "activation")]
        calibration, inputs = "", ()
        if bits[1] is not None:
            calibration = entry.get("calibration", "every")
            if calls is None:  # the same sampling run for every entry
                calls = _calls(trainings, run, sampler, evaluations)
            inputs = chosen_inputs(calls, calibration, trainings.seed + _CHOICE)
        with run.network() as trained:
            network = quantised(trained, *bits, inputs)
        noise = _predicted(trainings, run, network)
        error = trainings.frechet(run, sampler, evaluations, network)
        if exact is None:
            full, exact = error, noise
        values = (*[FULL if each is None else each for each in bits], calibration, sampler)
        change = float((noise - exact).square().mean().sqrt())
        row = (run.choice.label, *values, evaluations, 0, error, full, change)
        rows.append(dict(zip(_COLUMNS, row)))
    return rows


def _calls(trainings: "Trainings", run: "Trained", sampler: str, evaluations: int) -> list[tuple]:
    """Return the arguments of every call of a trained network in sampling, in turn."""
    calls = []
    with run.network() as trained:
        network = quantised(trained)
    network.register_forward_pre_hook(lambda _, given: calls.append(given))
    trainings.samples(run, sampler, evaluations, network, _CALIBRATION)
    return calls


def chosen_inputs(calls: Sequence[tuple], calibration: str, seed: int) -> tuple[torch.Tensor, ...]:
    """Return as many inputs of a network as one of its calls had, in one batch.

    Parameters
    ----------
    calls : sequence of tuple of tensor
        Arguments (n, ...) of the calls of a sampling run, from noise to image.
    calibration : {"every", "first", "last"}
        Inputs of all calls, drawn uniformly, or those of one call.
    seed : int
        Of the uniform choice.
    """
    if calibration != "every":
        return calls[{"first": 0, "last": -1}[calibration]]
    generator = torch.Generator().manual_seed(seed)
    joined = [torch.cat(parts) for parts in zip(*calls)]
    index = torch.randperm(len(joined[0]), generator=generator)[: len(calls[0][0])]
    return tuple(part[index] for part in joined)


def _predicted(trainings: "Trainings", run: "Trained", network: torch.nn.Module) -> torch.Tensor:
    """Return the noise that a network predicts in the noised images of the study's levels."""
    settings, data = trainings.settings, trainings.images * 2 - 1
    generator = torch.Generator().manual_seed(trainings.seed + _CALIBRATION)
    predictor = noise_predictor(run.objective, network, settings["n_states"], generator)
    model = NoiseModel(predictor, run.objective.levels, clip=False)
    states = {s: noised(data, s, settings["n_states"], generator) for s in settings["sigmas"]}
    return torch.stack([model.at_sigma(y, sigma) for sigma, y in states.items()])
