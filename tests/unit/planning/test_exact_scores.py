"""What the reference scores depend on: the equation, not the engine that streams to disk."""

from pathlib import Path

import pytest

from crosskrylov.planning.dependencies import FOLDER, source_files

SCRIPTS = Path(__file__).parents[3] / "workflow" / "scripts"


def modules(script):
    files = source_files([SCRIPTS / f"{script}.py"])
    return {Path(file).relative_to(FOLDER).as_posix() for file in files}


@pytest.mark.parametrize("module", ["scores/store.py", "scores/stream.py", "scores/gather.py"])
def test_what_streams_scores_to_disk_belongs_to_the_engine_alone(module):
    depending = {file.stem for file in SCRIPTS.glob("*.py") if module in modules(file.stem)}
    assert depending <= {"precompute_scores", "gather_scores"}


def test_reference_scores_need_no_iterative_engine_and_no_solver():
    found = modules("exact_scores")
    assert {name for name in found if name.startswith("solvers/")} == set()
    assert {name for name in found if name.startswith("scores/")} == {
        "scores/__init__.py",
        "scores/engines/__init__.py",
        "scores/engines/density_form.py",
        "scores/engines/result.py",
        "scores/reference.py",
    }


def test_images_depend_on_no_source_but_their_own():
    sources = {name for name in modules("fetch_images") if name.startswith("datasets/")}
    assert sources == {
        f"datasets/{n}.py" for n in ("__init__", "base", "index", "loading", "pixels")
    }
