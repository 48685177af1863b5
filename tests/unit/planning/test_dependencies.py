"""Following imports from a module to every file that it is made of."""

from pathlib import Path

import pytest

from crosskrylov.errors import ConfigError
from crosskrylov.planning.dependencies import imported_modules, source_files


@pytest.fixture
def package(tmp_path):
    """A package in which a imports b lazily, b imports folder.c, and d imports nothing."""
    folder = tmp_path / "crosskrylov"
    (folder / "folder").mkdir(parents=True)
    for name, text in {
        "__init__.py": "",
        "a.py": "def f():\n    from crosskrylov import b\n    return b\n",
        "b.py": "import numpy\nfrom crosskrylov.folder.c import thing\n",
        "d.py": "import json\n",
        "folder/__init__.py": "from crosskrylov.errors import CrosskrylovError\n",
        "folder/c.py": "thing = 1\n",
        "folder/e.py": "import crosskrylov.a\n",
        "errors.py": "",
    }.items():
        (folder / name).write_text(text)
    return folder


def names(package, files):
    return {Path(file).relative_to(package).as_posix() for file in files}


def test_imports_are_followed_however_deep(package):
    found = names(package, source_files([package / "a.py"], package))
    assert found == {"a.py", "b.py", "folder/__init__.py", "folder/c.py", "errors.py"}


def test_unrelated_modules_are_left_out(package):
    assert names(package, source_files([package / "d.py"], package)) == {"d.py"}


def test_a_script_outside_is_followed_but_not_listed(package, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from crosskrylov.folder import c\nfrom crosskrylov.d import x\n")
    found = names(package, source_files([script], package))
    assert found == {"folder/__init__.py", "folder/c.py", "errors.py", "d.py"}


def test_imports_for_type_checkers_do_not_count(package):
    text = "if TYPE_CHECKING:\n    import crosskrylov.b\nelse:\n    import crosskrylov.d\n"
    (package / "f.py").write_text(text)
    assert names(package, source_files([package / "f.py"], package)) == {"f.py", "d.py"}


def test_circular_imports_end(package):
    (package / "folder" / "c.py").write_text("import crosskrylov.a\n")
    assert "a.py" in names(package, source_files([package / "b.py"], package))


def test_a_missing_file_is_named(package):
    with pytest.raises(ConfigError, match=r"density.py does not exist"):
        source_files([package / "density.py"], package)


def test_only_imports_of_the_package_count(package):
    assert imported_modules(package / "b.py") == {
        "crosskrylov.folder.c",
        "crosskrylov.folder.c.thing",
    }
