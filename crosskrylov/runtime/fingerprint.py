"""What a folder holds: its files, and one short text for rules that depend on them.

Standard library only: the workflow calls it while it builds its graph, in whatever environment
Snakemake itself runs.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from crosskrylov.errors import DataError


def _unreadable(error: OSError) -> None:
    raise DataError(
        f"folder {error.filename} cannot be read ({error.strerror}): make it readable or move it "
        "away."
    ) from None


def walk_files(root: Path, on_error: Callable[[OSError], None] = _unreadable) -> Iterator[str]:
    """Yield the relative path, "/" between folders, of every file in a folder and below.

    Links to folders are followed, but none is entered twice, so that a link to a parent ends.
    Hidden files and folders are left out: they are some program's notes about the others.  What is
    neither file nor folder (pipes, devices, links to nothing) is yielded too: leaving it out would
    hide it.

    Parameters
    ----------
    root : Path
    on_error : callable
        Called with the error of a folder that cannot be read; the default raises `DataError`.
    """
    entered = {os.path.realpath(root)}
    for parent, folders, names in os.walk(root, onerror=on_error, followlinks=True):
        inside = []
        for name in sorted(folders):
            target = os.path.realpath(os.path.join(parent, name))
            if not name.startswith(".") and target not in entered:
                entered.add(target)
                inside.append(name)
        folders[:] = inside  # os.walk enters these only
        for name in names:
            if not name.startswith("."):
                yield (Path(parent) / name).relative_to(root).as_posix()


def folder_fingerprint(folder) -> str:
    """Return a digest of the relative path, size and modification time of every file in a folder.

    Hidden files do not count; a folder that cannot be read counts as such (who reads it will say).

    Parameters
    ----------
    folder : path-like or None
        The folder; None if there is none to watch.

    Returns
    -------
    fingerprint : str
        16 hexadecimal digits; "" for None, "missing" if there is no such folder (what reads it
        will say so, better than a missing input can).
    """
    if folder is None:
        return ""
    root = Path(folder).expanduser()
    if not root.is_dir():
        return "missing"
    entries: list[tuple] = []
    for name in walk_files(root, lambda e: entries.append((str(e.filename), -1, e.errno or 0))):
        try:
            status = (root / name).stat()
        except OSError:  # a dangling link, or removed while we look
            continue
        entries.append((name, status.st_size, status.st_mtime_ns))
    return hashlib.sha256(repr(sorted(entries)).encode()).hexdigest()[:16]
