"""Sources are found, with what they declare, without importing them."""

import pytest

from crosskrylov.datasets.base import register
from crosskrylov.datasets.index import SourceFacts, declared_sources, source_entry
from crosskrylov.errors import ConfigError

DROPPED = """
from crosskrylov.datasets.base import register

@register("dropped", root="optional", publish=False)
def open_dropped(image_size, *, seed, root=None, angle=0.0):
    \"\"\"Open nothing at all.\"\"\"

raise RuntimeError("imported")
"""


def test_a_dropped_file_is_found_without_importing_it(tmp_path):
    (tmp_path / "dropped.py").write_text(DROPPED)
    entry = source_entry("dropped", tmp_path)
    assert entry.facts == SourceFacts(root="optional", publish=False)
    assert entry.options == ("root", "angle")
    assert entry.file == tmp_path / "dropped.py"
    assert entry.summary == "Open nothing at all"


def test_every_source_declares_facts_that_exist():
    entries = {name: source_entry(name) for name in declared_sources()}
    assert {name for name, entry in entries.items() if entry.facts.root == "required"} == {"folder"}
    assert {name for name, entry in entries.items() if not entry.facts.publish} == {
        *("cifar10", "celeba", "faces", "folder")
    }
    for name, entry in entries.items():
        assert (entry.facts.root != "none") == ("root" in entry.options), name


def test_unknown_source_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"'Photo', .* \(did you mean 'photos'\?\): use one of"):
        source_entry("Photo")


@pytest.mark.parametrize("facts", ['root="folder"', "roots=1"])
def test_a_declaration_that_no_source_can_make_is_refused(tmp_path, facts):
    (tmp_path / "wrong.py").write_text(f'@register("wrong", {facts})\ndef f(image_size): pass\n')
    with pytest.raises(ConfigError, match="declar"):
        source_entry("wrong", tmp_path)


def test_the_decorator_refuses_them_too():
    with pytest.raises(ConfigError, match=r"root='requierd' .did you mean 'required'"):
        register("wrong", root="requierd")
