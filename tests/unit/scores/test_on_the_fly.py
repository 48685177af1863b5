"""Exact scores inside a training loop, against the reference in NumPy."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from crosskrylov.equation.density import initial_log_density
from crosskrylov.equation.exact import exact_log_density
from crosskrylov.equation.problem import problem_from_config
from crosskrylov.equation.stencil import score
from crosskrylov.errors import ConfigError, DataError, ShapeError
from crosskrylov.scores.on_the_fly import ExactScores, ScoreCollate


def pixels(n=3, channels=3, height=12, width=12, seed=0):
    return np.random.default_rng(seed).random((n, channels, height, width))


def reference(images, times, equation, density):
    """The log-densities image by image, shape (N, H, W) or (N, C, H, W)."""
    height, width = images.shape[2:]
    problem = problem_from_config(equation, height, width)
    start = initial_log_density(images, **density)
    per_image = len(start) // len(images)
    out = [
        exact_log_density(problem, start[i : i + 1], [times[i // per_image]])[0, 0]
        for i in range(len(start))
    ]
    out = np.stack(out)
    out = out.reshape(len(images), per_image, height, width) if per_image > 1 else out
    return out, problem.spacing


CASES = {
    "published": ({}, {}),
    "reflecting": ({"boundary": "reflecting"}, {}),
    "long_time": ({"final_time": 3.0, "diffusion": {"kind": "constant", "g": 0.2}}, {}),
    "exponential": ({"diffusion": {"kind": "exponential", "sigma": 5.0}}, {}),
    "vp": ({"diffusion": {"kind": "vp"}}, {}),
    # a g(t) whose integral nobody has given
    "function": ({"diffusion": {"kind": "path", "path": "oscillating_g:g"}}, {}),
    "each_channel": ({}, {"channels": "each"}),
    "wide_kernel": ({}, {"bandwidth": 1.5}),
    "narrow_kernel": ({}, {"bandwidth": 0.01, "jitter": 0.0}),
    "floor": ({}, {"bandwidth": 0.02, "jitter": 0.0, "floor": 1e-3, "intensity_offset": 0.5}),
}


@pytest.mark.parametrize("shape", [(12, 12), (10, 15), (15, 10)], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_it_is_the_reference(case, shape, monkeypatch, tmp_path):
    equation, density = CASES[case]
    if case == "function":
        text = "import math\n\n\ndef g(t):\n    return 0.5 + 0.3 * math.sin(3 * t)\n"
        (tmp_path / "oscillating_g.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
    images = pixels(height=shape[0], width=shape[1])
    times = np.array([0.0, 0.013, 1.0]) * equation.get("final_time", 1.0)
    expected, spacing = reference(images, times, equation, density)
    made = {"equation": equation, "density": density, "dtype": torch.float64}
    given = torch.as_tensor(images), torch.as_tensor(times)
    found = ExactScores(shape, output="log_density", **made)(*given).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-9 if case == "function" else 1e-11)
    found = ExactScores(shape, **made)(*given).numpy()
    expected = score(expected, spacing)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-8 if case == "function" else 1e-9)


def test_float32_is_as_exact_as_float32_is():
    images, times = torch.as_tensor(pixels(height=32, width=32)), torch.tensor([0.0, 0.1, 0.9])
    exact = ExactScores(32, dtype=torch.float64)(images, times)
    found = ExactScores(32)(images, times)
    assert found.dtype == torch.float32
    assert torch.linalg.norm(found - exact) < 1e-5 * torch.linalg.norm(exact)


def test_it_is_differentiable():
    scores = ExactScores((4, 5), dtype=torch.float64, check=False)
    images = torch.as_tensor(pixels(2, 1, 4, 5)).requires_grad_()
    times = torch.tensor([0.02, 0.3], dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(scores, (images, times))


def test_it_compiles_as_one_graph():
    scores = ExactScores(8)
    compiled = torch.compile(scores, backend="aot_eager", fullgraph=True)
    given = torch.as_tensor(pixels(2, 3, 8, 8)), torch.tensor([0.1, 0.7])
    torch.testing.assert_close(compiled(*given), scores(*given))


def test_every_tensor_follows_its_device():
    """On torch's device without data, a tensor that stayed on the CPU is an error."""
    for output in ("score", "log_density"):
        scores = ExactScores(8, output=output, check=False).to("meta")
        given = torch.empty(2, 3, 8, 8, device="meta"), torch.empty(2, device="meta")
        assert scores(*given).device.type == "meta"


def test_it_has_nothing_to_train_and_nothing_to_save():
    scores = ExactScores(8)
    assert not list(scores.parameters()) and not scores.state_dict()
    assert repr(scores) == "ExactScores(8x8, output=score, dtype=torch.float32)"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"equation": {"drift": {"kind": "linear"}}}, "equation.drift.kind zero; with a drift"),
        ({"equation": {"final_tme": 1}}, "equation.final_tme is unknown.*final_time"),
        ({"density": {"method": "kde"}}, "draws samples anew at every call"),
        ({"density": {"ofset": 1}}, "density.ofset is no option"),
        ({"output": "noise"}, "allowed are 'score' and 'log_density'"),
        ({"dtype": torch.float16}, "dtype is torch.float16"),
    ],
)
def test_what_cannot_be_is_refused(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        ExactScores(8, **options)


@pytest.mark.parametrize(
    ("images", "times", "error", "sentence"),
    [
        (torch.rand(2, 8, 8, 3), torch.rand(2), ShapeError, r"\(B, C, 8, 8\)"),
        (torch.rand(2, 3, 8, 9), torch.rand(2), ShapeError, r"found \(2, 3, 8, 9\)"),
        (torch.rand(2, 3, 8, 8), torch.rand(3), ShapeError, r"Times need shape \(2,\)"),
        (torch.ones(2, 3, 8, 8, dtype=torch.uint8), torch.rand(2), DataError, "divide by 255"),
        (255 * torch.ones(2, 3, 8, 8), torch.rand(2), DataError, "maximum 255, but pixels are"),
        (torch.full((2, 3, 8, 8), torch.nan), torch.rand(2), DataError, "minimum nan"),
        (torch.rand(2, 3, 8, 8), torch.tensor([0.0, 1.5]), DataError, "runs from 0 to 1"),
        (torch.rand(2, 3, 8, 8), torch.tensor([0.0, torch.nan]), DataError, "runs from 0 to 1"),
    ],
)
def test_wrong_input_gives_no_scores(images, times, error, sentence):
    with pytest.raises(error, match=sentence):
        ExactScores(8)(images, times)


# --- in a DataLoader -----------------------------------------------------------------------------


def loaded(n_workers=0, **options):
    images, labels = torch.as_tensor(pixels(6, 3, 8, 8)).float(), torch.arange(6)
    generator = torch.Generator().manual_seed(3)
    return list(
        DataLoader(
            TensorDataset(images, labels),
            batch_size=4,
            num_workers=n_workers,
            generator=generator,
            collate_fn=ScoreCollate(ExactScores(8), **options),
        )
    )


def test_a_loader_gives_times_and_their_scores():
    torch.manual_seed(0)
    (images, times, scores, labels), last = loaded()
    assert scores.shape == (4, 2, 8, 8) and last[2].shape == (2, 2, 8, 8)
    assert labels.tolist() == [0, 1, 2, 3] and not scores.requires_grad
    torch.testing.assert_close(scores, ExactScores(8)(images, times))
    assert len(times.unique()) == 4 and times.min() >= 0 and times.max() <= 1


@pytest.mark.slow
def test_workers_draw_by_the_loaders_seed():
    first, again = loaded(n_workers=2), loaded(n_workers=2)
    for one, other in zip(first, again, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert not torch.equal(first[0][1][:2], first[1][1])


def test_times_may_be_drawn_by_the_user_and_samples_be_bare_images():
    images = torch.as_tensor(pixels(2, 1, 8, 8)).float()
    collate = ScoreCollate(ExactScores(8), draw=lambda count: torch.full((count,), 0.25))
    given, times, scores = collate(list(images))
    assert torch.equal(given, images) and times.tolist() == [0.25, 0.25]
    torch.testing.assert_close(scores, ExactScores(8)(images, times))
