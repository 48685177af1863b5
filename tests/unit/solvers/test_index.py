import sys

import pytest

from crosskrylov.errors import ConfigError
from crosskrylov.solvers.index import registered_solvers, solver_entry
from crosskrylov.solvers.registry import available_solvers

DROPPED = """
from crosskrylov.solvers.base import LinearSolver, register

@register("dropped", family="krylov")
class Dropped(LinearSolver):
    def solve(self, systems):
        raise NotImplementedError
"""


def test_index_agrees_with_the_registry():
    found = {name: entry.family for name, entry in registered_solvers().items()}
    assert found == {name: cls.family for name, cls in available_solvers().items()}


def test_entry_names_the_file_of_the_class():
    assert solver_entry("spsolve").file.name == "direct.py"
    assert solver_entry("spsolve").family == "direct"


def test_a_dropped_file_is_found_without_importing_it(tmp_path):
    (tmp_path / "dropped.py").write_text(DROPPED + "\nraise RuntimeError('imported')\n")
    assert solver_entry("dropped", tmp_path).family == "krylov"


def test_import_path(tmp_path, monkeypatch):
    (tmp_path / "elsewhere.py").write_text("class Mine:\n    family = 'cross-matrix'\n")
    monkeypatch.syspath_prepend(tmp_path)
    entry = solver_entry("elsewhere:Mine")
    assert (entry.family, entry.file) == ("cross-matrix", tmp_path / "elsewhere.py")
    del sys.modules["elsewhere"]
    with pytest.raises(ConfigError, match=r"'elsewhere:Nobody'"):
        solver_entry("elsewhere:Nobody")
    del sys.modules["elsewhere"]


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"'splove' is unknown.*spsolve"):
        solver_entry("splove")
