import pandas as pd

from crosskrylov.reporting.tables.writing import rounded, write_table
from crosskrylov.runtime.files import read_tsv

TABLE = pd.DataFrame(
    {
        "solver": ["a", "b"],
        "total_seconds": [6.931000825716183e-06, 123.456789],
        "n": [1234567, 3],
        "residual": [1.277161226065338e-15, None],
    }
)


def test_tables_have_the_digits_that_were_measured(tmp_path):
    write_table(tmp_path / "t.tsv", TABLE)
    text = (tmp_path / "t.tsv").read_text().splitlines()
    assert text[1] == "a\t6.931e-06\t1234567\t1.27716e-15"
    assert text[2] == "b\t123.5\t3\t"  # what was not measured stays empty


def test_rounding_again_changes_nothing(tmp_path):
    write_table(tmp_path / "t.tsv", TABLE)
    pd.testing.assert_frame_equal(rounded(read_tsv(tmp_path / "t.tsv")), rounded(TABLE))
