"""Samplers on networks: near the floor where nothing is wrong, repeatable, refused where unfit."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.index import model_entry
from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.studies.objective_sampling import (
    EXACT,
    INTERPOLANTS,
    Judge,
    interpolant_kappa,
    network_samplers,
    sampling_plan,
)

LEVELS = NoiseLevels.geometric(50, 0.02, 20.0)
IMAGES = torch.as_tensor(load_digits().images[:600, None] / 16).float()


def judge(images=IMAGES):
    return Judge(images, lambda x: x.flatten(1).numpy(), 1000, 5)


def entry(name):
    return model_entry(name, "study", "models")


def test_the_exact_model_comes_near_the_floor_and_nearer_with_evaluations():
    plan = sampling_plan([], ["ddim", "reverse_sde"], [50, 5], [0, 1], {})
    table = network_samplers(plan, {}, judge(), LEVELS)
    assert table.n_samples.unique().tolist() == [300]
    floor = table.frechet[table.family == "floor"].item()
    found = table[table.model == EXACT].set_index(["sampler", "function_evaluations"]).frechet
    for sampler in ("reverse_sde", "kappa 0", "kappa 1"):
        assert found[sampler, 50] < found[sampler, 5], sampler
    assert max(found["ddim", 50], found["reverse_sde", 50]) < 1.5 * floor
    # kappa 1 is reverse diffusion, and has no other noise
    assert found["kappa 1", 5] == pytest.approx(found["reverse_sde", 5], rel=1e-4)


def test_distances_are_repeated_bit_for_bit_and_those_of_nan_are_none():
    plan = sampling_plan([], ["ddim", "reverse_sde"], [5], [0.5], {})
    first, second = (network_samplers(plan, {}, judge(), LEVELS) for _ in range(2))
    pd.testing.assert_frame_equal(first, second, check_exact=True)

    class Broken(torch.nn.Module):
        weight = torch.nn.Parameter(torch.zeros(1))

        def parameters(self, recurse=True):
            return iter([self.weight])

        def forward(self, x, t):
            return ExactNetwork(IMAGES, LEVELS)(x * float("nan"), t)

    rows = list(judge().rows("broken", Broken(), LEVELS, plan))
    assert len(rows) == 3 and all(np.isnan(row["frechet"]) for row in rows)


def test_a_sampler_has_a_row_only_where_it_has_enough_evaluations():
    plan = sampling_plan([], ["edict"], [3, 5], [1], {})
    counts = {choice.label: plan.counts(choice) for choice in plan.samplers}
    assert counts == {"edict": [5], "kappa 1": [3, 5]}


@pytest.mark.parametrize(
    ("models", "samplers", "evaluations", "sentence"),
    [
        (["dsm"], ["ddim"], [5], "sampled has 'dsm', which is not among the models"),
        (["pfgmpp"], ["reverse_sde"], [5], "sampled has 'pfgmpp': Sampler 'reverse_sde' does not"),
        (["distilled"], ["heun"], [5], "sampled has 'distilled': Sampler 'heun' does not fit"),
        (["diffuse_vae"], ["ddim"], [5], "'diffuse_vae', whose network needs a second image"),
        ([], ["ddim", "ddim"], [5], "sampled_with has 'ddim' twice"),
        ([], ["edict"], [3, 4], "at most 4, but sampler 'edict' needs 5"),
        ([], ["dim"], [5], "Sampler 'dim' is unknown"),
    ],
)
def test_what_cannot_be_sampled_is_said(models, samplers, evaluations, sentence):
    trained = {name: entry(name) for name in ("pfgmpp", "distilled", "diffuse_vae")}
    with pytest.raises(ConfigError, match=sentence):
        sampling_plan(models, samplers, evaluations, [], trained)


def test_the_best_kappa_is_that_of_the_smallest_distance():
    distances = {"poor": (3.0, 2.0, 1.0), "good": (1.0, 1.0, 2.0), EXACT: (0.5, 0.4, 0.6)}
    samplers = pd.DataFrame(
        [
            {"model": model, "family": INTERPOLANTS, "kappa": kappa, "frechet": value}
            | {"function_evaluations": 20}
            for model, values in distances.items()
            for kappa, value in zip((0.0, 1.0, 2.0), values, strict=True)
        ]
        + [{"model": "good", "family": "others", "frechet": 0.1, "function_evaluations": 20}]
    )
    scores = [
        {"model": model, "error": error}
        for model, errors in {"poor": (3.0, 4.0), "good": (1.0, 1.0)}.items()
        for error in errors
    ]
    found = interpolant_kappa(samplers, scores).set_index("model")
    assert found.best_kappa.to_dict() == {"poor": 2.0, "good": 0.0, EXACT: 1.0}
    assert found.score_factor["poor"] == 2.5 and found.frechet["poor"] == 1.0
    assert found.frechet_flow["poor"] == 3.0
    assert found.error_rank.to_dict() == {"poor": "most", "good": "least", EXACT: EXACT}
    assert (
        found.score_error["poor"] == pytest.approx(np.sqrt(12.5)) and not found.score_error[EXACT]
    )
