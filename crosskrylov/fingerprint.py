"""What a folder holds, as one short text: for rules that depend on files they do not list.

Standard library only: the workflow calls it while it builds its graph, in whatever environment
Snakemake itself runs.
"""

import hashlib
import os
from pathlib import Path


def folder_fingerprint(folder) -> str:
    """Return a digest of the relative path, size and modification time of every file in a folder.

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
    entries = []
    for parent, _, names in os.walk(root, followlinks=True):
        for name in names:
            path = Path(parent) / name
            try:
                status = path.stat()
            except OSError:  # a dangling link, or removed while we look
                continue
            entries.append((path.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns))
    return hashlib.sha256(repr(sorted(entries)).encode()).hexdigest()[:16]
