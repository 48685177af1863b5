"""Keep the tables, figures and records of a part of the experiments, with their origin.

A snapshot (docs/results/) is the sum of its parts: the study, what generation adds to it, and so
on.  Keeping a part again replaces what it made before and leaves the other parts alone.  The folder
is written by this command only: what it says of command, commit, date and machine is true of the
files of each part.
"""

import argparse
import html
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import yaml

from crosskrylov.errors import CrosskrylovError, DataError
from crosskrylov.reporting import catalogue
from crosskrylov.reporting.figures.register import QUESTIONS
from crosskrylov.reporting.figures.style import save_figure
from crosskrylov.reporting.joining import keep_edition, put_together
from crosskrylov.reporting.numbers import MAPPING
from crosskrylov.reporting.numbers import main as write_numbers
from crosskrylov.reporting.papers_page import write_page
from crosskrylov.reporting.records import same_run
from crosskrylov.reporting.tables.claims import claims_table, declared_in_configs
from crosskrylov.reporting.tables.first_steps import first_steps
from crosskrylov.reporting.tables.paired import paired_table
from crosskrylov.reporting.tables.papers import papers_table, tables_read
from crosskrylov.reporting.tables.writing import write_table
from crosskrylov.runtime.files import atomic_folder, read_json, read_tsv, write_json
from crosskrylov.runtime.provenance import machine, revision

#: Longer tables are linked, not printed.
LONGEST_PRINTED_TABLE = 60

#: A larger table (a row per pair of images, say) is left out, in bytes; a figure shows it.
LARGEST_TABLE = 1_000_000

#: A larger SVG (a scatter of many points) is kept as PNG only, in bytes.
LARGEST_SVG = 1_000_000

#: A figure that nothing is declared of.
_UNKNOWN = catalogue.Figure("", "", "", "")

#: What a part owns: lists of paths relative to the folder of the same name.
KINDS = ("tables", "figures", "records")


def keep_part(
    results: str | Path,
    target: str | Path,
    part: str,
    command: str,
    captions: str | Path | Mapping[str, str] | None = None,
) -> Path:
    """Lay a part's tables, figures and records over a snapshot, and write what it now holds.

    The new snapshot is made beside the old one and takes its place when it is complete.

    A file that another part made with the same contents belongs to both.  A table that differs is
    joined with the other part's, row by row (`crosskrylov.reporting.joining`); another file, or a
    table of other columns, is taken over, and the entry says so.  A file goes when no part makes it
    any more.

    Parameters
    ----------
    results : path-like
        Folder with ``part.json`` (written by the rule keep_records) and what it names.
    target : path-like
        The snapshot (docs/results/); made if missing.
    part : str
        Name of the part: lower-case letters, digits, "-".
    command : str
        The command that made the results.
    captions : path-like or mapping, optional
        Captions by name, or the folder with one ``<name>.rst`` per table or figure, where captions
        that are templates are left out. Those in ``part.json`` come first.

    Returns
    -------
    Path
        The README.

    Raises
    ------
    DataError
        If a file that belongs to the part is missing, or the folder cannot be written.
    """
    results, target = Path(results), Path(target)
    if not re.fullmatch(r"[a-z][a-z0-9-]*", part):
        raise DataError(f"The part is called {part!r}: use lower-case letters, digits and '-'.")
    if not (results / "part.json").is_file():
        raise DataError(
            f"{results / 'part.json'} does not exist: make it with `snakemake records` and the "
            f"options of `{command}` first."
        )
    manifest = read_json(results / "part.json")
    with atomic_folder(target) as folder:
        if target.is_dir():
            shutil.copytree(target, folder, dirs_exist_ok=True)
        parts = read_parts(folder)
        previous = parts.pop(part, {})
        entry = {
            "part": part,
            "command": command,
            "commit": revision(".", ignoring="docs/results") or "unknown",
            "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "machine": machine(),
            "tables": [],
            "figures": [],
            "records": [],
            "left_out": {},
            "withheld": manifest["withheld"],
            "took_over": {},
        }
        for kind, source, name in _files_of(results, manifest, entry):
            if kind == "tables":
                entry[kind].append(name)
                keep_edition(folder, part, source, parts)
            else:
                _put(source, folder / kind / name, kind, name, entry, parts)
        retained = [
            name
            for name in previous.get("figures", [])
            if Path(name).stem in manifest["retained"]
            and Path(name).stem not in manifest["withheld"]
            and name not in entry["figures"]
        ]
        entry["figures"] = sorted(entry["figures"] + retained)
        if (results / "config.yaml").is_file():
            entry["configuration"] = f"parts/{part}.config.yaml"
            _copy(results / "config.yaml", folder / entry["configuration"])
        put_together(folder, parts | {part: entry}, part)
        _compare_runs(folder, [*parts.values(), entry])
        _judge_claims(folder, [*parts.values(), entry])
        _judge_papers(folder)
        _remove_unowned(folder, previous, [entry, *parts.values()])
        names = {Path(name).stem for kind in ("tables", "figures") for name in entry[kind]}
        entry["captions"] = _captions(names | set(entry["left_out"]), manifest, captions)
        drawn = {Path(name).stem for name in entry["figures"]}
        findings = {name: _finding(results / "figures", name) for name in sorted(drawn)}
        entry["findings"] = previous.get("findings", {}) | {n: f for n, f in findings.items() if f}
        entry["findings"] = {n: f for n, f in entry["findings"].items() if n in drawn}
        for name, other in (parts | {part: entry}).items():
            write_json(folder / "parts" / f"{name}.json", other)
        write_readme(folder)
    return target / "README.md"


def redraw(target: str | Path) -> list[str]:
    """Draw the figures of a snapshot again from its tables; no number is touched.

    Figures that are drawn from one table of the snapshot get the present look and finding; the
    others (of images, of training curves) stay as they are.  Captions and README follow the
    present declarations.

    Parameters
    ----------
    target : path-like
        The snapshot (docs/results/).

    Returns
    -------
    list of str
        Names of the figures that were drawn.
    """
    target, drawn = Path(target), set()
    if not (target / "parts").is_dir():
        raise DataError(f"{target} holds no parts: it is no snapshot; make one by `make snapshot`.")
    with atomic_folder(target) as folder:
        shutil.copytree(target, folder, dirs_exist_ok=True)
        for part, entry in read_parts(folder).items():
            entry.setdefault("findings", {})
            for name in sorted({Path(file).stem for file in entry["figures"]}):
                figure = catalogue.figure_of(name)
                if figure is None:
                    continue
                if figure.caption:
                    entry["captions"][name] = _markdown(figure.caption)
                table = folder / "tables" / f"{figure.table}.tsv"
                if figure.table and table.is_file():
                    files = [folder / "figures" / f"{name}{suffix}" for suffix in (".svg", ".png")]
                    save_figure(figure.draws()(read_tsv(table)), *files)
                    entry["findings"][name] = _finding(folder / "figures", name)
                    entry["figures"] = _without_large_svg(entry["figures"], files[0])
                    drawn.add(name)
            shown = {Path(file).stem for file in entry["figures"]}
            for name, caption in catalogue.table_captions().items():
                if f"{name}.tsv" in entry["tables"] and name not in shown:
                    entry["captions"].setdefault(name, _markdown(caption))
            write_json(folder / "parts" / f"{part}.json", entry)
        write_readme(folder)
    return sorted(drawn)


def _without_large_svg(names: list[str], svg: Path) -> list[str]:
    if svg.stat().st_size <= LARGEST_SVG:
        return sorted({*names, svg.name})
    svg.unlink()
    return [name for name in names if name != svg.name]


def _finding(figures: Path, name: str) -> str:
    """Return the title that a figure's files carry, or nothing."""
    svg = figures / f"{name}.svg"
    if not svg.is_file():
        return ""
    found = re.search(r"<title>(.*?)</title>", svg.read_text(encoding="utf-8"), re.DOTALL)
    return html.unescape(found[1]).strip() if found else ""


def read_parts(folder: Path) -> dict[str, dict]:
    """Return the entries of all parts of a snapshot by name."""
    return {file.stem: read_json(file) for file in sorted((folder / "parts").glob("*.json"))}


# --- the files of a part --------------------------------------------------------------------------


def _files_of(results: Path, manifest: Mapping, entry: dict) -> Iterator[tuple[str, Path, str]]:
    """Yield kind, path and name of every file to keep; note in ``entry`` what is left out."""
    for name in manifest["tables"]:
        file = _existing(results / "tables" / name)
        if file.stat().st_size > LARGEST_TABLE:
            entry["left_out"][file.stem] = len(read_tsv(file))
        else:
            yield "tables", file, name
    for name in manifest["figures"]:
        if Path(name).stem in manifest["withheld"]:
            continue
        file = _existing(results / "figures" / name)
        if not (file.suffix == ".svg" and file.stat().st_size > LARGEST_SVG):
            yield "figures", file, name
    records = results / "records"
    for file in sorted(records.rglob("*.json")):
        yield "records", file, file.relative_to(records).as_posix()


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise DataError(f"{file} does not exist, but part.json names it: run `snakemake records`.")
    return file


def _put(
    source: Path, target: Path, kind: str, name: str, entry: dict, others: Mapping[str, dict]
) -> None:
    """Copy a file unless it is there already; make it this part's, and take it from others."""
    entry[kind].append(name)
    if target.is_file() and _same(source, target, kind):
        return
    for other, its in others.items():
        if name in its[kind]:
            its[kind].remove(name)
            entry["took_over"][f"{kind}/{name}"] = other
    _copy(source, target)


def _same(source: Path, target: Path, kind: str) -> bool:
    if kind == "records":
        return same_run(read_json(source), read_json(target))
    return source.read_bytes() == target.read_bytes()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def _remove_unowned(folder: Path, previous: Mapping, parts: Iterable[Mapping]) -> None:
    """Remove what a part owned before if nobody owns it now."""
    parts = list(parts)
    for kind in KINDS:
        owned = {name for part in parts for name in part[kind]}
        for name in set(previous.get(kind, [])) - owned:
            (folder / kind / name).unlink(missing_ok=True)


def _configurations(folder: Path, parts: Iterable[Mapping]) -> list[dict]:
    files = [part["configuration"] for part in parts if part.get("configuration")]
    return [yaml.safe_load((folder / file).read_text("utf-8")) for file in files]


def _compare_runs(folder: Path, parts: Iterable[Mapping]) -> None:
    """Pair the training runs of all parts together: each part may have other images of a set."""
    target, training = (folder / "tables" / f"{name}.tsv" for name in ("paired", "training"))
    if target.is_file() and training.is_file():
        against = dict.fromkeys(read_tsv(target)["against"])
        first = first_steps(_configurations(folder, parts))
        write_table(target, paired_table(read_tsv(training), against, first))


def _judge_claims(folder: Path, parts: Iterable[Mapping]) -> None:
    """Judge the claims by the tables of all parts together: no part alone has seen them all."""
    target = folder / "tables" / "claims.tsv"
    if not target.is_file():
        return
    configs = _configurations(folder, parts)
    solvers, *others = (
        read_tsv(file) if (file := target.parent / f"{name}.tsv").is_file() else None
        for name in ("solvers", "training", "quality", "clocks")
    )
    if any(table is not None for table in (solvers, *others)):
        write_table(target, claims_table(solvers, *others, declared_in_configs(configs)))


def _judge_papers(folder: Path) -> None:
    """Judge the papers of the list by the tables of all parts together."""
    target = folder / "tables" / "list.tsv"
    if target.is_file():
        files = {name: target.parent / f"{name}.tsv" for name in tables_read()}
        tables = {name: read_tsv(file) for name, file in files.items() if file.is_file()}
        write_table(target, papers_table(tables))


def _captions(
    names: Iterable[str], manifest: Mapping, given: str | Path | Mapping[str, str] | None
) -> dict[str, str]:
    """Return the captions of tables and figures, as Markdown."""
    declared = catalogue.table_captions()
    declared |= {name: catalogue.figure_caption(name) for name in names}
    declared = {name: caption for name, caption in declared.items() if caption}
    declared |= given if isinstance(given, Mapping) else {}
    declared |= manifest["captions"]
    if given is not None and not isinstance(given, Mapping):
        for name in set(names) - set(declared):
            file = Path(given, f"{name}.rst")
            if file.is_file():
                declared[name] = file.read_text(encoding="utf-8")
    return {
        name: _markdown(declared[name])
        for name in sorted(names)
        if name in declared and "{{" not in declared[name] and "{%" not in declared[name]
    }


def _markdown(caption: str) -> str:
    return caption.strip().replace("``", "`")


# --- the README -----------------------------------------------------------------------------------


def write_readme(folder: Path) -> None:
    """Write the README of a snapshot from its parts: questions first, then tables and origins."""
    parts = read_parts(folder)
    figures, left_out = _owners(parts, "figures"), _owners(parts, "left_out")
    tables = {Path(file).stem: owners for file, owners in _owners(parts, "tables").items()}
    lines = [
        "# Results",
        "",
        "Written by `make snapshot`; do not edit. Figures by question, each with its finding as it "
        "was computed from its table, then the [tables](#tables) and where all of it comes from "
        "([parts](#parts)). Ratios of times depend less on the machine, and none is taken between "
        "two machines.",
    ]
    shown = sorted({Path(file).stem for file in figures})
    asked = {name: (catalogue.figure_of(name) or _UNKNOWN).question for name in shown}
    for key, question in {**QUESTIONS, "": "Further figures"}.items():
        names = [name for name in shown if (asked[name] if asked[name] in QUESTIONS else "") == key]
        of_tables = [name for name in sorted(tables) if catalogue.question_of_table(name) == key]
        if not names and not (key and of_tables):
            continue
        lines += ["", f"## {question}"]
        for name in names:
            # SVG before PNG of the same name
            file = next(f"{name}{s}" for s in (".svg", ".png") if f"{name}{s}" in figures)
            findings = [parts[o].get("findings", {}).get(name) for o in figures[file]]
            lines += ["", f"### {name}"]
            lines += ["", *(f"**{finding}.**" for finding in findings[-1:] if finding)]
            lines += ["", f"![{name}](figures/{file})"]
            lines += _about(parts, figures[file], name)
        if key and of_tables:
            links = ", ".join(f"[{name}](#table-{name})" for name in of_tables)
            lines += ["", f"In numbers: {links}."]
    lines += ["", "## Tables"]
    for name in sorted({*tables, *left_out}):
        owners = tables.get(name) or left_out[name]
        lines += ["", f"### table {name}", *_about(parts, owners, name, is_table=True)]
        if name not in tables:
            rows = parts[owners[0]]["left_out"][name]
            lines += ["", f"Too large to be kept here ({rows} rows)."]
            continue
        lines += ["", f"[tables/{name}.tsv](tables/{name}.tsv)"]
        lines += _printed(read_tsv(folder / "tables" / f"{name}.tsv"))
    lines += _origins(parts)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines))
    (folder / "README.md").write_text(text + "\n", encoding="utf-8")


def _origins(parts: Mapping[str, Mapping]) -> list[str]:
    """Return a section per part: command, commit, date, machine, what it took and withheld."""
    lines = ["", "## Parts"]
    for name, part in parts.items():
        facts = {
            "command": f"`{part['command']}`",
            "commit": part["commit"],
            "date": part["date"],
            **part["machine"],
            "records": str(len(part["records"])),
        }
        if part.get("configuration"):
            file = part["configuration"]
            facts["configuration"] = f"[{file}]({file})"
        for other in sorted(set(part["took_over"].values())):
            taken = [path for path, owner in part["took_over"].items() if owner == other]
            facts[f"took over from {other}"] = ", ".join(taken)
        if part["withheld"]:
            facts["not shown (images of sets that are not published)"] = ", ".join(part["withheld"])
        rows = [f"| {key} | {value} |" for key, value in facts.items()]
        lines += ["", f"### {name}", "", "| | |", "|---|---|", *rows]
    return lines


def _owners(parts: Mapping[str, Mapping], kind: str) -> dict[str, list[str]]:
    """Return the parts that own each file of a kind, the file that was made first first."""
    owners: dict[str, list[str]] = {}
    for name in sorted(parts, key=lambda name: parts[name]["date"]):
        for file in parts[name][kind]:
            owners.setdefault(file, []).append(name)
    return owners


def _about(
    parts: Mapping[str, Mapping], owners: Sequence[str], name: str, is_table: bool = False
) -> list[str]:
    """Return the caption of a table or figure and the parts that it comes from."""
    captions = [parts[o]["captions"][name] for o in owners if name in parts[o]["captions"]]
    if is_table:  # where a figure has the same name, the entry of the part holds the figure's
        captions += [
            _markdown(caption) for caption in [catalogue.table_captions().get(name)] if caption
        ]
    origin = ", ".join(f"[{owner}](#{owner})" for owner in owners)
    return [*(["", captions[-1]] if captions else []), "", f"From {origin}."]


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
    parser.add_argument("--part", help="name of the part that the results are")
    parser.add_argument("--command", help="the command that made the results")
    parser.add_argument("--results", default="results", help="folder to read (%(default)s)")
    parser.add_argument("--to", default="docs/results", help="snapshot (%(default)s)")
    parser.add_argument("--captions", default="workflow/report", help="folder (%(default)s)")
    parser.add_argument(
        "--redraw",
        action="store_true",
        help="keep nothing new: draw the snapshot's figures again from its tables",
    )
    options = parser.parse_args(arguments)
    if not options.redraw and not (options.part and options.command):
        parser.error("--part and --command are needed, or --redraw")
    try:
        if options.redraw:
            print(f"drew {', '.join(redraw(options.to))} in {options.to}")
            return 0
        readme = keep_part(
            options.results, options.to, options.part, options.command, options.captions
        )
    except CrosskrylovError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    print(f"wrote {readme}")
    kept = read_json(readme.parent / "parts" / f"{options.part}.json")
    for path, other in kept["took_over"].items():
        print(f"{path} was of the part {other}")
    # the texts quote the snapshot of their own checkout, and no other
    if readme.resolve() != Path("docs/results/README.md").resolve() or not Path(MAPPING).is_file():
        return 0
    write_page()
    return write_numbers([])


if __name__ == "__main__":
    sys.exit(main())
