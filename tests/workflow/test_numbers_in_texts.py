"""The texts quote the tables that are committed beside them."""

from crosskrylov.reporting.numbers import rewritten
from crosskrylov.reporting.snapshot import write_readme
from tests.conftest import PROJECT


def test_numbers_of_readme_and_docs_are_those_of_the_tables():
    """Mends itself by `make numbers`; an error names the marker or the selector that is wrong."""
    assert list(rewritten(PROJECT)) == []


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
