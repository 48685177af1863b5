"""Result tables as text, with the digits that were measured."""

from pathlib import Path

import numpy as np
import pandas as pd

from crosskrylov.runtime.files import write_tsv

#: Significant digits of what is computed, and of times, which no clock repeats to that many.
DIGITS = 6
DIGITS_OF_TIMES = 4


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a result table (.tsv), rounded by `rounded`; what is computed from stays exact.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    write_tsv(path, rounded(table))


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose numbers have `DIGITS` significant digits, seconds `DIGITS_OF_TIMES`.

    Columns of seconds are those that have the word in their name.  Integers and text stay as they
    are, and so does a table that was rounded before.
    """
    table = table.copy()
    for name in table.select_dtypes("floating"):
        digits = DIGITS_OF_TIMES if "seconds" in str(name).split("_") else DIGITS
        table[name] = _significant(table[name].to_numpy(float), digits)
    return table


def _significant(values: np.ndarray, digits: int) -> np.ndarray:
    # by the text, since powers of ten are not exact: 6.9310e-06 stays short
    return np.array([float(f"{value:.{digits - 1}e}") for value in values], dtype=float)
