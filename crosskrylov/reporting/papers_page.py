"""docs/list.md: the papers of the list, from the snapshot's tables."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from crosskrylov.reporting.tables.papers import (
    FAILS,
    HOLDS,
    NOT_APPLICABLE,
    UNDECIDED,
    VERDICTS,
    papers_table,
    said,
    tables_read,
)
from crosskrylov.runtime.files import atomic_path, read_tsv

PAGE = "docs/list.md"
TABLES = "docs/results/tables"
_HEAD = """# The papers of the list

Written by `make numbers` from the tables in [results](results/README.md); do not edit. {n} papers,
each with what it claims and what was found here: {counts}.

A verdict is on what stands behind *Tested*, and that is often less than the claim: no FID of a
large network is measured again. Samplers are judged twice: by how far they end from the flow of a
model without error, the exact posterior mean of 8 noised digits, from noise levels of 20 to 4
([method](method.md#samplers-against-an-exact-reference): below, its flow jumps), where there is no
network to blame or to thank; and by the Fréchet distance of samples of a small network trained
here, over its whole schedule. Where two measurements decide differently the paper is undecided.
Training objectives train one small network on digits alike (presets/list-training.yaml), inverse
problems are restored with the exact model (presets/list-inverse.yaml).
Numbers are medians over random seeds with 95 % intervals; a ratio above one favours the paper.
"""
_SECTIONS = {
    HOLDS: "## What holds here",
    FAILS: "## What does not hold here",
    UNDECIDED: "## What is undecided",
    NOT_APPLICABLE: "## What cannot be tested on a small network for images",
}


def page(table: pd.DataFrame) -> str:
    """Return docs/list.md of the table of papers: a section per verdict, two lines per paper."""
    counts = table.verdict.value_counts()
    words = {HOLDS: "hold", FAILS: "do not", UNDECIDED: "are undecided"}
    words |= {NOT_APPLICABLE: "cannot be tested on a small network for images"}
    told = ", ".join(f"{counts[name]} {words[name]}" for name in VERDICTS if name in counts)
    lines = [_HEAD.format(n=len(table), counts=told)]
    for verdict, title in _SECTIONS.items():
        chosen = table[table.verdict == verdict]
        if len(chosen):
            lines += [title, "", *(_entry(row) for row in chosen.to_dict("records")), ""]
    return "\n".join(lines)


def _entry(row: Mapping) -> str:
    link = (
        f" ([{row['arxiv']}](https://arxiv.org/abs/{row['arxiv']}))" if _said(row["arxiv"]) else ""
    )
    first = f"- **{row['paper']}**{link}. Claims: {row['claim']}."
    parts = []
    if _said(row["tested"]):
        parts.append(f"Tested: {row['tested']}: {said(row)}, claimed {row['claimed']}.")
    if _said(row["further"]):
        parts.append(f"Also: {row['further']}.")
    if _said(row["reason"]):
        parts.append(f"{row['reason'][0].upper()}{row['reason'][1:]}.")
    return f"{first}\\\n  {' '.join(parts)}"


def _said(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def write_page(root: str | Path = ".") -> Path:
    """Write the page of a checkout from its snapshot's tables, and return it."""
    files = {name: Path(root, TABLES, f"{name}.tsv") for name in tables_read()}
    tables = {name: read_tsv(file) for name, file in files.items() if file.is_file()}
    target = Path(root, PAGE)
    with atomic_path(target) as partial:
        Path(partial).write_text(page(papers_table(tables)), encoding="utf-8")
    return target


if __name__ == "__main__":
    print(f"{write_page()} was written")
    sys.exit(0)
