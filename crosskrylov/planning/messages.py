"""One sentence for whatever is wrong with a configuration: key, what was found, what is allowed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema

from crosskrylov.runtime.declared import nearest


def reporting_order(error: jsonschema.ValidationError) -> tuple:
    """Sort key: unknown keys first, since a misspelt key usually causes the other complaints."""
    order = {"additionalProperties": 0, "propertyNames": 0, "type": 1, "required": 3}
    return (order.get(error.validator, 2), [str(part) for part in error.absolute_path])


def sentence(error: jsonschema.ValidationError, schema: Mapping) -> str:
    """Return one sentence for a schema violation.

    Parameters
    ----------
    error : jsonschema.ValidationError
        The violation.
    schema : mapping
        The whole schema, for keys that exist elsewhere in it.
    """
    path = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        properties = error.schema.get("properties", {})
        key = next(key for key in error.instance if key not in properties)
        return _unknown_key(key, path, properties, schema)
    if "propertyNames" in error.absolute_schema_path:
        return (
            f"The name {shown(error.instance)} {under(path)} cannot be used, since it becomes part "
            "of file names: use letters, digits, '-' and '_', beginning with a letter."
        )
    if error.validator == "required":
        key = next(key for key in error.validator_value if key not in error.instance)
        meaning = _meaning(error.schema["properties"].get(key, {}))
        return f"The key {dotted((*path, key))} is missing{meaning}: add it."
    found = f"{dotted(path)} is {shown(error.instance)}"
    if error.validator == "uniqueItems":
        return f"{found}, but its entries must differ from one another: remove the repetition."
    hint = _hint(error.instance, error.schema) or "."
    return f"{found}, but must be {permitted(error.schema)}{_meaning(error.schema)}{hint}"


def _unknown_key(key: str, path: tuple, properties: Mapping, schema: Mapping) -> str:
    allowed = list(properties)
    unknown = f"Unknown configuration key {dotted((*path, key))}"
    sibling = _renamed(key, properties) or nearest(key, allowed)
    if sibling:
        return f"{unknown}: did you mean {dotted((*path, sibling))}?"
    elsewhere = [known for known in _known_paths(schema) if known[-1] == key]
    if elsewhere:
        return f"{unknown}: did you mean {dotted(elsewhere[0])}?"
    return f"{unknown}: the keys allowed {under(path)} are {', '.join(allowed)}."


def _renamed(key: str, properties: Mapping) -> str | None:
    """Return the key that was called ``key`` in earlier versions (``formerly`` in the schema)."""
    return next((new for new, entry in properties.items() if entry.get("formerly") == key), None)


def _known_paths(schema: Mapping, path: tuple = ()) -> Iterator[tuple]:
    for key, entry in schema.get("properties", {}).items():
        yield (*path, key)
        yield from _known_paths(entry, (*path, key))
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield from _known_paths(schema["additionalProperties"], (*path, "<name>"))


def permitted(schema: Mapping) -> str:
    """Return in words what a schema allows."""
    if "anyOf" in schema:
        return " or ".join(permitted(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ("one of " if len(schema["enum"]) > 1 else "") + ", ".join(
            "null" if value is None else str(value) for value in schema["enum"]
        )
    kinds = schema.get("type", "any value")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join(_allowed_of_type(kind, schema) for kind in kinds)


def _allowed_of_type(kind: str, schema: Mapping) -> str:
    if kind in ("integer", "number"):
        noun = "a whole number" if kind == "integer" else "a finite number"
        limits = [
            f"{word} {schema[keyword]}"
            for keyword, word in (
                ("exclusiveMinimum", "above"),
                ("minimum", "at least"),
                ("exclusiveMaximum", "below"),
                ("maximum", "at most"),
                ("multipleOf", "a multiple of"),
            )
            if keyword in schema
        ]
        return " ".join([noun, " and ".join(limits)]).strip()
    if kind == "array":
        fewest = schema.get("minItems", 0)
        least = f" with at least {fewest} entr{'y' if fewest == 1 else 'ies'}" if fewest else ""
        return (
            f"a list{least}, each {permitted(schema['items'])}" if "items" in schema else "a list"
        )
    if kind == "object":
        return "a mapping (key: value)" + (" with an entry" if schema.get("minProperties") else "")
    if kind == "string":
        return f"text like {schema['examples'][0]}" if "examples" in schema else "text"
    return {"boolean": "true or false", "null": "null"}.get(kind, kind)


def _meaning(schema: Mapping) -> str:
    description = " ".join(str(schema.get("description", "")).split()).rstrip(".")
    return f" ({description})" if description else ""


def _hint(value: Any, schema: Mapping) -> str:
    """Return advice for the usual slips: numbers that YAML reads as text, near misses of a name."""
    options = [schema, *schema.get("anyOf", [])]
    kinds = {kind for option in options for kind in _as_list(option.get("type", []))}
    if not isinstance(value, str):
        return ""
    names = [str(name) for option in options for name in option.get("enum", [])]
    near = nearest(value, names)
    if near:
        return f"; did you mean {near}?"
    if kinds & {"integer", "number"}:
        try:
            number = float(value)
        except ValueError:
            return ""
        if "e" in value.lower():
            mantissa, _, exponent = value.lower().partition("e")
            mantissa += "" if "." in mantissa else ".0"
            sign = "" if exponent[:1] in "+-" else "+"
            return f"; YAML reads {value} as text, so write {mantissa}e{sign}{exponent}."
        return f"; remove the quotes around {number:g}."
    return ""


def _as_list(value: Any) -> list:
    return [value] if isinstance(value, str) else list(value)


def dotted(path: Sequence) -> str:
    """Return a path of keys and list positions as ``section.key[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "the configuration"


def under(path: Sequence) -> str:
    """Return where the keys of a mapping stand, in words."""
    return f"under {dotted(path)}" if path else "at the top level"


def kind(value: Any) -> str:
    """Return what YAML took a key for."""
    names = {bool: "true or false", int: "a number", float: "a number", type(None): "null"}
    return names.get(type(value), type(value).__name__)


def shown(value: Any) -> str:
    """Return a value as the user wrote it, shortened; text in quotes, since YAML types may fool."""
    if value is None:
        return "empty (null)"
    if isinstance(value, str):
        value = value.replace("\n", "\\n")  # the answer stays one line
        return f"'{value}'" if len(value) <= 60 else f"'{value[:57]}...'"
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
