"""What a budget run draws and is judged by, on a network that is too small to learn anything."""

import numpy as np
import pytest
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.experiments.budget import model_levels, sample_budget
from crosskrylov.experiments.common import run_fingerprint, stream_seed
from crosskrylov.learning.unet import build_unet
from crosskrylov.planning.config import load_config
from tests.conftest import PROJECT, TOY


@pytest.fixture(scope="module")
def config():
    return load_config(PROJECT / "config.yaml", TOY)


@pytest.fixture(scope="module")
def network(config):
    return build_unet(config["unet"], 8, 1, seed=0).eval()


def drawn(network, config, seed, model="dsm", **options):
    torch.set_num_threads(1)
    return sample_budget(network, model, (1, 8, 8), config["training"], seed, **options)


def test_samples_depend_on_the_seed_alone(network, config):
    first, again = drawn(network, config, 7), drawn(network, config, 7)
    assert first.images.shape == (config["training"]["budget"]["n_samples"], 1, 8, 8)
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, drawn(network, config, 8).images)
    assert first.function_evaluations == config["training"]["budget"]["function_evaluations"]


def test_models_bring_their_own_schedule(config):
    ddpm, dsm = (model_levels(name, config["training"]) for name in ("ddpm", "dsm"))
    assert dsm.sigmas[-1] == pytest.approx(config["training"]["sigma_max"])
    assert ddpm.sigmas[-1] != pytest.approx(dsm.sigmas[-1])


def test_samplers_that_need_training_images_get_them(network, config):
    images = np.random.default_rng(3).random((6, 1, 8, 8), dtype=np.float32)
    options = {"sampler": "pds_reverse_sde", "function_evaluations": 4}
    assert drawn(network, config, 7, training_images=images, **options).images.isfinite().all()
    with pytest.raises(ConfigError, match="filters"):
        drawn(network, config, 7, **options)


def test_streams_of_a_run_differ_from_each_other_and_between_seeds():
    names = ("weights", "training", "noise", "sampling")
    assert len({stream_seed(seed, name) for seed in (1, 2) for name in names}) == 8


def test_fingerprint_tells_settings_and_data_apart():
    data = np.arange(4.0)
    one = run_fingerprint({"seed": 1}, data)
    assert one == run_fingerprint({"seed": 1}, data.copy())
    assert one != run_fingerprint({"seed": 2}, data)
    assert one != run_fingerprint({"seed": 1}, data + 1)
