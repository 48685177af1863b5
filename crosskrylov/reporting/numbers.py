"""Measured numbers in the texts: what they say is what the snapshot's tables hold.

A number stands in a text between two comments, ``<!--n:NAME-->85.3 %<!--/n-->``, and its name in
docs/numbers.yaml, which says what cell of what table it is and how it is printed.  This command
(and `make snapshot`) writes all of them again; ``--check`` only says which differ.
"""

import argparse
import itertools
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from crosskrylov.errors import ConfigError, CrosskrylovError, DataError
from crosskrylov.runtime.files import atomic_path, read_tsv

#: Where numbers may stand, which mapping they follow, and what tables they come from.
TEXTS = ("README.md", "docs/*.md", "docs/how-to/*.md", "docs/examples/*.md")
MAPPING = "docs/numbers.yaml"
TABLES = "docs/results/tables"

MARKER = re.compile(r"<!--n:(?P<name>[^<>]*?)-->(?P<text>.*?)<!--/n-->", re.DOTALL)
#: An opening or closing comment, to find those without a partner.
COMMENT = re.compile(r"<!--(?:n:.*?|/n)-->")

REDUCTIONS = ("min", "max", "mean", "median", "sum", "count")
BOUNDS = {"upper": ROUND_CEILING, "lower": ROUND_FLOOR}
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Number:
    """One number of the texts; the keys of an entry of the mapping.

    Attributes
    ----------
    name : str
        What the text calls it.
    entry : str
        Key of the mapping that declares it: the name, or, with ``each``, what names are made of.
    table : str
        Name of the table, without folder and ending.
    value : str
        Column, or arithmetic of columns (`pandas.DataFrame.eval`): "measured / predicted".
    where : mapping
        The row: column to value, or to a list of values.
    reduce : str, optional
        One of `REDUCTIONS`, where several rows are meant; without it exactly one has to fit.
    skip_empty : bool
        With ``reduce``, rows without the value are left out; otherwise they are an error.
    over : mapping, optional
        Makes the number a ratio: ``where`` (what differs), ``value`` and ``table`` (if it differs)
        of the denominator.
    low, high : str, optional
        Columns of the interval's ends, or, with ``reduce``, one of `REDUCTIONS`.
    scale : float
        Factor before printing: 100 for per cent.
    format : str
        As for `str.format`, or "power": one digit and a power of ten.
    bound : str, optional
        "upper" ("at most"): what is printed is rounded up, never below the value; "lower": down.
    interval : str
        What is printed after it of low and high, if the table has both.
    """

    name: str
    entry: str
    table: str
    value: str
    where: Mapping[str, Any] = field(default_factory=dict)
    reduce: str | None = None
    skip_empty: bool = False
    over: Mapping[str, Any] | None = None
    low: str | None = None
    high: str | None = None
    scale: float = 1.0
    format: str = "{:.3g}"
    bound: str | None = None
    interval: str = " ({:.3g}\N{EN DASH}{:.3g})"


# --- the mapping ----------------------------------------------------------------------------------


def read_mapping(path: str | Path) -> dict[str, Number]:
    """Return the numbers that a mapping declares, by name.

    An entry with ``each``, columns with lists of values, stands for one number per combination: its
    name holds every column in braces, and the combination is part of ``where``.  ``each`` may also
    list choices for the entry's own ``value`` and ``reduce``.

    Raises
    ------
    ConfigError
        If an entry is none, or two have one name.
    """
    entries = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    numbers: dict[str, Number] = {}
    for template, entry in entries.items():
        for name, own in _expanded(path, template, entry):
            if name in numbers:
                raise ConfigError(f"{path}: {name} is declared twice: remove one.")
            numbers[name] = _number(path, name, template, own)
    return numbers


def _expanded(path, template: str, entry: Mapping) -> Iterable[tuple[str, dict]]:
    entry = dict(entry)
    each = entry.pop("each", {})
    for values in itertools.product(*each.values()):
        chosen = dict(zip(each, values, strict=True))
        try:
            name = template.format(**chosen)
        except KeyError as error:
            raise ConfigError(f"{path}: {template}: each does not list {error}: add it.") from None
        own = {key: chosen.pop(key) for key in ("value", "reduce") if key in chosen}
        yield name, entry | own | {"where": chosen | dict(entry.get("where") or {})}


def _number(path, name: str, template: str, entry: Mapping) -> Number:
    known = {its.name for its in fields(Number)} - {"name", "entry"}
    for key in sorted(set(entry) - known):
        raise ConfigError(f"{path}: {name}: {key} is unknown: use {', '.join(sorted(known))}.")
    for key in ("table", "value"):
        if key not in entry:
            raise ConfigError(f"{path}: {name}: {key} is missing: name it.")
    number = Number(name, template, **entry)
    if number.reduce is not None and number.reduce not in REDUCTIONS:
        raise ConfigError(
            f"{path}: {name}: reduce is {number.reduce!r}: use one of {', '.join(REDUCTIONS)}."
        )
    if number.bound is not None and number.bound not in BOUNDS:
        raise ConfigError(f"{path}: {name}: bound is {number.bound!r}: use {' or '.join(BOUNDS)}.")
    return number


# --- from the tables to text ----------------------------------------------------------------------


def printed(number: Number, tables: str | Path) -> str:
    """Return a number as the texts print it.

    Raises
    ------
    DataError
        If the table or a column is missing, no row fits, several do and ``reduce`` does not say
        what of them is meant, or the cell is empty.
    """
    rows = _rows(number, tables)
    ends = [_end(number, rows, end) for end in (number.low, number.high)]
    value = _cell(number, rows)
    if number.over is not None:
        other = replace(
            number,
            table=number.over.get("table", number.table),
            value=number.over.get("value", number.value),
            where=dict(number.where) | dict(number.over.get("where") or {}),
        )
        below = _cell(other, _rows(other, tables))
        value, ends = value / below, [end / below for end in ends]
    if isinstance(value, str):
        return number.format.format(value)
    text = _formatted(number.format, value * number.scale, number.bound)
    if not np.isnan(ends).any():
        text += number.interval.format(*(end * number.scale for end in ends))
    return text


def _rows(number: Number, tables: str | Path) -> pd.DataFrame:
    table = _table(Path(tables) / f"{number.table}.tsv")
    for column in number.where:
        if column not in table:
            raise _no_column(number, column)
    for column, wanted in number.where.items():
        choices = wanted if isinstance(wanted, list) else [wanted]
        table = table[np.logical_or.reduce([_equals(table[column], one) for one in choices])]
    if len(table) != 1 and (number.reduce is None or table.empty):
        raise DataError(
            f"{number.name}: {len(table)} rows of {number.table}.tsv have {dict(number.where)}: "
            f"correct `where` in {MAPPING}, or say `reduce` where several are meant."
        )
    return table


def _table(path: Path) -> pd.DataFrame:
    return _read(path, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=32)  # a hundred numbers come from one table
def _read(path: Path, changed: int) -> pd.DataFrame:
    return read_tsv(path)


def _no_column(number: Number, column: str) -> DataError:
    return DataError(
        f"{number.name}: {number.table}.tsv has no column {column!r}: correct {MAPPING}."
    )


def _values(number: Number, rows: pd.DataFrame) -> pd.Series:
    """Return the column, or what the arithmetic of columns gives, of some rows."""
    if number.value in rows:
        return rows[number.value]
    try:
        return rows.eval(number.value, engine="python")
    except (NameError, SyntaxError):
        raise _no_column(number, number.value) from None


def _equals(column: pd.Series, wanted: Any) -> np.ndarray:
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return np.isclose(pd.to_numeric(column, errors="coerce"), wanted, rtol=1e-9, atol=0)
    return (column.astype(str) == str(wanted)).to_numpy()


def _cell(number: Number, rows: pd.DataFrame) -> Any:
    """Return the value, a float or text, of the one row or of all."""
    values = _values(number, rows)
    if number.reduce == "count":
        return float(len(rows))
    if number.reduce is not None and number.skip_empty:
        values = values.dropna()
    if values.empty or values.isna().any():
        raise DataError(
            f"{number.name}: {number.value} of {number.table}.tsv is empty where "
            f"{dict(number.where)}: nothing was measured; take the number out of the texts."
        )
    value = values.iloc[0] if number.reduce is None else values.agg(number.reduce)
    try:
        return float(value)  # a number's text where other rows of the column hold words
    except ValueError:
        return value


def _end(number: Number, rows: pd.DataFrame, end: str | None) -> float:
    """Return an end of the interval, NaN without one."""
    if end is None:
        return float("nan")
    if number.reduce is not None and end in REDUCTIONS:
        return float(_values(number, rows).agg(end))
    if end not in rows:  # tables from before there were intervals
        return float("nan")
    return float(rows[end].iloc[0])


def _formatted(how: str, value: float, bound: str | None) -> str:
    plain = how if how != "power" else "{:.0e}"
    if bound is not None:  # the digits that are printed say where to round
        digits = re.search(r"[\d.,]+(e[-+]?\d+)?", plain.format(value))[0].replace(",", "")
        last = Decimal(1).scaleb(Decimal(digits).as_tuple().exponent)
        exact = Decimal(repr(float(f"{value:.12g}")))  # without the rounding of the arithmetic
        value = float((exact / last).to_integral_value(BOUNDS[bound]) * last)
    if how != "power":
        return re.sub("^-", "\N{MINUS SIGN}", how.format(value))
    digit, exponent = plain.format(value).split("e")
    return f"{digit}·10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


# --- the texts ------------------------------------------------------------------------------------


def filled(text: str, values: Mapping[str, str], where: str = "the text") -> tuple[str, set[str]]:
    """Return a text with its numbers written again, and their names.

    Raises
    ------
    DataError
        If a marker names no number, or has no partner.
    """
    used = set()

    def one(match: re.Match) -> str:
        name = match["name"]
        if name not in values:
            raise DataError(f"{where}: the number {name!r} is not in {MAPPING}: declare it there.")
        used.add(name)
        return f"<!--n:{name}-->{values[name]}<!--/n-->"

    _check_partners(text, where)
    return MARKER.sub(one, text), used


def _check_partners(text: str, where: str) -> None:
    opened = None
    for comment in (*COMMENT.findall(text), None):
        closes = comment == "<!--/n-->"
        if closes == (opened is None) and (comment or opened):
            raise DataError(
                f"{where}: {opened or comment!r} has no partner: a number stands between "
                "<!--n:NAME--> and <!--/n-->."
            )
        opened = None if closes else comment


def rewritten(root: str | Path = ".") -> dict[Path, str]:
    """Return the texts that differ from the tables, as they should be, by file.

    Raises
    ------
    ConfigError, DataError
        If the mapping is wrong, a number cannot be found, a marker has no mapping or no partner, or
        an entry of the mapping no marker.
    """
    root = Path(root)
    numbers = read_mapping(root / MAPPING)
    files = sorted({file for pattern in TEXTS for file in root.glob(pattern)})
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    named = {match["name"] for text in texts.values() for match in MARKER.finditer(text)}
    values = {name: printed(numbers[name], root / TABLES) for name in numbers if name in named}
    changed, used = {}, set()
    for file, text in texts.items():
        new, names = filled(text, values, str(file.relative_to(root)))
        used |= names
        if new != text:
            changed[file] = new
    declared = {number.entry for number in numbers.values()}
    for entry in sorted(declared - {numbers[name].entry for name in used}):
        raise DataError(f"{MAPPING}: {entry} stands in no text: remove it, or write its marker.")
    return changed


def rewrite(root: str | Path = ".") -> list[Path]:
    """Write the numbers of all texts again; return the files that changed."""
    changed = rewritten(root)
    for file, text in changed.items():
        with atomic_path(file) as partial:
            partial.write_text(text, encoding="utf-8")
    return list(changed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m crosskrylov.reporting.numbers", description=__doc__
    )
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a text differs")
    parser.add_argument("--root", default=".", help="the checkout (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        files = list(rewritten(options.root)) if options.check else rewrite(options.root)
    except CrosskrylovError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    for file in files:
        print(f"{file} {'differs from the tables' if options.check else 'was written'}")
    return int(bool(options.check and files))


if __name__ == "__main__":
    sys.exit(main())
