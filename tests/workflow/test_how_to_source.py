"""The how-to of an image source, followed literally in a copy of the project."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from crosskrylov.runtime.files import load_npz
from tests.conftest import PROJECT, copy_project, run_snakemake

PAGE = PROJECT / "docs" / "how-to" / "add-an-image-source.md"
IMAGES = "results/{}/seed17/images.npz"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project that has loaded noise, to which the page's source is added then."""
    folder = copy_project(tmp_path_factory.mktemp("source") / "project")
    overlay = "image_sets:\n  before: {source: noise, image_size: 8, n_images: 4}\n"
    (folder / "mine.yaml").write_text(overlay)
    run_snakemake(IMAGES.format("before"), "--configfile", "mine.yaml", cwd=folder)
    source, test = blocks("python")
    (folder / "crosskrylov" / "datasets" / "checkerboards.py").write_text(source)
    (folder / "test_checkerboards.py").write_text(test)
    (entry,) = blocks("yaml")
    (folder / "mine.yaml").write_text(overlay + entry.removeprefix("image_sets:\n"))
    return folder


def python(*arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(cwd)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )


def test_the_test_of_the_page_passes(project):
    done = python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_checkerboards.py", cwd=project
    )
    assert done.returncode == 0, done.stdout


def test_the_command_line_lists_it(project):
    done = python("-m", "crosskrylov", "sources", cwd=project)
    assert "checkerboards  Open checkerboards, as many as are asked for." in done.stdout


def test_the_workflow_runs_it_and_loads_nothing_else_again(project):
    wanted = (IMAGES.format("before"), IMAGES.format("boards32"), "--configfile", "mine.yaml")
    planned = run_snakemake(*wanted, "--dry-run", cwd=project).stdout
    assert re.findall(r"^\s+wildcards: images=(\w+)", planned, flags=re.MULTILINE) == ["boards32"]
    run_snakemake(*wanted, cwd=project)
    images = load_npz(project / IMAGES.format("boards32"))["images"]
    assert images.shape == (24, 3, 32, 32)
    assert len(np.unique(images[0])) == 2


def test_a_misspelt_option_is_refused_before_anything_runs(project):
    text = (project / "mine.yaml").read_text().replace("side:", "sid:")
    (project / "misspelt.yaml").write_text(text)
    load = "from crosskrylov.planning.config import load_config as f; f('misspelt.yaml')"
    done = python("-c", load, cwd=project)
    assert "no option 'sid' (did you mean 'side'?)" in done.stderr
