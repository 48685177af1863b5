"""The command line: ``crosskrylov``, or ``python -m crosskrylov``."""

import os
import sys

from crosskrylov.cli.parser import build_parser
from crosskrylov.errors import CrosskrylovError
from crosskrylov.runtime.declared import imported


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0, or 1 with one sentence on stderr.

    Parameters
    ----------
    arguments : list of str, optional
        Default ``sys.argv[1:]``.
    """
    parser = build_parser()
    given = parser.parse_args(arguments)
    if given.command == "precompute" and bool(given.images) == bool(given.source):
        parser.error("give either image files and folders or --source")
    try:
        return imported(given.run)(given)
    except CrosskrylovError as error:
        print(f"error: {error}", file=sys.stderr)
    except BrokenPipeError:  # whoever read the output, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"error: {error.strerror or error}{_file_of(error)}", file=sys.stderr)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "crosskrylov":
            raise
        print(
            f"error: {given.command} needs the package {error.name}: install it, or everything "
            "with pip install 'crosskrylov[figures,training]'.",
            file=sys.stderr,
        )
    except MemoryError:
        print("error: there is not enough memory; ask for fewer or smaller images", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
    return 1


def _file_of(error: OSError) -> str:
    from crosskrylov.runtime.files import printable  # imports NumPy

    return f" ({printable(error.filename)})" if isinstance(error.filename, str) else ""


if __name__ == "__main__":
    sys.exit(main())
