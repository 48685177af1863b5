import json
import math
import signal

import pytest
import torch
from safetensors.torch import load_file

from crosskrylov.errors import DataError, TrainingError
from crosskrylov.learning.objectives.levels import LevelObjective
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.learning.training.averaging import averaged, weight_average
from crosskrylov.learning.training.checkpoint import load_network
from crosskrylov.learning.training.loop import Goal, TrainingOptions, train
from crosskrylov.learning.unet import build_unet

TINY = {
    "channels": [8, 8],
    "layers_per_block": 1,
    "attention_resolution": 0,
    "norm_groups": 4,
}


def network(seed=3, **changes):
    return build_unet({**TINY, **changes}, 8, 1, seed)


def objective():
    images = torch.rand((4, 1, 8, 8), generator=torch.Generator().manual_seed(2)) * 2 - 1
    return LevelObjective(images, NoiseLevels.linear(50), batch_size=4)


def options(**changes):
    return TrainingOptions(
        **{"budget_seconds": 1000, "device": "cpu", "first_evaluation": 3, **changes}
    )


def constant(_):
    return {"ssim": 0.5}


def test_interrupted_and_resumed_is_bit_identical(tmp_path):
    """Weights, averages, Adam's moments, random stream and curve survive an interruption."""
    whole = train(
        network(), objective(), options(max_steps=9), 7, constant, checkpoint=tmp_path / "whole"
    )

    class Interrupted:
        calls = 0

        def __init__(self):
            self.inner = objective()

        def to(self, device):
            return self

        def loss(self, net, generator):
            self.calls += 1
            loss = self.inner.loss(net, generator)
            if self.calls == 7:  # in mid-step: numbers are drawn, weights not yet moved
                signal.raise_signal(signal.SIGINT)
            return loss

    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        train(network(), Interrupted(), options(), 7, constant, resume_from=state)
    resumed = train(
        network(seed=99),  # its weights must be replaced
        objective(),
        options(max_steps=9),
        7,
        constant,
        checkpoint=tmp_path / "resumed",
        resume_from=state,
    )
    assert resumed.steps == whole.steps == 9
    for name in ("training_state.safetensors", "diffusion_pytorch_model.safetensors"):
        a, b = load_file(tmp_path / "whole" / name), load_file(tmp_path / "resumed" / name)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a), name
    assert [r["step"] for r in whole.curve] == [r["step"] for r in resumed.curve]
    assert [r["loss"] for r in whole.curve] == [r["loss"] for r in resumed.curve]


def test_a_second_ctrl_c_ends_at_once_and_the_handlers_are_given_back(tmp_path):
    def impatient(_):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("not reached")

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        train(network(), objective(), options(), 7, impatient, resume_from=tmp_path / "state")
    assert not (tmp_path / "state").exists()  # nothing is saved in mid-step
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_state_of_other_settings_is_left_behind(tmp_path):
    state = tmp_path / "state"

    def interrupt(_):
        signal.raise_signal(signal.SIGINT)
        return {}

    with pytest.raises(KeyboardInterrupt):
        train(network(), objective(), options(), 7, interrupt, resume_from=state, fingerprint="a")
    result = train(
        network(), objective(), options(max_steps=1), 7, resume_from=state, fingerprint="b"
    )
    assert result.steps == 1


def test_checkpoint_is_a_diffusers_folder_with_the_averaged_weights(tmp_path):
    from diffusers import UNet2DModel

    result = train(network(), objective(), options(max_steps=3), 1, checkpoint=tmp_path / "c")
    loaded = UNet2DModel.from_pretrained(tmp_path / "c")
    x, t = torch.ones(1, 1, 8, 8), torch.tensor([10.0])
    with torch.no_grad():
        torch.testing.assert_close(loaded(x, t).sample, result.network(x, t).sample)
        torch.testing.assert_close(load_network(tmp_path / "c")(x, t).sample, loaded(x, t).sample)
    assert sorted(p.suffix for p in (tmp_path / "c").iterdir()) == [
        ".json",
        ".json",
        ".safetensors",
        ".safetensors",
    ]


def test_training_stops_at_the_largest_target():
    values = iter([0.2, 0.85, 0.97, 1.0])
    result = train(
        network(),
        objective(),
        options(
            goals=(Goal("ssim", 0.8), Goal("ssim", 0.95)),
            first_evaluation=1,
            evaluation_growth=1.01,
        ),
        0,
        lambda _: {"ssim": next(values)},
    )
    assert result.stopped_by == "target"
    assert [row["ssim"] for row in result.curve] == [0.2, 0.85, 0.97]
    assert [row["step"] for row in result.curve] == [1, 2, 3]


def stopped(curve, *goals, max_steps=9):
    """Train with goals (metric, value, max_steps) along a made curve of two metrics."""
    values = iter(curve)
    result = train(
        network(),
        objective(),
        options(
            goals=tuple(Goal(*goal) for goal in goals),
            first_evaluation=1,
            evaluation_growth=1.01,
            max_steps=max_steps,
        ),
        0,
        lambda _: dict(zip(("ssim_global", "ssim"), next(values), strict=True)),
    )
    return result.stopped_by, result.steps


@pytest.mark.parametrize(
    ("curve", "goals", "end"),
    [
        # each metric has to get there, not at the same time
        (
            [(0.9, 0.1), (0.2, 0.2), (0.3, 0.9)],
            [("ssim_global", 0.9), ("ssim", 0.9)],
            ("target", 3),
        ),
        # all that is open is given up
        ([(0.1, 0.1)] * 3, [("ssim_global", 0.9, 1), ("ssim", 0.9, 3)], ("bound", 3)),
        ([(0.9, 0.1)] * 2, [("ssim_global", 0.9, 4), ("ssim", 0.9, 2)], ("bound", 2)),
        # reached at the bound itself
        ([(0.1, 0.1), (0.9, 0.1)], [("ssim_global", 0.9, 2)], ("target", 2)),
        # one without a bound goes on to the end
        ([(0.1, 0.1)] * 5, [("ssim_global", 0.9, 1), ("ssim", 0.9, None)], ("max_steps", 5)),
    ],
)
def test_training_stops_when_every_goal_is_reached_or_given_up(curve, goals, end):
    assert stopped(curve, *goals, max_steps=5) == end


def test_budget_counts_training_but_not_evaluation(monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr(
        "crosskrylov.learning.training.loop.time.perf_counter", lambda: float(next(clock))
    )
    result = train(
        network(), objective(), options(budget_seconds=5, first_evaluation=2), 0, constant
    )
    assert result.stopped_by == "budget"
    assert result.steps == 5 and result.train_seconds == 5  # the fake clock: a second per step
    assert result.evaluation_seconds == len(result.curve)
    last = result.curve[-1]
    assert last["seconds_with_evaluation"] == last["train_seconds"] + result.evaluation_seconds


def test_evaluation_at_seconds_happens_once_per_mark(monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr(
        "crosskrylov.learning.training.loop.time.perf_counter", lambda: float(next(clock))
    )
    result = train(
        network(),
        objective(),
        options(budget_seconds=8, first_evaluation=0, evaluation_seconds=(2.0, 4.0, 8.0)),
        0,
        constant,
    )
    assert [row["step"] for row in result.curve] == [2, 4, 8]


def test_evaluation_does_not_change_training():
    def draws(net):
        torch.rand(3)
        return {"ssim": float(net(torch.ones(1, 1, 8, 8), torch.ones(1)).sample.mean())}

    often = train(network(), objective(), options(max_steps=4, first_evaluation=1), 5, draws)
    never = train(network(), objective(), options(max_steps=4, first_evaluation=0), 5)
    for a, b in zip(often.network.parameters(), never.network.parameters()):
        assert torch.equal(a, b)


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_divergence_stops_with_a_sentence_and_keeps_the_last_good_state(tmp_path, where):
    class Diverging:
        step = 0

        def to(self, device):
            return self

        def loss(self, net, generator):
            self.step += 1
            loss = objective().loss(net, generator)
            if self.step == 5:  # the first call is the warm-up
                bad = math.nan if where == "loss" else 0.0
                parameter = next(net.parameters()).sum()
                # the square root has an infinite derivative at 0
                return loss * bad if where == "loss" else loss + ((parameter * 0) ** 0.5)
            return loss

    state = tmp_path / "state"
    with pytest.raises(TrainingError, match=r"diverged at step 4.*training\.learning_rate"):
        train(network(), Diverging(), options(checkpoint_seconds=0.0), 0, resume_from=state)
    assert json.loads((state / "training_state.json").read_text())["step"] == 3
    assert all(torch.isfinite(p).all() for p in load_network(state).parameters())


def test_checkpoint_of_another_architecture_is_refused(tmp_path):
    state = tmp_path / "state"
    train(network(), objective(), options(max_steps=1), 0, checkpoint=state)
    with pytest.raises(DataError, match=r"another architecture.*block_out_channels"):
        train(network(channels=[8, 16]), objective(), options(), 0, resume_from=state)


def test_damaged_and_missing_checkpoints_are_named(tmp_path):
    with pytest.raises(DataError, match="no trained network"):
        load_network(tmp_path)
    folder = tmp_path / "c"
    train(network(), objective(), options(max_steps=1), 0, checkpoint=folder)
    weights = folder / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(DataError, match="train the model again"):
        load_network(folder)
    state = folder / "training_state.safetensors"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(DataError, match=r"training_state.safetensors cannot be read"):
        train(network(), objective(), options(), 0, resume_from=folder)


def test_weights_are_averaged_with_a_warm_up_from_the_first_step():
    net = torch.nn.Linear(3, 2)
    average = weight_average(net, 0.6)
    expected = [p.detach().clone() for p in net.parameters()]
    for k in range(1, 30):
        with torch.no_grad():
            for p in net.parameters():
                p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(k)))
        average.step(net.parameters())
        decay = min(0.6, (1 + k) / (10 + k))
        expected = [decay * e + (1 - decay) * p for e, p in zip(expected, net.parameters())]
        for found, wanted in zip(average.shadow_params, expected):
            torch.testing.assert_close(found, wanted)
    trained = [p.detach().clone() for p in net.parameters()]
    with averaged(net, average):
        assert all(torch.equal(p, a) for p, a in zip(net.parameters(), average.shadow_params))
    assert all(torch.equal(p, t) for p, t in zip(net.parameters(), trained))
