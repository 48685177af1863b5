"""The texts quote the tables that are committed beside them."""

import re

from crosskrylov.reporting.numbers import MARKER, rewritten
from crosskrylov.reporting.snapshot import write_readme
from tests.conftest import PROJECT


def test_numbers_of_readme_and_docs_are_those_of_the_tables():
    """Mends itself by `make numbers`; an error names the marker or the selector that is wrong."""
    assert list(rewritten(PROJECT)) == []


#: What docs/theory.md may type: constants of proofs and tests, settings, the least p-value of 999
#: permutations.
TYPED = {"0.9", "1.5", "0.01", "0.04", "0.001", "95 %"}


def test_measured_numbers_of_the_theory_stand_between_markers():
    """Outside markers there is no decimal, per cent or power of ten, and no figure in a table."""
    text = (PROJECT / "docs" / "theory.md").read_text("utf-8")
    text = re.sub(r"`[^`\n]*`|\]\([^)]*\)", "", MARKER.sub("", text))
    found = re.findall(r"\d+\.\d+|\d+ %|\d·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+|\d+-fold|± \d+", text)
    assert set(found) - TYPED == set()
    tables = [block.splitlines()[2:] for block in text.split("\n\n") if block[:1] == "|"]
    assert len(tables) == 4
    cells = [cell for table in tables for line in table for cell in line.split("|")[2:]]
    assert [cell for cell in cells if re.search(r"\d", cell)] == []


def test_tables_printed_in_the_list_of_results_are_those_beside_it(tmp_path):
    results = PROJECT / "docs" / "results"
    for name in ("parts", "tables"):
        (tmp_path / name).symlink_to(results / name)
    write_readme(tmp_path)
    printed = [
        [line for line in (folder / "README.md").read_text("utf-8").splitlines() if line[:1] == "|"]
        for folder in (results, tmp_path)
    ]
    assert printed[0] == printed[1]
