"""Keep the tables and figures of a run, with their origin.

The folder is written as a whole by this one command and never edited: what it says of command,
commit, date and machine is true of every file in it.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from crosskrylov.errors import CrosskrylovError, DataError
from crosskrylov.runtime.files import atomic_folder, read_tsv
from crosskrylov.runtime.provenance import machine, revision

#: Longer tables are linked, not printed.
LONGEST_PRINTED_TABLE = 60

#: A larger table (a row per pair of images, say) is left out, in bytes; a figure shows it.
LARGEST_TABLE = 1_000_000

#: A larger SVG (a scatter of many points) is kept as PNG only, in bytes.
LARGEST_SVG = 1_000_000


def keep_results(
    results: str | Path, target: str | Path, command: str, captions: str | Path | None = None
) -> Path:
    """Copy tables and figures with a README that shows them and says where they come from.

    Parameters
    ----------
    results : path-like
        Folder with ``tables`` and ``figures`` (results/).
    target : path-like
        Folder to replace as a whole (docs/results/).
    command : str
        The command that made the results.
    captions : path-like, optional
        Folder with one ``<name>.rst`` per table or figure; captions that are templates are
        left out.

    Returns
    -------
    Path
        The README.

    Raises
    ------
    DataError
        If there are no tables, or the folder cannot be written.
    """
    results, target = Path(results), Path(target)
    tables = sorted((results / "tables").glob("*.tsv"))
    if not tables:
        raise DataError(f"{results / 'tables'} holds no tables: run `{command}` first.")
    figures = sorted({file.stem for file in (results / "figures").glob("*.*")})
    lines = _origin(command)
    with atomic_folder(target) as folder:
        (folder / "tables").mkdir()
        (folder / "figures").mkdir()
        if (results / "config.yaml").is_file():
            shutil.copy(results / "config.yaml", folder / "config.yaml")
            lines += ["", "Configuration in force: [config.yaml](config.yaml)."]
        if figures:
            lines += ["", "## Figures"]
        for name in figures:
            files = _copy_figure(results / "figures", folder / "figures", name)
            if files:
                lines += ["", f"### {name}", "", f"![{name}](figures/{files[0]})"]
                lines += _caption(captions, name)
        lines += ["", "## Tables"]
        for file in tables:
            lines += ["", f"### {file.stem}"]
            lines += _caption(captions, file.stem)
            if file.stat().st_size > LARGEST_TABLE:
                lines += ["", f"Too large to be kept here ({len(read_tsv(file))} rows)."]
                continue
            shutil.copy(file, folder / "tables" / file.name)
            lines += ["", f"[tables/{file.name}](tables/{file.name})"]
            lines += _printed(read_tsv(file))
        readme = folder / "README.md"
        readme.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target / "README.md"


def _origin(command: str) -> list[str]:
    """Return the README's head: command, commit, date and machine."""
    facts = {
        "command": f"`{command}`",
        "commit": revision(".", ignoring="docs/results") or "unknown",
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        **machine(),
    }
    rows = [f"| {name} | {value} |" for name, value in facts.items()]
    return [
        "# Results",
        "",
        "Written by `make snapshot`; do not edit. Ratios of times depend less on the machine.",
        "",
        "| | |",
        "|---|---|",
        *rows,
    ]


def _copy_figure(source: Path, target: Path, name: str) -> list[str]:
    """Copy the formats of a figure that are worth keeping; return their names, best first."""
    kept = []
    for suffix in (".svg", ".png"):
        file = source / f"{name}{suffix}"
        if file.is_file() and not (suffix == ".svg" and file.stat().st_size > LARGEST_SVG):
            shutil.copy(file, target / file.name)
            kept.append(file.name)
    return kept


def _caption(captions: str | Path | None, name: str) -> list[str]:
    file = Path(captions, f"{name}.rst") if captions else None
    if file is None or not file.is_file():
        return []
    text = file.read_text(encoding="utf-8").strip()
    return [] if "{{" in text or "{%" in text else ["", text.replace("``", "`")]


def _printed(table: pd.DataFrame) -> list[str]:
    """Return a table as Markdown, numbers to four digits, or its size if it is long."""
    if len(table) > LONGEST_PRINTED_TABLE:
        return ["", f"{len(table)} rows."]
    cells = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    header = [str(column) for column in table.columns]
    lines = [header, ["---"] * len(header), *cells]
    return ["", *("| " + " | ".join(line) + " |" for line in lines)]


def _cell(value: object) -> str:
    if pd.isna(value):
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m crosskrylov.reporting.snapshot", description=__doc__
    )
    parser.add_argument("--command", required=True, help="the command that made the results")
    parser.add_argument("--results", default="results", help="folder to read (%(default)s)")
    parser.add_argument("--to", default="docs/results", help="folder to replace (%(default)s)")
    parser.add_argument("--captions", default="workflow/report", help="folder (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        readme = keep_results(options.results, options.to, options.command, options.captions)
    except CrosskrylovError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    print(f"wrote {readme}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
