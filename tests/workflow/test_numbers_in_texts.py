"""The texts quote the tables that are committed beside them."""

from crosskrylov.reporting.numbers import rewritten
from crosskrylov.reporting.snapshot import write_readme
from tests.conftest import PROJECT


def test_numbers_of_readme_and_docs_are_those_of_the_tables():
    """Mends itself by `make numbers`; an error names the marker or the selector that is wrong."""
    assert list(rewritten(PROJECT)) == []


def test_list_of_results_is_the_one_that_its_tables_give(tmp_path):
    results = PROJECT / "docs" / "results"
    for name in ("parts", "tables"):
        (tmp_path / name).symlink_to(results / name)
    write_readme(tmp_path)
    assert (tmp_path / "README.md").read_text("utf-8") == (results / "README.md").read_text("utf-8")
