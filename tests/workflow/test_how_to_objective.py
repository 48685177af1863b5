"""The how-to for objectives must work as written: its files are taken from the page and run."""

import re
import subprocess
import sys

import pytest

from crosskrylov.runtime.files import read_json
from tests.conftest import PROJECT, TOY

PAGE = PROJECT / "docs" / "how-to" / "add-an-objective.md"
RESULT = "results/training/single_image/toy/pseudo_huber/image0/seed7/result.json"


@pytest.fixture
def followed(project_copy):
    """A copy of the project with the files of the page in place; returns it."""
    text = PAGE.read_text()
    places = re.findall(r"`((?:crosskrylov|tests)/[\w/]+pseudo_huber\.py)`", text)
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    for place, block in zip(places, blocks, strict=True):
        (project_copy / place).parent.mkdir(parents=True, exist_ok=True)
        (project_copy / place).write_text(block)
    (settings,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    (project_copy / "mine.yaml").write_text(settings)
    return project_copy


def test_test_of_the_page_passes(followed):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=followed, capture_output=True, text=True)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_model_of_the_page_is_trained(followed, snakemake):
    options = ("--configfile", TOY, "mine.yaml")
    plan = snakemake("results/tables/training.tsv", "--dry-run", *options, cwd=followed).stdout
    assert RESULT in plan and "single_image/toy/ddpm" in plan
    snakemake(RESULT, *options, cwd=followed)
    result = read_json(followed / RESULT)
    assert result["model"] == "pseudo_huber" and result["steps"] == 6
    assert result["precompute_seconds"] == 0 and "ssim" in result["final"]
    # nothing else had to be trained
    assert not (followed / "results/training/single_image/toy/ddpm").exists()
