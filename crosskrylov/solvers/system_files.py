"""Sparse linear systems in a folder: Matrix Market pairs and NPZ, as the export study writes."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.io
import scipy.sparse as sp

from crosskrylov.errors import DataError
from crosskrylov.runtime.files import atomic_path, load_npz, printable

#: Names of a matrix file, and of the right-hand side that belongs to it.
_PAIRS = (
    (re.compile(r"(?P<name>.+)_A\.mtx"), "{}_b.mtx"),
    (re.compile(r"A-(?P<name>.+)\.mtx"), "b-{}.mtx"),
)
_ARRAYS = ("data", "indices", "indptr", "shape", "b")


class NamedSystem(NamedTuple):
    """A system A x = b and the name of its files."""

    name: str
    matrix: sp.csr_array
    rhs: np.ndarray


def read_systems(folder: str | Path) -> list[NamedSystem]:
    """Read every system of a folder, by name.

    Parameters
    ----------
    folder : path-like
        Holds pairs NAME_A.mtx and NAME_b.mtx, or A-NAME.mtx and b-NAME.mtx (Matrix Market), or
        NAME.npz with the CSR arrays data, indices, indptr and shape, and b.  Of a name that has
        both, the .npz file is read.

    Returns
    -------
    list of NamedSystem
        In the order of their names; all square, of one size.

    Raises
    ------
    DataError
        If the folder holds no system, a right-hand side is missing, or a file cannot be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{printable(folder)} is no folder: name a folder of systems.")
    systems = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".npz":
            systems[path.stem] = _read_npz(path)
    for path in sorted(folder.iterdir()):
        for pattern, partner in _PAIRS:
            found = pattern.fullmatch(path.name)
            if found and found["name"] not in systems:
                systems[found["name"]] = _read_pair(path, folder / partner.format(found["name"]))
    if not systems:
        raise DataError(
            f"{printable(folder)} holds no systems: put pairs NAME_A.mtx and NAME_b.mtx there "
            "(Matrix Market), or NAME.npz with data, indices, indptr, shape and b."
        )
    found = [NamedSystem(name, *systems[name]) for name in sorted(systems)]
    first = found[0]
    for system in found:
        if system.matrix.shape != first.matrix.shape:
            raise DataError(
                f"System {printable(system.name)} has {system.matrix.shape[0]} unknowns, but "
                f"{printable(first.name)} has {first.matrix.shape[0]}: put systems of one size "
                "into a folder."
            )
    return found


def write_solution(path: str | Path, x: np.ndarray) -> None:
    """Write a solution, shape (n,), as a Matrix Market array with all its digits, atomically."""
    with atomic_path(path) as partial, partial.open("wb") as stream:
        scipy.io.mmwrite(stream, x[:, None], precision=17)


def _read_pair(path: Path, side: Path):
    if not side.is_file():
        raise DataError(
            f"{printable(path)} has no right-hand side: {printable(side.name)} is missing beside "
            "it."
        )
    matrix, rhs = _read_market(path), _read_market(side)
    return _checked(path, matrix, rhs.toarray() if sp.issparse(rhs) else rhs)


def _read_market(path: Path):
    try:
        return scipy.io.mmread(path)
    except (ValueError, OverflowError, StopIteration, EOFError) as error:
        raise DataError(
            f"{printable(path)} cannot be read as Matrix Market ({error}); write it again."
        ) from error


def _read_npz(path: Path):
    arrays = load_npz(path)
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing:
        raise DataError(
            f"{printable(path)} holds no system, since the array {missing[0]} is missing; it needs "
            f"{', '.join(_ARRAYS)}."
        )
    try:
        matrix = sp.csr_array(
            (arrays["data"], arrays["indices"], arrays["indptr"]), shape=tuple(arrays["shape"])
        )
        matrix.check_format(full_check=True)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{printable(path)} holds no CSR matrix ({error}); write it again."
        ) from error
    return _checked(path, matrix, arrays["b"])


def _checked(path: Path, matrix, rhs):
    """Return (CSR matrix, right-hand side (n,)); DataError if they do not fit together."""
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        shape = " x ".join(map(str, matrix.shape))
        raise DataError(f"The matrix of {printable(path)} is {shape}; it must be square.")
    if rhs.size != matrix.shape[0] or max(rhs.shape, default=0) != rhs.size:
        shape = " x ".join(map(str, rhs.shape))
        raise DataError(
            f"The right-hand side of {printable(path)} is {shape}, but the matrix has "
            f"{matrix.shape[0]} rows; it must be one vector of that length."
        )
    return sp.csr_array(matrix), np.asarray(rhs).ravel()
