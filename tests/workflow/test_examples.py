"""Every example runs as written, in an empty folder, and its picture is kept and shown."""

import os
import subprocess
import sys

import pytest
from PIL import Image

from tests.conftest import PROJECT

FOLDER = PROJECT / "docs" / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))


def test_there_are_five_short_ones_with_pictures_that_are_shown():
    page = (FOLDER / "README.md").read_text()
    assert len(EXAMPLES) == 5
    for file in EXAMPLES:
        picture = file.with_suffix(".png")
        assert len(file.read_text().splitlines()) <= 40, file.name
        assert picture.stat().st_size <= 60_000
        assert f"({picture.name})" in page and f"({file.name})" in page


@pytest.mark.slow
@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_draws_its_picture(file, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, file, "picture.png"],
        cwd=tmp_path,
        env={**environment, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "picture.png").size[0] > 200
