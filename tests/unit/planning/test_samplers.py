from pathlib import Path

import pytest

from crosskrylov.errors import ConfigError
from crosskrylov.planning.config import load_config
from crosskrylov.planning.samplers import sampler_files

CONFIG = Path(__file__).resolve().parents[3] / "config.yaml"


def loaded(tmp_path, text):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(text)
    return load_config(CONFIG, overlay)["training"]


def test_samplers_by_name_and_with_options(tmp_path):
    text = """
training:
  budget: {sampler: ghvb}
  samplers:
    samplers:
      - ddim
      - {method: ghvb, options: {order: 3}}
      - {method: ghvb, options: {order: 2}, name: second}
"""
    training = loaded(tmp_path, text)
    assert training["budget"]["sampler"] == "ghvb"
    assert training["samplers"]["samplers"][1] == {"method": "ghvb", "options": {"order": 3}}


def test_default_comparison_holds_what_it_did(tmp_path):
    names = loaded(tmp_path, "training: {}")["samplers"]["samplers"]
    assert len(names) == 14 and names[:3] == ["ddpm", "ddim", "pndm"]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("budget: {sampler: dddim}", r"budget\.sampler cannot be used: .*did you mean 'ddim'"),
        ("samplers: {samplers: [ddim, gvhb]}", r"samplers\[1\] cannot .*did you mean 'ghvb'"),
        (
            "samplers: {samplers: [{method: ghvb, options: {betta: 1}}]}",
            r"samplers\[0\] cannot be used: .*no option 'betta' \(did you mean 'beta'",
        ),
        (
            "samplers: {samplers: [ddim, {method: ddim}]}",
            r"samplers\[1\] is called 'ddim' like an entry before it",
        ),
        (
            "samplers: {samplers: [ghvb], function_evaluations: [4, 10]}",
            r"samplers\[0\] is 'ghvb', which needs at least 5 .* has 4: raise it",
        ),
        ("samplers: {samplers: [{options: {}}]}", r"samplers\[0\] is .* must be text or a mapping"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, section, message):
    with pytest.raises(ConfigError, match=message):
        loaded(tmp_path, f"training:\n  {section}\n")


def test_files_of_samplers():
    files = sampler_files(["ghvb", {"method": "lml", "options": {"kappa": 0.5}}, "ghvb"])
    assert [f.name for f in files] == ["ghvb.py", "lml.py"]
    assert all(f.is_file() for f in files)
