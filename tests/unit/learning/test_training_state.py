"""A training state that somebody changed is refused in one sentence; it never trains on quietly."""

import json
import shutil
import subprocess

import pytest
import torch
from safetensors.torch import load_file, save_file

from crosskrylov.errors import DataError
from crosskrylov.learning.objectives.levels import LevelObjective
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.learning.training.checkpoint import load_network
from crosskrylov.learning.training.loop import TrainingOptions, train
from crosskrylov.learning.unet import build_unet

TINY = {"channels": [8], "layers_per_block": 1, "attention_resolution": 0, "norm_groups": 4}


def run(folder, steps):
    return train(
        build_unet(TINY, 8, 1, 3),
        LevelObjective(torch.zeros(2, 1, 8, 8), NoiseLevels.linear(10), batch_size=2),
        TrainingOptions(budget_seconds=1000, max_steps=steps, first_evaluation=1, device="cpu"),
        7,
        lambda _: {"ssim": 0.5},
        checkpoint=folder,
        resume_from=folder,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("state") / "trained"
    run(folder, 2)
    return folder


@pytest.fixture
def state(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "state")


def one_sentence(folder, words):
    with pytest.raises(DataError, match=words) as caught:
        run(folder, 3)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_the_state_itself_is_continued(state):
    assert run(state, 3).steps == 3


@pytest.mark.parametrize("name", ["training_state.json", "config.json"])
@pytest.mark.parametrize("text", ["[1, 2]", "null", '"text"', "[" * 100_000, "{", ""])
def test_files_that_hold_no_mapping(state, name, text):
    (state / name).write_text(text)
    one_sentence(state, name)


def test_an_empty_config_is_another_architecture(state):
    (state / "config.json").write_text("{}")
    one_sentence(state, "another architecture")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("step", -5),
        ("step", 1.5),
        ("step", True),
        ("step", 10**30),
        ("step", 1),  # Adam says 2
        ("step", 0),
        ("curve", None),
        ("curve", [None]),
        ("curve", [{"ssim": "high"}]),
        ("train_seconds", float("nan")),
        ("train_seconds", -1.0),
        ("train_seconds", "7"),
        ("evaluation_seconds", float("inf")),
        ("loss_sum", None),
        ("loss_count", []),
        ("marks_done", -1),
        ("next_evaluation", {}),
        ("average_updates", "many"),
    ],
)
def test_impossible_values(state, key, value):
    values = json.loads((state / "training_state.json").read_text())
    (state / "training_state.json").write_text(json.dumps({**values, key: value}))
    one_sentence(state, "no complete checkpoint")


@pytest.mark.parametrize("key", ["step", "curve", "average_updates", "loss_sum"])
def test_missing_values(state, key):
    values = json.loads((state / "training_state.json").read_text())
    del values[key]
    (state / "training_state.json").write_text(json.dumps(values))
    one_sentence(state, f"{key}.* is missing")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight.0", torch.zeros(1)),  # would be broadcast
        ("weight.0", None),
        ("weight.1", torch.zeros(8, dtype=torch.float64)),
        ("average.0", torch.zeros(())),
        ("average.1", None),
        ("optimiser.0.exp_avg", None),
        ("optimiser.0.exp_avg", torch.zeros(2, 2)),
        ("optimiser.0.exp_avg_sq", torch.zeros(1)),
        ("optimiser.0.step", torch.zeros(3)),
        ("optimiser.x", torch.zeros(1)),
        ("optimiser.first.exp_avg", torch.zeros(1)),
        ("optimiser.9999.exp_avg", torch.zeros(1)),
        ("optimiser.0.momentum", torch.zeros(1)),
        ("generator", torch.zeros(3)),
        ("generator", torch.zeros(5056, dtype=torch.uint8)),
        ("generator", None),
    ],
)
def test_tensors_that_do_not_fit(state, name, value):
    tensors = {**load_file(state / "training_state.safetensors"), name: value}
    kept = {key: tensor for key, tensor in tensors.items() if tensor is not None}
    save_file(kept, state / "training_state.safetensors")
    one_sentence(state, "no complete checkpoint")


@pytest.mark.parametrize(
    "text", ["[]", "null", "{", '{"block_out_channels": "many"}', '{"sample_size": []}', "{}"]
)
def test_a_network_with_a_bad_config_is_refused_without_the_network(state, text, monkeypatch):
    import socket

    def refused(*_, **__):
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    (state / "config.json").write_text(text)
    with pytest.raises(DataError) as caught:
        load_network(state)
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_the_state_that_was_there(trained, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    size = sum(file.stat().st_size for file in trained.iterdir()) // 1024 * 3 // 2
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        state = shutil.copytree(trained, disk / "state")
        with pytest.raises(DataError, match=r"disk is full: .*state could not be written"):
            run(state, 3)
        assert [path.name for path in disk.iterdir()] == ["state"]
        assert json.loads((state / "training_state.json").read_text())["step"] == 2
        for file in trained.iterdir():
            assert (state / file.name).read_bytes() == file.read_bytes()
    finally:
        # lazily: tensors of the state that was read may still be mapped into memory
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
