"""The how-to must work as written: its solver and its test are taken from the page and run."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from crosskrylov.solvers import base, registry

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "add-a-solver.md"


@pytest.fixture
def blocks(monkeypatch):
    # the registry is restored, so that the throw-away solver stays out of the other tests
    monkeypatch.setattr(base, "REGISTERED", dict(base.REGISTERED))
    monkeypatch.setattr(registry, "REGISTERED", base.REGISTERED)
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


def load(name, text, folder, monkeypatch):
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def test_solver_and_test_of_the_page_run(blocks, tmp_path, monkeypatch):
    solver, test = blocks
    load("jacobi_of_the_page", solver, tmp_path, monkeypatch)
    load("test_of_the_page", test, tmp_path, monkeypatch).test_jacobi_agrees_with_spsolve()


def test_import_path_instead_of_a_registered_name(blocks, tmp_path, monkeypatch):
    load("jacobi_elsewhere", blocks[0], tmp_path, monkeypatch)
    solver = registry.make_solver("jacobi_elsewhere:Jacobi", {"damping": 0.5})
    assert solver.damping == 0.5
    assert solver.family == "krylov"
