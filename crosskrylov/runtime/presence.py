"""Jobs that are at work in a folder: a killed Snakemake leaves its jobs running, unseen.

Every job holds the system's lock on a small file of its own.  The lock ends with the process,
however that ends, so that a file nobody holds is what a killed job left behind.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None

from crosskrylov.runtime.files import HOST

#: Snakemake's own folder in the working directory; without it nobody could be surprised.
SNAKEMAKE = ".snakemake"


def _folder(directory: str | os.PathLike) -> Path:
    return Path(directory) / SNAKEMAKE / "at-work" / HOST


@contextmanager
def at_work(task: str, directory: str | os.PathLike = ".") -> Iterator[None]:
    """Say that this process works on ``task`` in a working directory of Snakemake's.

    Where the file cannot be written or locked, nothing is said: the work goes on.
    """
    descriptor, file = None, _folder(directory) / str(os.getpid())
    if fcntl is not None and (Path(directory) / SNAKEMAKE).is_dir():
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.truncate(descriptor, 0)
            os.write(descriptor, task.encode("utf-8", "backslashreplace"))
    try:
        yield
    finally:
        if descriptor is not None:
            file.unlink(missing_ok=True)
            os.close(descriptor)


def still_at_work(directory: str | os.PathLike = ".") -> dict[int, str]:
    """Return the processes of this machine that work in the directory, and on what."""
    found = {}
    for file in sorted(_folder(directory).glob("[0-9]*")) if fcntl is not None else ():
        with suppress(OSError, ValueError), file.open("r+b") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found[int(file.name)] = stream.read(200).decode("utf-8", "replace")
            else:
                file.unlink(missing_ok=True)  # of a killed process
    return found


def warnings_of_others(directory: str | os.PathLike = ".") -> list[str]:
    """Return one sentence for every process that a run started now would share the cores with."""
    return [
        f"Process {process} of another run is still working on {task or 'a job'}: wait for it, or "
        f"end it (kill {process}), before anything is timed."
        for process, task in still_at_work(directory).items()
    ]
