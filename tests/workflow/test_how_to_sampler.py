"""The how-to must work as written: sampler, test and configuration are taken from the page."""

import importlib
import importlib.util
import re
import shutil
import sys

import pytest

from crosskrylov.learning.sampling import registry
from crosskrylov.planning.config import load_config
from crosskrylov.planning.samplers import sampler_files
from tests.conftest import PROJECT

PAGE = PROJECT / "docs" / "how-to" / "add-a-sampler.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


@pytest.fixture
def with_the_file(tmp_path, monkeypatch):
    """A copy of the folder of samplers that holds the page's module too."""
    folder = tmp_path / "samplers_of_the_page"
    shutil.copytree(registry.SAMPLERS_FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    name = re.search(r"samplers/(\w+\.py)`", PAGE.read_text())[1]
    (folder / name).write_text(blocks("python")[0])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "SAMPLERS_FOLDER", folder)
    monkeypatch.setattr(registry, "SAMPLERS_PACKAGE", folder.name)
    importlib.invalidate_caches()
    yield tmp_path
    for module in [m for m in sys.modules if m.partition(".")[0] == folder.name]:
        del sys.modules[module]


def test_sampler_and_test_of_the_page_run(with_the_file):
    path = with_the_file / "test_of_the_page.py"
    path.write_text(blocks("python")[1])
    spec = importlib.util.spec_from_file_location("test_of_the_page", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.test_midpoint_is_of_order_two()


def test_configuration_of_the_page_is_valid(with_the_file, tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(blocks("yaml")[0])
    config = load_config(PROJECT / "config.yaml", overlay)
    chosen = config["training"]["samplers"]["samplers"]
    assert [f.name for f in sampler_files(chosen)] == ["ddim.py", "midpoint.py"]
    assert registry.sampler_choice(chosen[2]).label == "early midpoint"


def test_configuration_of_the_page_without_the_file_names_what_is_missing(tmp_path):
    from crosskrylov.errors import ConfigError

    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(blocks("yaml")[0])
    with pytest.raises(ConfigError, match=r"samplers\[1\] cannot be used: Sampler 'midpoint' is"):
        load_config(PROJECT / "config.yaml", overlay)
