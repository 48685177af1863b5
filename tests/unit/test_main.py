"""The command line beside pre-computation (for that: scores/test_stream.py)."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from crosskrylov.__main__ import main
from crosskrylov.cli.parser import build_parser
from crosskrylov.datasets.index import declared_sources
from crosskrylov.equation.problem import DEFAULTS
from crosskrylov.learning.objectives.index import registered_models
from crosskrylov.learning.sampling.registry import declared_samplers
from crosskrylov.metrics.distances import frechet_distance
from crosskrylov.metrics.features import extract_features
from crosskrylov.runtime.declared import imported
from crosskrylov.scores.engine_options import EngineOptions
from crosskrylov.solvers.index import registered_solvers
from tests.conftest import PROJECT


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("solvers", registered_solvers()),
        ("sources", declared_sources()),
        ("objectives", registered_models()),
        ("samplers", declared_samplers()),
    ],
)
def test_lists_what_a_configuration_may_name(command, names, capsys):
    assert main([command]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert [line.split()[0] for line in lines] == sorted(names)
    assert all(len(line.split()) > 2 for line in lines)  # and what each is


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "solvers",
            [
                "preconditioner='none', restart=30, max_iterations=500",  # and those of its base
                "cost per iteration: two products",
                "(direct)",
            ],
        ),
        ("objectives", ["single_image: linear betas; budget: linear betas"]),
        ("objectives", ["at one noise level; its output is the scaled score"]),
        ("samplers", ["snr=0.16", "cost: 1 network evaluation per step", "needs the filters"]),
    ],
)
def test_lists_say_options_and_cost(command, words, capsys):
    assert main([command]) == 0
    text = capsys.readouterr().out
    assert [word for word in words if word not in text] == []
    assert "order None" not in text


def test_help_shows_the_defaults_of_the_library(capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["precompute", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"time steps (default {DEFAULTS['time_steps']})" in text
    assert f"budget for arrays (default {EngineOptions.memory_mb})" in text


def test_help_imports_no_numerics():
    code = (
        "import sys\n"
        "from crosskrylov.cli.parser import build_parser\n"
        "build_parser().format_help()\n"
        "heavy = {'numpy', 'scipy', 'torch', 'pandas', 'matplotlib', 'PIL', 'jsonschema'}\n"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_subcommand_names_a_function():
    commands = build_parser()._subparsers._group_actions[0].choices
    assert {"precompute", "info", "show", "sample", "compare", "solve"} < set(commands)
    for parser in commands.values():
        assert callable(imported(parser.get_default("run")))


def test_show_draws_the_times_that_are_asked_for(tmp_path, capsys):
    values = np.random.default_rng(5).integers(0, 256, (20, 12, 3), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    sizes = []
    for times in (["0"], ["0", "0.01", "0.1", "1"]):
        picture = tmp_path / "new" / f"{len(times)}.png"
        given = ["show", str(tmp_path / "a.png"), "-o", str(picture), "--size", "12"]
        assert main([*given, "--times", *times]) == 0
        assert f"at {len(times)} times" in capsys.readouterr().out
        with Image.open(picture) as image:
            assert image.format == "PNG"
            sizes.append(image.size)
    assert (
        sizes[0] != sizes[1]
        or (tmp_path / "new/1.png").read_bytes() != (tmp_path / "new/4.png").read_bytes()
    )


@pytest.mark.parametrize("features", ["haar", "digit_classifier"])
def test_compare_prints_the_distances_of_the_library(tmp_path, capsys, features):
    rng = np.random.default_rng(8)
    arrays = [rng.integers(0, high, (60, 8, 8, 3), dtype=np.uint8) for high in (256, 200)]
    for name, array in zip("ab", arrays):
        (tmp_path / name).mkdir()
        for number, values in enumerate(array):
            Image.fromarray(values).save(tmp_path / name / f"{number:02}.png")
    folders = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert main(["compare", *folders, "--features", features]) == 0
    found = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    pixels = [(array / np.float32(255)).transpose(0, 3, 1, 2) for array in arrays]
    expected = frechet_distance(*(extract_features(features, p) for p in pixels))
    assert float(found["Fréchet"]) == pytest.approx(expected, rel=1e-4)
    assert float(found["kernel"]) > 0
    assert found["images"].startswith("60 and 60")


@pytest.fixture
def checkpoint(tmp_path):
    """The checkpoint folder of a small untrained network."""
    import torch

    from crosskrylov.learning.unet import build_unet
    from crosskrylov.planning.config import check_config

    unet = check_config({"image_sets": {"a": {"source": "photos"}}})["unet"]
    unet |= {"block_out_channels": [8, 8], "layers_per_block": 1, "norm_num_groups": 4}
    torch.manual_seed(0)
    folder = tmp_path / "run" / "checkpoint"
    build_unet(unet, 8, 1, 3).save_pretrained(folder)
    return folder


def test_sample_takes_the_schedule_of_the_result_beside_the_checkpoint(
    tmp_path, checkpoint, capsys
):
    result = checkpoint.with_name("result.json")
    command = ["sample", str(checkpoint), "-o", str(tmp_path / "grid.png")]
    command += ["--n-images", "5", "--evaluations", "4"]
    for model, experiment, words in (
        ("dsm", "budget", "geometric schedule (model dsm) of 1000 levels up to sigma 20"),
        ("ddpm", "single_image", "linear schedule (model ddpm)"),
    ):
        result.write_text(json.dumps({"model": model, "experiment": experiment}))
        assert main(command) == 0
        assert words in capsys.readouterr().out
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (3 * 68 + 4, 2 * 68 + 4)  # 8 pixels eightfold, 4 between
    assert main([*command, "--model", "dsm", "--sigma-max", "10"]) == 0
    assert "(--model) of 1000 levels up to sigma 10" in capsys.readouterr().out
    for text, words in (
        ('{"model": "dsm", "experiment": "single_image"}', "cannot draw images from noise"),
        ('{"model": "gone", "experiment": "budget"}', "give --model or --schedule"),
        ("[]", "give --model or --schedule"),
    ):
        result.write_text(text)
        assert main(command) == 1
        assert words in capsys.readouterr().err


def test_sample_draws_from_a_ready_made_network_by_name(tmp_path, capsys):
    command = ["sample", "digits", "-o", str(tmp_path / "grid.png"), "--n-images", "2"]
    assert main([*command, "--evaluations", "4"]) == 0
    assert "16 x 16 pixels, linear schedule (as stored)" in capsys.readouterr().out
    assert (tmp_path / "grid.png").is_file()
    assert main(["sample", "--list"]) == 0
    assert "digits: 1797 images of 16 x 16 pixels" in capsys.readouterr().out
    for arguments, words in (
        (["sample", "digitz", "-o", "x.png"], "did you mean 'digits'"),
        (["sample"], "Name a ready-made network (digits"),
        ([*command, "--schedule", "linear"], "knows its model and noise levels"),
    ):
        assert main(arguments) == 1
        assert words in capsys.readouterr().err


def test_demo_draws_one_picture(tmp_path, capsys):
    toy = ["--size", "12", "--time-steps", "10", "--repeats", "2", "--n-images", "4"]
    assert main(["demo", "-o", str(tmp_path / "demo.png"), *toy]) == 0
    assert "5 4 digits drawn" in capsys.readouterr().out
    assert (tmp_path / "demo.png").stat().st_size > 10_000
