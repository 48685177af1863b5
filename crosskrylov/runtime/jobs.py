"""The frame of every job: its arguments, its log file, one sentence on stderr when it fails."""

import inspect
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from crosskrylov.errors import CodeError, CrosskrylovError
from crosskrylov.runtime.files import file_sha256
from crosskrylov.runtime.presence import at_work


class _OneSentence(logging.Formatter):
    """Formatter for stderr: errors that the project raises on purpose come without traceback."""

    def format(self, record: logging.LogRecord) -> str:
        expected = record.exc_info and isinstance(record.exc_info[1], CrosskrylovError)
        if not expected:
            return super().format(record)
        return f"{record.levelname}: {record.exc_info[1]}"


class _LogFile(logging.FileHandler):
    """A log file that is allowed to end early: on a full disk the sentence on stderr is enough."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        """Say nothing, where logging would print a traceback of its own for every record."""

    def close(self) -> None:
        with suppress(OSError):
            super().close()


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
        With status 1 after any `Exception` in the body, or if there can be no log file.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        log_file = _LogFile(path, mode="w", encoding="utf-8")
    except OSError as error:
        raise SystemExit(
            f"ERROR: Cannot write {path}: {error.strerror}; make room or give permission, and run "
            "again."
        ) from None
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


def run_job(main: Callable, job: Any) -> None:
    """Call a script's ``main`` with what its rule says, inside `logged`.

    Every parameter of ``main`` is looked up by its name, in this order:

    - ``images_path`` is the output or input called ``images``, ``result_paths`` the list of files
      called ``results``;
    - an entry of ``params`` of the same name;
    - a wildcard of the same name, as a number where the parameter is annotated ``int``;
    - ``threads`` of the rule, and ``logger``, the project's logger.

    An input that a rule leaves out takes the parameter's default.

    The script and the rule's input ``library``, the modules behind it, have to be at the end what
    they were at the beginning: the results would be newer than an edit that they do not know of,
    and Snakemake would find nothing to do.  The job fails instead, Snakemake removes its outputs,
    and the next run makes them with the new code.

    Parameters
    ----------
    main : callable
        The script's function.
    job : object
        Snakemake's ``snakemake``: input, output, params, wildcards, threads, log.

    Raises
    ------
    SystemExit
        With status 1 after any exception, a parameter without a value among them.
    """
    with logged(job.log[0]) as logger, at_work(str(job.log[0])):
        code = _code_files(main, job)
        before = {file: _digest(file) for file in code}
        main(**_arguments(main, job, logger))
        changed = [file for file in code if _digest(file) != before[file]]
        if changed:
            raise CodeError(
                f"{', '.join(changed)} changed while the job ran, which worked with the code from "
                "before: run snakemake again to make its results with the new one."
            )


def _code_files(main: Callable, job: Any) -> list[str]:
    """Return the script (Snakemake runs a copy, but says where it is from) and its modules."""
    script = main.__globals__.get("__file__")
    return [*_several(_named(job, "input").get("library", [])), *([str(script)] if script else [])]


def _digest(file: str) -> str | None:
    try:
        return file_sha256(file)
    except OSError:
        return None  # removed


def _arguments(main: Callable, job: Any, logger: logging.Logger) -> dict[str, Any]:
    files = {**_named(job, "input"), **_named(job, "output")}
    params, wildcards = _named(job, "params"), _named(job, "wildcards")
    arguments = {}
    for name, parameter in inspect.signature(main).parameters.items():
        stem = name.removesuffix("_path").removesuffix("_paths")
        several = next((key for key in (stem, f"{stem}s") if key in files), None)
        if name.endswith("_path") and stem in files:
            arguments[name] = _single(files[stem])
        elif name.endswith("_paths") and several:
            arguments[name] = _several(files[several])
        elif name in params:
            arguments[name] = params[name]
        elif name in wildcards:
            value = wildcards[name]
            arguments[name] = int(value) if parameter.annotation is int else value
        elif name == "threads":
            arguments[name] = job.threads
        elif name == "logger":
            arguments[name] = logger
        elif parameter.default is parameter.empty:
            raise TypeError(
                f"the script's parameter {name!r} is neither an input, output, parameter nor "
                "wildcard of its rule"
            )
    return arguments


def _named(job: Any, part: str) -> Mapping[str, Any]:
    """Return the named entries of one part of a job; an attribute may hide behind a list method."""
    entries = getattr(job, part, None)
    if entries is None:
        return {}
    return dict(entries.items()) if hasattr(entries, "items") else vars(entries)


def _single(value: Any) -> str | None:
    """Return one path; an optional input that was left out is an empty list, None here."""
    if isinstance(value, str | os.PathLike):
        return value
    return value[0] if len(value) else None


def _several(value: Any) -> list[str]:
    return [value] if isinstance(value, str | os.PathLike) else list(value)
