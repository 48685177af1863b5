"""Samplers by name: declarations, options, and what is said when something does not fit."""

import sys

import pytest
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.sampling import registry
from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.sampling.generate import SAMPLERS, draw_samples
from crosskrylov.learning.sampling.registry import (
    declared_samplers,
    make_sampler,
    sampler_choice,
    sampler_modules,
    sampler_options,
)
from crosskrylov.learning.schedule import NoiseLevels

SHAPE = (1, 4, 4)
DATA = torch.sign(torch.randn((3, *SHAPE), generator=torch.Generator().manual_seed(4))) * 0.7
#: Options of a short search.
SEARCH = {"population": 5, "epochs": 1}


def draw(sampler, evaluations=10, **options):
    levels = NoiseLevels.geometric(50)
    network = ExactNetwork(DATA, levels)
    return draw_samples(network, levels, sampler, evaluations, 4, SHAPE, 0, **options)


def test_every_module_of_the_folder_declares_samplers_and_they_load():
    files = {entry.file.name for entry in declared_samplers().values()}
    assert files | {"__init__.py"} == {f.name for f in registry.SAMPLERS_FOLDER.glob("*.py")}
    assert tuple(sorted(declared_samplers())) == SAMPLERS
    for name, entry in declared_samplers().items():
        assert entry.summary and entry.facts["about"]
        assert entry.facts["evaluations_per_step"] >= 1
        if entry.facts["stochastic"]:
            assert entry.facts["order"] is None
        assert callable(make_sampler(name))


def test_choice_from_a_name_a_mapping_and_itself():
    plain = sampler_choice("ddim")
    assert (plain.label, plain.method, plain.options) == ("ddim", "ddim", {})
    full = sampler_choice({"method": "ghvb", "options": {"order": 3, "beta": 0.5}})
    assert full.label == "ghvb, order 3, beta 0.5"
    assert sampler_choice({"method": "ghvb", "name": "mine"}).label == "mine"
    assert sampler_choice(full) is full


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("gvhb", r"'gvhb' is unknown \(did you mean 'ghvb'\?\); allowed are autodiffusion, "),
        ({"options": {}}, "None is unknown"),
        ({"method": "ghvb", "options": {"betta": 1}}, r"no option 'betta' \(did you mean 'beta'"),
        ({"method": "ddim", "options": {"order": 1}}, r"no option 'order'; it has none"),
    ],
)
def test_unknown_names_and_options(given, message):
    with pytest.raises(ConfigError, match=message):
        sampler_choice(given)


def test_options_leave_out_what_every_sampler_is_given():
    known = declared_samplers()
    assert sampler_options(known["ddim"]) == ()
    assert sampler_options(known["pds_langevin"]) == ("snr", "steps_per_level")
    assert sampler_options(known["edict"]) == ("mixing", "spacing")


def test_files_behind_choices_are_the_modules_alone():
    names = [f.name for f in sampler_modules(["pds_langevin", "langevin", {"method": "ddim"}])]
    assert names == ["ddim.py", "langevin.py"]


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ('@register("mine", about="x", order=1, stochastic=False)', "'evaluations_per_step'"),
        (
            '@register("mine", about="", order=1, evaluations_per_step=1, stochastic=False, '
            'needs=["luck"])',
            r"needs=\['luck'\]; allowed are filters, images",
        ),
        (
            '@register("mine", about="", order=1, evaluations_per_step=1, stochastic=False, '
            'ends="nowhere")',
            "ends='nowhere'; allowed are zero",
        ),
    ],
)
def test_declarations_that_lack_or_mistake_something(tmp_path, declaration, message):
    (tmp_path / "mine.py").write_text(f"{declaration}\ndef mine(model): ...\n")
    with pytest.raises(ConfigError, match=message):
        declared_samplers(tmp_path)


def test_planning_reads_declarations_without_numpy_or_torch():
    import subprocess

    code = (
        "import sys; from crosskrylov.planning.samplers import sampler_files\n"
        "print([f.name for f in sampler_files(['ghvb'])])\n"
        "sys.exit(bool({'numpy', 'torch', 'diffusers', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip() == "['ghvb.py']", done.stderr


# --- what a sampler says when it cannot -----------------------------------------------------------


@pytest.mark.parametrize(
    ("sampler", "evaluations", "message"),
    [
        ({"method": "ghvb", "options": {"order": 5}}, 5, r"got 5 .* at least 6 \(order 5"),
        ("heavy_ball", 4, "'heavy_ball' got 4 network evaluations but needs at least 5"),
        ("edict", 4, "at least 5"),
        ("bdia", 2, "at least 3"),
        ("o_belm", 2, "at least 3"),
        ("interpolant", 1, "at least 2"),
        ("ddcm", 1, "at least 2"),
        ("lml", 3, r"at least 4 \(order 3\)"),
        ("sada", 4, "at least 5"),
        ("kinetic_optimal", 1, "at least 2"),
        ("dpm_solver_v3", 3, r"at least 4 \(order 3\)"),
        ("dc_solver", 3, "at least 4"),
        ("autodiffusion", 2, r"at least 3 \(a level between two ends\)"),
        ("usf", 2, r"'usf' got 2 network evaluations but needs at least 3"),
        ("denoising_mcmc", 3, "at least 4"),
    ],
)
def test_too_few_evaluations_are_one_sentence(sampler, evaluations, message):
    with pytest.raises(ConfigError, match=message) as raised:
        draw(sampler, evaluations, training_images=DATA)
    assert str(raised.value).count(".") == 1


def test_declared_fewest_evaluations_are_enough_and_one_less_is_not():
    for name, entry in declared_samplers().items():
        fewest = entry.facts.get("fewest")
        if fewest is None:
            continue
        quick = {"dc_solver": {"iterations": 0}, "autodiffusion": SEARCH, "usf": SEARCH}
        choice = {"method": name, "options": quick.get(name, {})}
        assert draw(choice, fewest, training_images=DATA).images.isfinite().all(), name
        with pytest.raises(ConfigError, match="at least"):
            draw(choice, fewest - 1, training_images=DATA)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("ghvb", {"order": 6}),
        ("ghvb", {"beta": 0}),
        ("heavy_ball", {"beta": 1.1}),
        ("interpolant", {"kappa": -1}),
        ("ddcm", {"eta": 2}),
        ("lml", {"kappa": 1}),
        ("lml", {"damping": 0}),
        ("sada", {"max_skips": 0}),
        ("kinetic_optimal", {"path": "straight"}),
        ("dpm_solver_v3", {"order": 4}),
        ("dc_solver", {"ratios": [1.0]}),
        ("autodiffusion", {"population": 4}),
        ("autodiffusion", {"noises": 0}),
        ("usf", {"epochs": 0}),
        ("usf", {"fine_steps": 1}),
        ("denoising_mcmc", {"eta": 0}),
        ("langevin", {"snr": 0}),
        ("ode_rk45", {"tolerance": 0}),
    ],
)
def test_options_out_of_range_are_one_sentence(method, options):
    (option,) = options
    with pytest.raises(ConfigError, match=f"'{method}': option {option} is .*; it must be"):
        draw({"method": method, "options": options}, training_images=DATA)


def test_an_unknown_spacing_says_which_there_are():
    with pytest.raises(ConfigError, match="'karras'; allowed are geometric, uniform, levels"):
        draw({"method": "ghvb", "options": {"spacing": "karras"}})


@pytest.mark.parametrize("name", [n for n in SAMPLERS if declared_samplers()[n].facts.get("needs")])
def test_what_a_sampler_needs_is_asked_for(name):
    with pytest.raises(ConfigError, match=f"'{name}' needs "):
        draw(name)


def test_the_same_noise_starts_both_precisions():
    single, double = (
        draw("ghvb", 20, dtype=dtype).images for dtype in (torch.float32, torch.float64)
    )
    torch.testing.assert_close(single, double, atol=1e-4, rtol=0)
    assert not torch.equal(single, double)
