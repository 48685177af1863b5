"""Training in bfloat16, as on a GPU, tried on the CPU: steps, checkpoints, resuming."""

import pytest
import torch
from safetensors.torch import load_file

from crosskrylov.learning.objectives.levels import LevelObjective
from crosskrylov.learning.objectives.mixture import mixture_noise
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.learning.training import loop
from crosskrylov.learning.training.checkpoint import STATE_TENSORS, load_network
from crosskrylov.learning.training.loop import TrainingOptions, train
from crosskrylov.learning.unet import build_unet

TINY = {"channels": [8, 8], "layers_per_block": 1, "attention_resolution": 4, "norm_groups": 4}
LEVELS = NoiseLevels.geometric(20)
IMAGES = torch.rand((3, 1, 8, 8), generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture(autouse=True)
def on_the_cpu_too(monkeypatch):
    monkeypatch.setattr(loop, "MIXED_PRECISION_DEVICES", ("cuda", "cpu"))


def run(folder, steps, dtype, mixed=True):
    seen = []

    class Watched(LevelObjective):
        def loss(self, network, generator):
            def watched(x, t):
                output = network(x, t)
                seen.append(output.sample.dtype)
                return output

            return super().loss(watched, generator)

    options = TrainingOptions(
        budget_seconds=1000,
        max_steps=steps,
        first_evaluation=0,
        device="cpu",
        mixed_precision=mixed,
    )
    result = train(
        build_unet(TINY, 8, 1, 3).to(dtype),
        Watched(IMAGES, LEVELS, batch_size=4, exact_target=True),
        options,
        7,
        checkpoint=folder,
        resume_from=folder,
    )
    return result, seen


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_resumed_run_has_the_weights_of_one_that_was_not_interrupted(tmp_path, dtype):
    run(tmp_path / "parts", 2, dtype)
    resumed, seen = run(tmp_path / "parts", 4, dtype)
    whole, _ = run(tmp_path / "whole", 4, dtype)
    assert set(seen) == {torch.bfloat16}  # the network did compute in it
    assert resumed.steps == whole.steps == 4
    for own, other in zip(resumed.network.parameters(), whole.network.parameters(), strict=True):
        assert own.dtype == dtype
        assert torch.equal(own, other)
    parts, at_once = (load_file(tmp_path / k / STATE_TENSORS) for k in ("parts", "whole"))
    assert parts.keys() == at_once.keys()
    assert all(torch.equal(parts[name], at_once[name]) for name in parts)
    assert parts["weight.0"].dtype == dtype
    # what is loaded for sampling are the averaged weights, in single precision
    loaded = load_network(tmp_path / "whole")
    for own, other in zip(loaded.parameters(), whole.network.parameters(), strict=True):
        assert own.dtype == torch.float32
        assert torch.equal(own, other.float())


def test_mixed_precision_takes_nearly_the_same_steps(tmp_path):
    """Bfloat16 has three digits: the same steps to that accuracy, and not the same bits."""
    single, _ = run(tmp_path / "single", 3, torch.float32, mixed=False)
    mixed, _ = run(tmp_path / "mixed", 3, torch.float32)
    weights = [
        torch.cat([p.detach().flatten() for p in r.network.parameters()]) for r in (single, mixed)
    ]
    assert not torch.equal(*weights)
    start = torch.cat([p.detach().flatten() for p in build_unet(TINY, 8, 1, 3).parameters()])
    assert (weights[0] - weights[1]).norm() < 0.5 * (weights[0] - start).norm()


def test_the_exact_target_stays_in_single_precision():
    """At small noise a bfloat16 product picks another image; the target has to be the same bits."""
    generator = torch.Generator().manual_seed(2)
    data = torch.rand((50, 1, 8, 8), generator=generator) * 2 - 1
    signal, noise = LEVELS.signal_and_noise(torch.full((8,), 2))
    x = signal * data[:8] + noise * torch.randn((8, 1, 8, 8), generator=generator)
    expected = mixture_noise(x, data, signal, noise)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = mixture_noise(x, data, signal, noise)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
