"""The tests that the page on hostile input names exist."""

import re

from tests.conftest import PROJECT


def test_every_row_names_tests_that_exist():
    rows = [
        line
        for line in (PROJECT / "docs" / "robustness.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
    ][1:]
    written = "".join(file.read_text(encoding="utf-8") for file in PROJECT.glob("tests/**/*.py"))
    assert len(rows) == 29
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        for name in named:
            assert f"def {name}(" in written, name
