"""One choice of the device for everything that runs on one."""

import pytest
import torch

from crosskrylov.errors import ConfigError, DeviceError
from crosskrylov.runtime.device import select_device
from crosskrylov.scores.engine_options import EngineOptions
from crosskrylov.solvers.registry import make_solver

MISSING = r"is 'cuda' but torch .* finds no GPU; set it to 'auto' or 'cpu'"


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch):
    for available, kind in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert select_device("auto").type == kind
        assert select_device("cpu").type == "cpu"


def test_message_names_the_key_that_asked(without_gpu):
    with pytest.raises(DeviceError, match=rf"^training\.device {MISSING}"):
        select_device("cuda")
    with pytest.raises(DeviceError, match=rf"^engine\.device {MISSING}"):
        _ = EngineOptions(device="cuda").torch_device
    with pytest.raises(DeviceError, match=rf"^The solver option device {MISSING}"):
        make_solver("batched_bicgstab", {"device": "cuda"})
    with pytest.raises(ConfigError, match="'tpu'"):
        select_device("tpu")
