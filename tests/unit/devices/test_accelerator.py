"""Nothing stays on the CPU: training, samplers, engines on a pretended accelerator (no GPU)."""

import numpy as np
import pytest
import torch

from crosskrylov.equation.density import initial_log_density
from crosskrylov.equation.problem import problem_from_config
from crosskrylov.learning.dense import DenseNetwork
from crosskrylov.learning.objectives.base import Setting
from crosskrylov.learning.objectives.index import registered_models
from crosskrylov.learning.sampling.denoise import denoise_from_level, denoise_published
from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.sampling.generate import draw_samples
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.pds import preconditioner_from_images
from crosskrylov.learning.sampling.registry import declared_samplers, sampler_options
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.learning.training import loop
from crosskrylov.learning.training.loop import TrainingOptions, train
from crosskrylov.learning.unet import build_unet
from crosskrylov.metrics.score_diagnostics import diagnose, probes_for
from crosskrylov.metrics.score_error import score_matching_error
from crosskrylov.scores.engines.batched_march import BatchedMarch
from crosskrylov.scores.engines.exact_transform import ExactTransform
from crosskrylov.scores.march import march
from crosskrylov.scores.on_the_fly import ExactScores
from crosskrylov.solvers.registry import make_solver
from tests.unit.devices.accelerator import DeviceMixError, OnAccelerator, accelerator

TINY = {"channels": [8, 8], "layers_per_block": 1, "attention_resolution": 4, "norm_groups": 4}
TRAINING = {
    **{"noise_levels": 20, "sigma_min": 0.02, "sigma_max": 20.0},
    "single_image": {"start_noise": 0.506},
}
IMAGES = torch.rand((3, 1, 8, 8), generator=torch.Generator().manual_seed(1))
CASES = [
    (name, experiment)
    for name, model in sorted(registered_models().items())
    for experiment in model.experiments
    # second derivatives through a U-Net's group norm do not pass the pretended tensors; in the
    # study it trains a dense network
    if (name, experiment) != ("dsm_fp", "budget")
]


@pytest.fixture
def device(monkeypatch):
    with accelerator(monkeypatch) as found:
        yield found


def objective_of(name, experiment):
    model = registered_models()[name]
    times = torch.linspace(0, 1, 4)
    embedded = IMAGES[:, None].repeat(1, 4, 1, 1, 1) * 0.9 if model.scores else None
    training = model.recipe_in(experiment).training(TRAINING)
    levels = NoiseLevels.from_config(model.experiments[experiment], training)
    setting = Setting(
        *(IMAGES, times, embedded, levels, 8, 0.1, 0.5, 1.0, model.scaled),
        flow=lambda noises: noises.clamp(-1, 1),  # in the place of a trained network's
    )
    return model.build(setting)


def network_of(name, experiment):
    if experiment != "study":
        return build_unet(TINY, 8, 1, 3)
    return DenseNetwork((1, 8, 8), 16, 1, 3, inputs=1 + registered_models()[name].condition)


# --- the pretended accelerator ------------------------------------------------------------------


def test_it_computes_and_refuses_what_cuda_refuses(device):
    here = torch.arange(6.0).reshape(2, 3).to(device)
    assert here.device == device and isinstance(here, OnAccelerator)
    assert float((here @ here.T).sum()) == 83.0
    assert torch.equal((here + torch.tensor(1.0)).cpu(), torch.arange(1.0, 7.0).reshape(2, 3))
    for wrong in (
        lambda: here + torch.ones(2, 3),
        lambda: torch.ones(3, 2).mm(here),
        lambda: torch.nn.Linear(3, 3)(here),
        lambda: torch.cat([here, torch.ones(1, 3)]),
    ):
        with pytest.raises(DeviceMixError, match="CPU tensors of shapes"):
            wrong()
    with pytest.raises((TypeError, RuntimeError)):
        here.numpy()


def test_it_follows_gradients_and_steps_in_place(device):
    start = torch.tensor([1.0, -2.0])
    found = []
    for where in ("cpu", device):
        weight = torch.nn.Parameter(start.clone().to(where))
        optimiser = torch.optim.Adam([weight], lr=0.1, fused=True)
        for _ in range(3):
            optimiser.zero_grad()
            (weight**4).sum().backward()
            optimiser.step()
        assert weight.device == torch.device(where)
        found.append(weight.detach().cpu())
    assert torch.equal(*found) and not torch.equal(found[0], start)


# --- training -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "experiment"), CASES)
def test_objectives(device, name, experiment):
    losses = []
    for where in ("cpu", device):
        network = network_of(name, experiment).to(where)
        loss = (
            objective_of(name, experiment).to(where).loss(network, torch.Generator().manual_seed(5))
        )
        loss.backward()
        assert loss.device == torch.device(where)
        assert all(p.grad.device == loss.device for p in network.parameters())
        losses.append(float(loss))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_training_checkpoints_and_resuming(device, monkeypatch, tmp_path):
    """A step, a checkpoint, another step: the weights of the same run on the CPU, nearly."""

    def run(where, steps):
        monkeypatch.setattr(loop, "select_device", lambda _: torch.device(where))
        options = TrainingOptions(budget_seconds=1000, max_steps=steps, first_evaluation=1)
        folder = tmp_path / str(where)
        seen = []

        def evaluate(network):
            x = torch.zeros((2, 1, 8, 8), device=where)
            seen.append(float(network(x, torch.ones(2, device=where)).sample.mean()))
            return {"mean": seen[-1]}

        return train(
            build_unet(TINY, 8, 1, 3),
            objective_of("dsm", "budget"),
            options,
            7,
            evaluate,
            checkpoint=folder,
            resume_from=folder,
        )

    for where in ("cpu", device):
        run(where, 1)
    here, there = run("cpu", 2), run(device, 2)
    assert (here.steps, there.steps) == (2, 2)
    assert {p.device for p in there.network.parameters()} == {device}
    start, *ends = (
        torch.cat([p.detach().cpu().flatten() for p in network.parameters()])
        for network in (build_unet(TINY, 8, 1, 3), here.network, there.network)
    )
    # Adam's first steps make much of the rounding of small gradients, but nothing else differs
    assert (ends[0] - ends[1]).norm() < 0.05 * (ends[0] - start).norm()


# --- sampling and judging -----------------------------------------------------------------------


class Small(torch.nn.Module):
    """A noise predictor that is quick and smooth."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(2)
            self.filter = torch.nn.Conv2d(1, 1, 3, padding=1)

    @property
    def device(self):
        return self.filter.weight.device

    def forward(self, x, t):
        weight = self.filter.weight.to(x.dtype)
        y = torch.nn.functional.conv2d(x, weight, self.filter.bias.to(x.dtype), padding=1)
        scale = 1 + t.reshape(-1, 1, 1, 1).to(x.dtype) / 1000
        return type("Output", (), {"sample": x - 0.1 * torch.tanh(y) * scale})


#: Options that keep short what some samplers do before the first sample.
SHORT = {"burn_in": 3, "levels": 6, "probes": 8, "iterations": 2, "fine_steps": 12}


@pytest.mark.parametrize("name", sorted(declared_samplers()))
def test_samplers(device, name):
    known = sampler_options(declared_samplers()[name])
    sampler = {"method": name, "options": {k: v for k, v in SHORT.items() if k in known}}
    found = []
    for where in ("cpu", device):
        drawn = draw_samples(
            Small().to(where),
            NoiseLevels.geometric(40),
            sampler,
            12,
            4,
            (1, 8, 8),
            3,
            preconditioner=preconditioner_from_images(IMAGES * 2 - 1),
            training_images=IMAGES * 2 - 1,
        )
        assert drawn.images.device.type == "cpu" and not isinstance(drawn.images, OnAccelerator)
        found.append(drawn.images)
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("off", [{}, {"frequency": False}, {"pixel": False}])
def test_filters_made_where_the_images_are(device, off):
    found = []
    for where in ("cpu", device):
        images = IMAGES.to(where) * 2 - 1
        found.append(preconditioner_from_images(images, **off).apply_squared(images).cpu())
    torch.testing.assert_close(*found)


def test_denoising(device):
    found = []
    for where in ("cpu", device):
        network, start = Small().to(where), IMAGES.to(where)
        options = {"steps": 3, "final_time": 1.0, "diffusion": 0.5, "noise_scale": 0.1, "keep": 2}
        published = denoise_published(network, start, **options)
        levels = NoiseLevels.linear(30)
        from_level = denoise_from_level(network, start, levels, noise=0.1, steps=3, keep=2)
        assert {x.device for x in (*published, *from_level)} == {torch.device(where)}
        found.append([x.cpu() for x in (*published, *from_level)])
    torch.testing.assert_close(*found)


def test_score_errors_and_diagnostics(device):
    levels = NoiseLevels.geometric(40)
    found = []
    for where in ("cpu", device):
        images = (IMAGES * 2 - 1).to(where)
        rows = score_matching_error(Small().to(where), images, levels, [0.1, 1.0], n_draws=4)
        network = ExactNetwork(images, levels).to(where)
        probes = probes_for(images.double(), 4, torch.Generator().manual_seed(1))
        judged = diagnose(NoiseModel(network, levels, clip=False), images.double(), 1.0, probes)
        assert judged.dimension.device == torch.device(where)
        found.append([rows[0]["error"], rows[1]["error"], *judged.dimension.cpu().tolist()])
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-5)


# --- scores -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [BatchedMarch, ExactTransform])
def test_engines(device, make):
    problem = problem_from_config({"time_steps": 4}, 10, 10)
    initial = initial_log_density(np.random.default_rng(5).random((3, 1, 10, 10)))
    found = []
    for where in ("cpu", device):
        result = make(problem, [2, 4], device=torch.device(where)).run(initial)
        assert not getattr(result, "failures", None)
        found.append(torch.as_tensor(result.log_density).cpu())
    torch.testing.assert_close(*found, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", ["batched_bicgstab", "batched_gmres"])
def test_batched_solvers(device, name):
    problem = problem_from_config({"time_steps": 3}, 8, 8)
    initial = initial_log_density(np.random.default_rng(5).random((3, 1, 8, 8)))
    found = []
    for where in ("cpu", device):
        result = march(problem, torch.as_tensor(initial).to(where), make_solver(name))
        assert result.log_density.device == torch.device(where)
        found.append(result.log_density.cpu())
    torch.testing.assert_close(*found, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("equation", [{}, {"diffusion": {"kind": "exponential", "sigma": 5.0}}])
def test_scores_on_the_fly(device, equation):
    found = []
    for where in ("cpu", device):
        images = IMAGES.to(where).requires_grad_()
        scores = ExactScores(8, equation=equation).to(where)(images, torch.ones(3, device=where))
        (slope,) = torch.autograd.grad(scores.square().sum(), images)
        assert scores.device == slope.device == torch.device(where)
        found.append([scores.detach().cpu(), slope.cpu()])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)
