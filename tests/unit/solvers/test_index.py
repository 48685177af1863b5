import sys

import pytest

from crosskrylov.errors import ConfigError
from crosskrylov.solvers.index import (
    controls,
    published_methods,
    registered_solvers,
    solver_entry,
)
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


def entry(method, **options):
    return {"method": method, "options": options}


def test_control_is_the_same_solver_without_the_projection():
    solvers = {
        "any": entry("cross_matrix_galerkin", dimension=10),
        "by_default": entry("cross_matrix_galerkin", refine="bicgstab"),
        "off": entry("cross_matrix_galerkin", dimension=0),
        "joint": entry("cross_matrix_joint", dimension=8),
        "other_refinement": entry("cross_matrix_galerkin", dimension=10, refine="gmres"),
        "mine": entry("nowhere:Mine", dimension=3),
    }
    assert controls(solvers) == {"any": "off", "by_default": "off"}
    solvers["gmres"] = entry("cross_matrix_galerkin", dimension=0, refine="gmres")
    assert controls(solvers)["other_refinement"] == "gmres"
    assert controls({"off": solvers["off"]}) == {}


def test_control_has_no_published_method():
    solvers = {"a": entry("spsolve"), "b": entry("cross_matrix_galerkin", dimension=0)}
    assert published_methods(solvers) == {"a": "spsolve", "b": ""}
