"""What a cluster is asked for, from the benchmark files of a run."""

import pytest
import yaml

from crosskrylov.errors import DataError
from crosskrylov.reporting.resources import demands, main, rule_of, set_resources

HEAD = "s\th:m:s\tmax_rss\n"


@pytest.fixture
def benchmarks(tmp_path):
    """Two jobs of one rule, a job of another that ended before anybody looked, and a table's."""
    folder = tmp_path / "toy" / "seed7"
    folder.mkdir(parents=True)
    (folder / "precompute_scores-1-of-2.tsv").write_text(HEAD + "100\t0:01:40\t300\n")
    (folder / "precompute_scores-2-of-2.tsv").write_text(HEAD + "900\t0:15:00\t200\n")
    (folder / "embed_scores-embedded.tsv").write_text(HEAD + "0.1\t0:00:00\t-\n")
    (tmp_path / "quality_table.tsv").write_text(HEAD + "2\t0:00:02\t90\n")
    return tmp_path


def test_the_rule_is_in_the_name():
    assert rule_of("benchmarks/gather_study-theory.tsv") == "gather_study"


def test_the_most_demanding_job_counts(benchmarks):
    found = demands([benchmarks], ["precompute_scores", "embed_scores"])
    assert list(found) == ["embed_scores", "precompute_scores"]
    assert found["precompute_scores"] == (2, 900.0, 300.0)
    assert (found["precompute_scores"].ask_mb, found["precompute_scores"].ask_minutes) == (1000, 60)
    assert found["embed_scores"].memory_mb is None


def test_what_is_printed_is_an_entry_of_a_profile(benchmarks):
    entry = yaml.safe_load(set_resources(demands([benchmarks])))["set-resources"]
    assert entry["precompute_scores"] == {"mem_mb": "1000 * attempt", "runtime": "60 * attempt"}
    assert set(entry) == {"embed_scores", "precompute_scores", "quality_table"}


def test_a_folder_without_benchmarks_is_a_sentence(tmp_path, capsys):
    with pytest.raises(DataError, match="holds no benchmark files"):
        demands([tmp_path])
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("Error: ")
