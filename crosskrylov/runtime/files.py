"""Reading and writing of artifacts, and logging, for scripts and library alike (no numerics here).

Every writer is atomic: the bytes go to a hidden sibling of the target, which replaces the target
only once it is complete.  A killed job, an exception or a full disk therefore never leaves a
half-written artifact behind, and an older artifact stays intact until the new one is ready.
"""

import errno
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import time
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None

from crosskrylov.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: What libraries with their own error types (safetensors, torch) and NumPy, which keeps no number,
#: say of a full disk: "No space left on device", "400 requested and 0 written".
_DISK_FULL_TEXT = re.compile(r"No space left on device|\d+ requested and \d+ written")

#: Name of the file inside a folder that `locked` holds.
LOCK = ".lock"

#: Seconds between two looks whether a folder is free.
_PAUSE = 1.0

#: In the names of temporary files: on a shared disk, process numbers mean nothing without it.
HOST = platform.node().replace(os.sep, "-") or "host"


class _HeldError(DataError):
    """Somebody else holds a folder."""

    def __init__(self, folder: Path, holder: str):
        self.said = f"{printable(folder)} is being written by {holder}"
        super().__init__(f"{self.said}: wait for it, or choose another folder.")


def printable(name: str | os.PathLike) -> str:
    r"""Return a file name as text that can be printed and stored; ``\n`` for what cannot be."""
    text = os.fspath(name)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def locked(folder: str | os.PathLike) -> Iterator[None]:
    """Keep every other process out of ``folder`` that asks for it by this function.

    The lock is the system's, on a hidden file inside, and ends with the process however that ends;
    the file names the process for the others' message.  It is held against other threads too.
    Where the file system knows no locks, or the system none at all, nothing is held.

    Raises
    ------
    DataError
        If somebody else holds it, or the folder cannot be written to.
    """
    file = Path(folder) / LOCK
    with _explaining(file):
        while True:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                _lock(descriptor, Path(folder))
                if _is_still(descriptor, file):  # not removed by its last holder since we opened it
                    break
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
    try:
        with suppress(OSError):  # a full disk: the name is only for the message
            os.truncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {HOST}".encode())
        yield
    finally:
        file.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def locked_in_turn(folder: str | os.PathLike, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold ``folder``, made if missing, as `locked` does, but wait for whoever holds it.

    Its last holder may remove it, after it let go of it.

    Parameters
    ----------
    folder : path-like
    tell : callable
        Called with a sentence that names the holder, once, if there is one.

    Raises
    ------
    DataError
        If the folder cannot be written to.
    """
    told = False
    with ExitStack() as held:
        while True:
            with _explaining(Path(folder)):
                Path(folder).mkdir(parents=True, exist_ok=True)
            try:
                held.enter_context(locked(folder))
                break
            except _HeldError as error:
                if not told:
                    tell(f"{error.said}: waiting for it.")
                    told = True
                time.sleep(_PAUSE)
            except DataError as error:
                if not isinstance(error.__cause__, FileNotFoundError):  # removed since we made it
                    raise
        yield


def _is_still(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int, folder: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _HeldError(folder, _holder(descriptor)) from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise


def _holder(descriptor: int) -> str:
    """Who holds the lock; it writes its name just after it took it, hence the short patience."""
    for _ in range(20):
        name = os.pread(descriptor, 200, 0).decode("utf-8", "replace")
        if name:
            return name
        time.sleep(0.05)
    return "another process"


def check_writable_or_exit(folder: str | os.PathLike) -> None:
    """Leave with a sentence and status 1 if nothing can be written to a folder that is to be made.

    Snakemake would end in a traceback of its own at the first job.
    """
    place = Path(folder).absolute()
    while not place.exists():
        place = place.parent
    if not (place.is_dir() and os.access(place, os.W_OK)):
        raise SystemExit(
            f"Error: {printable(place)} cannot be written to: give permission, or choose another "
            "folder (--directory)."
        )


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary sibling of ``path`` to write a file to; it becomes ``path`` on success.

    Parameters
    ----------
    path : path-like
        The file to make or replace; its folder is made if missing.

    Yields
    ------
    Path
        Hidden path in the same folder and with the same suffix.  Removed if the body fails.

    Raises
    ------
    DataError
        If the disk is full, the folder cannot be written to, or the body wrote no file.
    """
    target = Path(path)
    with _partial_sibling(target) as partial:
        yield partial
        if not partial.is_file():
            raise DataError(f"Nothing was written to {target}: its writer made no file.")
        os.replace(partial, target)


@contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Yield an empty temporary folder beside ``path``; it becomes ``path`` on success.

    An existing folder of that name is replaced as a whole: it is moved aside, never merged with.

    Parameters
    ----------
    path : path-like
        The folder to make or replace.

    Yields
    ------
    Path
        Hidden empty folder beside the target.  Removed with its contents if the body fails.

    Raises
    ------
    DataError
        If the disk is full or the parent folder cannot be written to.
    """
    target = Path(path)
    with _partial_sibling(target) as partial:
        partial.mkdir()
        yield partial
        if target.exists():
            outgoing = partial.with_name(f"{partial.name}.old.partial{target.suffix}")
            os.replace(target, outgoing)
            os.replace(partial, target)
            shutil.rmtree(outgoing, ignore_errors=True)
        else:
            os.replace(partial, target)


@contextmanager
def _partial_sibling(target: Path) -> Iterator[Path]:
    """Yield an unused hidden path beside ``target`` and remove what is left there at the end."""
    owner = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    partial = target.with_name(f".{target.stem}.{HOST}.{owner}.partial{target.suffix}")
    try:
        with _explaining(target, partial):
            target.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(target)
            yield partial
    finally:
        _remove(partial)


@contextmanager
def _explaining(target: Path, partial: Path | None = None) -> Iterator[None]:
    """Turn errors that mean that ``target`` cannot be written into one sentence."""
    try:
        yield
    except Exception as error:
        explanation = _explained(error, target, partial)
        if explanation is None:
            raise
        raise explanation from error


def _remove_abandoned(target: Path) -> None:
    """Remove what processes of this machine left beside ``target`` when they were killed."""
    prefix, suffix = f".{target.stem}.{HOST}.", f".partial{target.suffix}"
    for file in target.parent.glob(f"{glob.escape(prefix)}*{glob.escape(suffix)}"):
        process = file.name.removeprefix(prefix).partition("-")[0]
        if process.isdigit() and not _is_running(int(process)):
            _remove(file)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 only asks
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's
    return True


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except (IsADirectoryError, PermissionError):  # macOS says the latter of folders
        shutil.rmtree(path, ignore_errors=True)
    except OSError:
        pass  # not there, or what kept it from being made keeps it from being looked up


def _explained(error: Exception, target: Path, partial: Path | None) -> DataError | None:
    """Return a one-sentence `DataError` if ``error`` means that ``target`` cannot be written."""
    if getattr(error, "errno", None) in _DISK_FULL or _DISK_FULL_TEXT.search(str(error)):
        return DataError(
            f"The disk is full: {printable(target)} could not be written; free some space and run "
            "again (nothing was left half-written)."
        )
    concerned = {str(path) for path in (partial, target, *target.parents)}
    if isinstance(error, OSError) and str(error.filename) in concerned:
        return DataError(
            f"Cannot write {printable(target)}: {error.strerror}; choose another folder."
        )
    return None


def save_npz(path: str | os.PathLike, /, *, compressed: bool = False, **arrays: Any) -> None:
    """Write named arrays to one ``.npz`` file, atomically and bit-reproducibly, without pickling.

    Parameters
    ----------
    path : path-like
        File to make or replace.
    compressed : bool
        Deflate the arrays (smaller, slower).
    **arrays : array_like
        Arrays by name; strings become unicode arrays.

    Raises
    ------
    TypeError
        If an array has dtype object, which could only be stored as a pickle.
    DataError
        If the file cannot be written.
    """
    converted = {name: np.asarray(value) for name, value in arrays.items()}
    for name, value in converted.items():
        if value.dtype.hasobject:
            raise TypeError(f"array {name!r} has dtype {value.dtype}: objects are never pickled")
    write = np.savez_compressed if compressed else np.savez
    with atomic_path(path) as partial, partial.open("wb") as stream:
        write(stream, **converted)


def load_npz(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read every array of an ``.npz`` file into memory.

    Parameters
    ----------
    path : path-like
        File written by `save_npz`.

    Returns
    -------
    dict of str to ndarray
        Arrays by name.

    Raises
    ------
    DataError
        If the file is missing, damaged, no archive of arrays, or holds pickled objects.
    """
    try:
        # opened here, not by np.load, which would also accept a bare .npy file or a pickle
        with Path(path).open("rb") as stream, np.lib.npyio.NpzFile(stream) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: make it first or correct the path.") from None
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, KeyError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read as an archive of arrays ({error}): delete it and make it again."
        ) from error


def file_sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write ``value`` as indented UTF-8 JSON, atomically; NumPy numbers and arrays are converted.

    File names that are no UTF-8 (lone surrogates in Python) are escaped and read back unchanged.

    Raises
    ------
    ValueError
        If a number is not finite (JSON has no such number; leave the entry out instead).
    DataError
        If the file cannot be written.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    with atomic_path(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def _plain(value: Any) -> Any:
    """Return the JSON-serialisable twin of a NumPy value or a path."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"cannot write a {type(value).__name__} to JSON")


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file.

    Raises
    ------
    DataError
        If the file is missing or is not valid JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: make it first or correct the path.") from None
    except (ValueError, OSError, RecursionError) as error:
        raise DataError(
            f"{path} cannot be read as JSON ({error}): delete it and make it again."
        ) from error


def write_tsv(path: str | os.PathLike, table: "pd.DataFrame") -> None:
    """Write a table as tab-separated text without index, atomically; missing values stay empty.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    with atomic_path(path) as partial:
        table.to_csv(partial, sep="\t", index=False, na_rep="", lineterminator="\n")


def read_tsv(path: str | os.PathLike) -> "pd.DataFrame":
    """Read a tab-separated table; only an empty cell counts as missing (``none`` is a word).

    Raises
    ------
    DataError
        If the file is missing, empty or not a rectangular table.
    """
    import pandas as pd  # here, since most users of this module need no tables

    try:
        return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: make it first or correct the path.") from None
    except (ValueError, OSError) as error:
        raise DataError(
            f"{path} cannot be read as a table ({error}): delete it and make it again."
        ) from error
