import json
import shutil

import pytest
import torch

from crosskrylov.errors import ConfigError, DataError
from crosskrylov.learning.ready_made.index import READY_MADE_FOLDER, provenance, ready_made_names
from crosskrylov.learning.ready_made.loading import load_ready_made

NAMES = ready_made_names()


def test_there_are_some_and_together_they_are_small():
    assert "digits" in NAMES
    files = [
        file for file in READY_MADE_FOLDER.iterdir() if file.suffix in (".json", ".safetensors")
    ]
    assert {file.stem for file in files} == set(NAMES)
    assert sum(file.stat().st_size for file in files) <= 5_000_000


@pytest.mark.parametrize("name", NAMES)
def test_provenance_says_everything(name):
    said = provenance(name)
    assert said["name"] == name
    assert said["data"]["licences"] and said["data"]["image_set"]["source"]
    training = said["training"]
    assert len(training["commit"]) == 40 and training["steps"] > 0 and training["seconds"] > 0
    assert training["unet"] and training["training"]["budget"]["max_steps"] == training["steps"]
    assert said["quality"]["n_samples"] >= 100
    (measured,) = (v for k, v in said["quality"].items() if k.startswith("frechet_"))
    assert measured < 0.5 * said["quality"]["untrained"]


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_finite_and_the_same_for_a_seed(name):
    made = load_ready_made(name)
    assert next(made.network.parameters()).dtype == torch.float32
    first, again, other = (made.draw(2, seed).images for seed in (1, 1, 2))
    assert first.shape == (2, *made.image_shape)
    assert first.isfinite().all() and first.min() >= 0 and first.max() <= 1
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_network_knows_more_of_its_data_than_an_untrained_one():
    from diffusers import UNet2DModel

    from crosskrylov.datasets.loading import load_images
    from crosskrylov.metrics.score_error import score_matching_error

    made = load_ready_made("digits")
    torch.manual_seed(0)
    untrained = UNet2DModel.from_config(made.provenance["network"]).eval()
    images = torch.from_numpy(load_images("digits", 16, 200, color="grey", seed=1).images) * 2 - 1
    errors = [
        score_matching_error(net, images, made.drawing.levels(), [0.1, 0.5, 2.0, 10.0], n_draws=8)
        for net in (made.network, untrained)
    ]
    errors = [sum(row["error"] for row in rows) for rows in errors]
    assert errors[0] < 0.5 * errors[1]


def test_an_unknown_name_is_one_sentence():
    with pytest.raises(ConfigError, match=r"'digit' is no ready-made network \(did you mean"):
        load_ready_made("digit")


@pytest.mark.parametrize("damage", ["byte", "short", "gone", "schedule"])
def test_a_changed_file_is_refused_in_one_sentence(tmp_path, damage):
    for ending in ("json", "safetensors"):
        shutil.copy(READY_MADE_FOLDER / f"digits.{ending}", tmp_path)
    weights, said = tmp_path / "digits.safetensors", tmp_path / "digits.json"
    content = bytearray(weights.read_bytes())
    if damage == "byte":
        content[-5] ^= 1
        weights.write_bytes(content)
    elif damage == "short":
        weights.write_bytes(content[:1000])
    elif damage == "gone":
        weights.unlink()
    else:
        changed = json.loads(said.read_text())
        changed["drawing"]["sigma_max"] = 3.0
        said.write_text(json.dumps(changed))
    with pytest.raises(DataError) as caught:
        load_ready_made("digits", folder=tmp_path)
    message = str(caught.value)
    assert "\n" not in message and "digits" in message
