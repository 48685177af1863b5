"""The table of every configuration key, written from the schema: config/README.md.

Run as ``python -m crosskrylov.planning.key_table > config/README.md`` (`make keys`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from crosskrylov.planning.config import read_schema
from crosskrylov.planning.messages import permitted

HEADER = """\
# The configuration

`config.yaml` in this folder is the default experiment (the `config.yaml` of the checkout's root
is a link to it). It holds scientific choices only: threads, memory and where jobs run belong to
`profiles/`. Lay a file of your own over it with `--configfile` (see `presets/`); an image set or
solver left empty there (`digits16:`) is taken away. A mistake ends with one sentence that names
the key.

Every key: what it may hold, what it means with its unit, and its default. `<name>` stands for a
name of yours. Written by `make keys` from `crosskrylov/planning/config.schema.yaml`; do not edit
by hand.
"""

COLUMNS = "| key | allowed | meaning | default |\n|---|---|---|---|\n"


def key_table(schema: Mapping) -> str:
    """Return config/README.md: a heading and a table for every section of the configuration.

    Parameters
    ----------
    schema : mapping
        The schema with its defaults, from `read_schema`.
    """
    parts = [HEADER]
    for section, entry in schema["properties"].items():
        rows = "".join(
            f"| `{key}` | {_cell(permitted(value))} | {_cell(_words(value))} | {default} |\n"
            for key, value, default in _rows(entry, section, section in schema["required"])
        )
        about = f"{_sentence(_words(entry))}\n\n" if "properties" in entry or _extra(entry) else ""
        parts.append(f"## {section}\n\n{about}{COLUMNS}{rows}")
    return "\n".join(parts)


def _rows(schema: Mapping, path: str, required: bool) -> Iterator[tuple[str, Mapping, str]]:
    """Yield key, schema and default of every key at or below ``path`` that holds a value."""
    inner = schema.get("properties", {})
    for key, entry in inner.items():
        yield from _rows(entry, f"{path}.{key}", key in schema.get("required", []))
    if _extra(schema):
        yield from _rows(schema["additionalProperties"], f"{path}.<name>", False)
    if not inner and not _extra(schema):
        default = f"`{_yaml(schema['default'])}`" if "default" in schema else ""
        yield path, schema, "required" if required else default


def _extra(schema: Mapping) -> bool:
    """Return whether an object holds entries under names of the user's, each by a schema."""
    return isinstance(schema.get("additionalProperties"), Mapping)


def _yaml(value: Any) -> str:
    """Return a value as it is written in the configuration, in one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).splitlines()[0]


def _words(schema: Mapping) -> str:
    return " ".join(str(schema.get("description", "")).split())


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def _cell(text: str) -> str:
    """Return text that neither ends a cell nor begins a tag."""
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    print(key_table(read_schema()), end="")
