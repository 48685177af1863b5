"""Numbers between comments in the texts are those of the tables, or somebody says why not."""

import pandas as pd
import pytest
import yaml

from crosskrylov.errors import ConfigError, CrosskrylovError, DataError
from crosskrylov.reporting import numbers
from crosskrylov.runtime.files import write_tsv

TABLE = pd.DataFrame(
    {
        "solver": ["a", "b", "b"],
        "size": [32, 32, 64],
        "reached": [True, False, None],
        "saved": [0.8532, 0.9, 0.95],
        "saved_low": [0.849, 0.89, None],
        "saved_high": [0.857, 0.91, None],
        "error": [3.9e-6, 1e-6, None],
        "note": ["fast", "slow", "slow"],
    }
)
SAVED = {
    "table": "solvers",
    "where": {"solver": "a"},
    "value": "saved",
    "scale": 100,
    "format": "{:.1f} %",
}


SKIP = {"skip_empty": True}


@pytest.fixture
def checkout(tmp_path):
    """A checkout with one table, a mapping and a README that quotes it."""
    write_tsv(tmp_path / "docs" / "results" / "tables" / "solvers.tsv", TABLE)
    (tmp_path / "docs" / "numbers.yaml").write_text(yaml.safe_dump({"saved": SAVED}))
    (tmp_path / "README.md").write_text("It saves **<!--n:saved-->1 %<!--/n-->** here.\n")
    return tmp_path


def say(checkout, text):
    (checkout / "README.md").write_text(text)


def declare(checkout, **entries):
    (checkout / "docs" / "numbers.yaml").write_text(yaml.safe_dump(entries))


def shown(checkout, **entry):
    """Return how one number is printed."""
    number = numbers.Number("x", "x", **({"table": "solvers", "value": "saved"} | entry))
    return numbers.printed(number, checkout / "docs" / "results" / "tables")


# --- texts ----------------------------------------------------------------------------------------


def test_number_is_written_and_stays(checkout):
    assert numbers.rewrite(checkout) == [checkout / "README.md"]
    text = "It saves **<!--n:saved-->85.3 %<!--/n-->** here.\n"
    assert (checkout / "README.md").read_text() == text
    assert numbers.rewrite(checkout) == []


def test_a_number_may_stand_in_several_texts_and_several_times(checkout):
    marker = "<!--n:saved-->?<!--/n-->"
    say(checkout, f"{marker} and {marker}\n")
    (checkout / "docs" / "findings.md").write_text(f"| {marker} |\n")
    assert len(numbers.rewrite(checkout)) == 2
    assert (checkout / "README.md").read_text().count("-->85.3 %<!--") == 2


def test_check_writes_nothing_and_names_the_text(checkout, capsys):
    before = (checkout / "README.md").read_text()
    assert numbers.main(["--check", "--root", str(checkout)]) == 1
    assert (checkout / "README.md").read_text() == before
    assert "README.md differs from the tables" in capsys.readouterr().out
    assert numbers.main(["--root", str(checkout)]) == 0
    assert numbers.main(["--check", "--root", str(checkout)]) == 0


def test_marker_without_mapping(checkout, capsys):
    say(checkout, "<!--n:saved-->1<!--/n--> <!--n:savde-->1<!--/n-->")
    assert numbers.main(["--root", str(checkout)]) == 1
    assert "README.md: the number 'savde' is not in docs/numbers.yaml" in capsys.readouterr().err


def test_mapping_without_marker(checkout):
    declare(checkout, saved=SAVED, unused=SAVED)
    with pytest.raises(DataError, match="unused stands in no text"):
        numbers.rewrite(checkout)


@pytest.mark.parametrize(
    "text",
    [
        "<!--n:saved-->1",
        "1<!--/n-->",
        "<!--n:saved-->1<!--n:saved-->2<!--/n-->",
        "<!--n:saved-->1<!--/n-->2<!--/n-->",
    ],
)
def test_comment_without_partner(checkout, text):
    say(checkout, text)
    with pytest.raises(DataError, match="has no partner"):
        numbers.rewrite(checkout)


def test_other_comments_are_left_alone(checkout):
    say(checkout, "<!-- note --> <!--n:saved-->85.3 %<!--/n--> <!-- /notes -->")
    assert numbers.rewrite(checkout) == []


# --- selectors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"where": {"solver": "c"}}, "0 rows of solvers.tsv"),
        ({"where": {"solver": "b"}}, "2 rows of solvers.tsv"),
        ({"where": {"solver": "c"}, "reduce": "max"}, "0 rows of solvers.tsv"),
        ({"where": {"sovler": "a"}}, "no column 'sovler'"),
        ({"where": {"solver": "a"}, "value": "svaed"}, "no column 'svaed'"),
        ({"where": {"solver": "b", "size": 64}, "value": "error"}, "nothing was measured"),
        ({"where": {"solver": "b"}, "value": "error", "reduce": "max"}, "nothing was measured"),
        (
            {"where": {"size": 64}, "value": "error", "reduce": "max", **SKIP},
            "nothing was measured",
        ),
        ({"where": {"solver": "a"}, "value": "saved / svaed"}, "no column 'saved / svaed'"),
        ({"where": {"solver": "a"}, "value": "saved /"}, "no column 'saved /'"),
        ({"table": "nothing", "where": {}}, "does not exist"),
    ],
)
def test_wrong_selector_is_one_sentence(checkout, entry, sentence):
    with pytest.raises(CrosskrylovError, match=sentence):
        shown(checkout, **entry)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"where": {"solver": "b", "size": 64}, "format": "{:.2f}"}, "0.95"),
        ({"where": {"size": 64.0}, "format": "{:.2f}"}, "0.95"),
        ({"where": {"reached": True}}, "0.853"),
        ({"where": {"solver": "a"}, "value": "note", "format": "{}"}, "fast"),
        ({"where": {"solver": "a"}, "value": "error", "format": "power"}, "4·10⁻⁶"),
        ({"where": {"solver": "b"}, "reduce": "mean"}, "0.925"),
        ({"where": {"size": [32, 64]}, "reduce": "count", "format": "{:.0f}"}, "3"),
        (
            {"where": {}, "reduce": "mean", "low": "min", "high": "max", "format": "{:.1f}"},
            "0.9 (0.853\N{EN DASH}0.95)",
        ),
        ({"where": {"size": 64}, "value": "1 - 2 * saved"}, "\N{MINUS SIGN}0.9"),
        (
            {"where": {"solver": "b"}, "value": "saved / saved_high", "reduce": "max", **SKIP},
            "0.989",
        ),
        ({"where": {}, "value": "error", "reduce": "max", **SKIP, "format": "power"}, "4·10⁻⁶"),
    ],
)
def test_cells_and_formats(checkout, entry, text):
    assert shown(checkout, **entry) == text


@pytest.mark.parametrize(
    ("bound", "how", "text"),
    [
        ("upper", "{:.1f} %", "85.4 %"),
        ("lower", "{:.1f} %", "85.3 %"),
        ("upper", "{:.2f}", "85.32"),  # exact as it stands
        ("lower", "{:.0f}", "85"),
        ("upper", "{:.2g}", "86"),
        ("upper", "power", "9·10¹"),
        ("lower", "power", "8·10¹"),
    ],
)
def test_a_bound_is_rounded_to_its_side(checkout, bound, how, text):
    entry = {"where": {"solver": "a"}, "scale": 100, "format": how, "bound": bound}
    assert shown(checkout, **entry) == text


def test_interval_is_printed_where_the_table_has_one(checkout):
    ends = {"low": "saved_low", "high": "saved_high", "scale": 100, "format": "{:.1f} %"}
    ends["interval"] = " ({:.1f}\N{EN DASH}{:.1f})"
    assert shown(checkout, where={"solver": "a"}, **ends) == "85.3 % (84.9\N{EN DASH}85.7)"
    assert shown(checkout, where={"size": 64}, **ends) == "95.0 %"
    ends["low"] = "of_a_later_table"
    assert shown(checkout, where={"solver": "a"}, **ends) == "85.3 %"


def test_ratio_of_two_cells(checkout):
    over = {"where": {"solver": "b"}, "value": "saved_low"}
    entry = {"where": {"solver": "a", "size": 32}, "over": over, "format": "{:.4f}x"}
    assert shown(checkout, **entry) == f"{0.8532 / 0.89:.4f}x"


# --- the mapping ----------------------------------------------------------------------------------


def test_each_stands_for_every_combination(checkout):
    each = {"solver": ["a", "b"], "size": [32]}
    declare(checkout, **{"saved.{solver}.{size}": SAVED | {"where": {}, "each": each}})
    say(checkout, "<!--n:saved.a.32-->?<!--/n--> <!--n:saved.b.32-->?<!--/n-->")
    numbers.rewrite(checkout)
    text = "<!--n:saved.a.32-->85.3 %<!--/n--> <!--n:saved.b.32-->90.0 %<!--/n-->"
    assert (checkout / "README.md").read_text() == text


def test_each_may_list_columns_and_reductions(checkout):
    each = {"value": ["saved", "saved_low"], "reduce": ["min", "max"], "solver": ["a", "b"]}
    declare(checkout, **{"{value}.{reduce}.{solver}": {"table": "solvers", "each": each} | SKIP})
    say(checkout, "<!--n:saved.max.b-->?<!--/n--> <!--n:saved_low.min.a-->?<!--/n-->")
    numbers.rewrite(checkout)  # of a family some numbers are enough
    text = "<!--n:saved.max.b-->0.95<!--/n--> <!--n:saved_low.min.a-->0.849<!--/n-->"
    assert (checkout / "README.md").read_text() == text
    say(checkout, "nothing")
    with pytest.raises(DataError, match=r"\{value\}.\{reduce\}.\{solver\} stands in no text"):
        numbers.rewrite(checkout)


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"saved": SAVED | {"formta": "{}"}}, "saved: formta is unknown"),
        ({"saved": {"table": "solvers"}}, "saved: value is missing"),
        ({"saved": SAVED | {"reduce": "maximum"}}, "reduce is 'maximum'"),
        ({"saved": SAVED | {"bound": "above"}}, "bound is 'above': use upper or lower"),
        ({"saved.{size}": SAVED}, "each does not list 'size'"),
        ({"saved": SAVED | {"each": {"size": [32, 64]}}}, "saved is declared twice"),
    ],
)
def test_wrong_mapping_is_one_sentence(checkout, entries, sentence):
    declare(checkout, **entries)
    with pytest.raises(ConfigError, match=sentence):
        numbers.rewrite(checkout)
