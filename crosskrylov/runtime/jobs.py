"""The frame of every job: its log file, and one sentence on stderr when it fails."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crosskrylov.errors import CrosskrylovError


class _OneSentence(logging.Formatter):
    """Formatter for stderr: errors that the project raises on purpose come without traceback."""

    def format(self, record: logging.LogRecord) -> str:
        expected = record.exc_info and isinstance(record.exc_info[1], CrosskrylovError)
        if not expected:
            return super().format(record)
        return f"{record.levelname}: {record.exc_info[1]}"


@contextmanager
def logged(path: str | os.PathLike) -> Iterator[logging.Logger]:
    """Send log records and errors to a file and to stderr; leave with exit status 1 on error.

    Snakemake's ``log:`` redirects nothing for ``script:`` jobs, so every script runs its body
    inside this context.  The log file always gets the full traceback; stderr shows one sentence
    for a `CrosskrylovError` and the traceback for anything unexpected.

    Parameters
    ----------
    path : path-like
        Log file; overwritten, its folder is made if missing.

    Yields
    ------
    logging.Logger
        The project's logger.

    Raises
    ------
    SystemExit
        With status 1 after any `Exception` in the body.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    log_file = logging.FileHandler(path, mode="w", encoding="utf-8")
    log_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    console = logging.StreamHandler()
    console.setFormatter(_OneSentence("%(levelname)s: %(message)s"))
    root = logging.getLogger()
    previous_level = root.level
    root.setLevel(logging.INFO)
    for handler in (log_file, console):
        root.addHandler(handler)
    logging.captureWarnings(True)
    logger = logging.getLogger("crosskrylov")
    try:
        yield logger
    except Exception as error:
        logger.error("%s", error, exc_info=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        logger.error("interrupted")
        raise
    finally:
        # Undone so that several script bodies can run in one process (tests, notebooks).
        logging.captureWarnings(False)
        for handler in (log_file, console):
            root.removeHandler(handler)
        log_file.close()
        root.setLevel(previous_level)
