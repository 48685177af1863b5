"""The installed package: everything it needs is in the wheel, and it works from any folder."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import PROJECT

pytest.importorskip("pip", reason="there is no pip to build and install a wheel with")
# asked, not imported: setuptools takes offence at what others have imported before
try:
    BUILDER = int(version("setuptools").partition(".")[0])
except PackageNotFoundError:
    BUILDER = 0
pytestmark = pytest.mark.skipif(BUILDER < 77, reason="no wheel can be built without setuptools 77")


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of the checkout, built in a copy: building leaves files in the source's folder."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(PROJECT / "crosskrylov", source / "crosskrylov", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source / name)
    done = pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, source)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("crosskrylov-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel):
    """The folder that the wheel is installed in."""
    target = wheel.parent / "installed"
    done = pip("install", "--no-deps", "--no-index", "--target", target, wheel)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def run(installed, tmp_path):
    """Run the installed ``crosskrylov`` in an empty folder that knows nothing of the checkout."""

    def run(*arguments):
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        environment |= {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, str(installed / "bin" / "crosskrylov"), *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    return run


def test_the_wheel_holds_every_file_of_the_library(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("crosskrylov/")}
    here = {
        path.relative_to(PROJECT).as_posix()
        for path in (PROJECT / "crosskrylov").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == here
    assert "crosskrylov/planning/config.schema.yaml" in held


@pytest.mark.skipif(os.name != "posix", reason="the script lies elsewhere")
def test_the_command_works_from_an_empty_folder(run, tmp_path):
    (tmp_path / "pictures").mkdir()
    rng = np.random.default_rng(1)
    for number in range(2):
        values = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(values).save(tmp_path / "pictures" / f"{number}.png")
    (tmp_path / "c.yaml").write_text("equation: {time_steps: 6, stored_steps: 2}\n")
    given = ["pictures", "--size", 8, "--quiet"]

    done = run("precompute", *given, "--config", "c.yaml", "-o", "scores")
    assert done.returncode == 0, done.stderr
    assert "2 images by exact" in done.stdout
    done = run("info", "scores")
    assert done.returncode == 0, done.stderr
    assert "shape (2, 2, 2, 8, 8)" in done.stdout
    done = run("precompute", *given, "-o", "others")
    assert done.returncode == 0, done.stderr
    assert "shape (2, 10, 2, 8, 8)" in run("info", "others").stdout
    done = run("show", "pictures/0.png", "--size", 8, "-o", "picture.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "picture.png").is_file()
    # what comes with the package draws without a checkpoint of one's own
    done = run("sample", "digits", "--n-images", 4, "-o", "grid.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "grid.png").is_file()
    done = run("precompute", "nowhere", "--size", 8, "-o", "none")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


@pytest.mark.skipif(os.name != "posix", reason="the script lies elsewhere")
def test_it_is_the_installed_package_that_runs(installed, run):
    done = run("--version")
    assert done.returncode == 0, done.stderr
    code = "import crosskrylov; print(crosskrylov.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=installed.parent, env=environment, capture_output=True
    )
    assert Path(found.stdout.decode().strip()).is_relative_to(installed)
