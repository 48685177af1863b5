"""Every module, function and file of the library that a text names exists."""

import ast
import re

import pytest

from tests.conftest import PROJECT

LIBRARY = PROJECT / "crosskrylov"
TEXTS = sorted(
    path
    for pattern in ("*.md", "*.yaml", "docs/*.md", "docs/how-to/*.md", "presets/*", "profiles/*/*")
    for path in PROJECT.glob(pattern)
    if path.name != "CHANGELOG.md"  # names what is no more
) + sorted(
    path
    for folder in ("crosskrylov", "workflow", "tests/benchmarks")
    for path in (PROJECT / folder).rglob("*")
    if path.suffix in (".py", ".smk", ".rst", ".yaml")
)
#: What a page lets the reader write.
MADE_BY_THE_READER = {
    "crosskrylov/solvers/jacobi.py",
    "crosskrylov/datasets/checkerboards.py",
    "crosskrylov/studies/dominance.py",
    "crosskrylov/reporting/figures/studies/dominance.py",
    "crosskrylov/learning/objectives/pseudo_huber.py",
    "crosskrylov.learning.objectives.pseudo_huber",
    "crosskrylov/learning/sampling/samplers/midpoint.py",
}


def defined_in(tree):
    """Return the names that a module or class body defines, those of classes with their members."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name): None for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id: None for target in targets if isinstance(target, ast.Name)}
    return found


def exists(dotted):
    """Return whether a dotted name below crosskrylov is a module, or something in one."""
    place, names = LIBRARY, dotted.split(".")[1:]
    while names and (place / names[0]).is_dir():
        place = place / names.pop(0)
    if names and (place / f"{names[0]}.py").is_file():
        file = place / f"{names.pop(0)}.py"
    else:
        file = place / "__init__.py"
    node = ast.parse(file.read_text(encoding="utf-8"))
    if names and place == LIBRARY and f'"{names[0]}":' in file.read_text(encoding="utf-8"):
        return True  # a public name, imported when it is asked for
    for name in names:
        members = defined_in(node) if node is not None else {}
        if name not in members and not name.startswith("__"):
            return False
        node = members.get(name)
        if not isinstance(node, ast.ClassDef):
            return True  # attributes of functions and values are not looked at
    return True


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_names_resolve(path):
    text = path.read_text(encoding="utf-8")
    dotted = set(re.findall(r"\bcrosskrylov(?:\.[A-Za-z_]\w*)+", text))
    files = set(re.findall(r"\bcrosskrylov(?:/\w+)+(?:\.\w+)+", text))
    unknown = {name for name in dotted if not exists(name)}
    assert sorted(unknown - MADE_BY_THE_READER) == []
    missing = {name for name in files if not (PROJECT / name).exists()}
    assert sorted(missing - MADE_BY_THE_READER) == []


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("crosskrylov.scores.march", True),
        ("crosskrylov.scores.march.Trajectory.score", True),
        ("crosskrylov.load_images", True),
        ("crosskrylov.engine.store", False),
        ("crosskrylov.scores.march.Trajectory.scores", False),
    ],
)
def test_what_counts_as_existing(name, there):
    assert exists(name) is there
