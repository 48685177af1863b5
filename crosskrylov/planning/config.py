"""Loading, defaulting and checking of the configuration; usable with and without Snakemake.

The schema (JSON Schema, written as YAML) says what each section may hold.  This module turns a
violation into one sentence, fills in defaults, and checks what a schema cannot express: rules
that connect several keys.  Scripts never import it: they get plain values through ``params``, so
that editing this file re-runs nothing.
"""

import copy
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from crosskrylov.errors import ConfigError, CrosskrylovError, DataError
from crosskrylov.planning.defaults import insert_defaults
from crosskrylov.planning.messages import dotted, kind, reporting_order, sentence, shown, under
from crosskrylov.planning.runs import PARAMETERS_OF_KIND
from crosskrylov.planning.samplers import check_samplers
from crosskrylov.planning.sources import check_source
from crosskrylov.planning.training_rules import check_training, trained_image_sets
from crosskrylov.runtime.declared import listed, nearest
from crosskrylov.solvers.index import solver_entry, solver_options

#: The one written in C is ten times as fast, which counts since every job reads the schema.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: Sections outside ``studies`` that run on image sets; one that is not written is off.
_SECTIONS_ON_SETS = (
    ("engine",),
    ("training", "single_image"),
    ("training", "budget"),
    ("training", "ablation", "single_image"),
    ("training", "ablation", "budget"),
    ("training", "learning_rates"),
    ("training", "samplers"),
    ("training", "quality"),
)

#: The schema, which comes with the package.
SCHEMA = Path(__file__).resolve().with_name("config.schema.yaml")


# --- loading ------------------------------------------------------------------------------------


def load_config(
    *paths: str | Path, schema_path: str | Path = SCHEMA, base: Mapping | None = None
) -> dict:
    """Read configuration files, the later ones laid over the earlier ones, and check the result.

    Parameters
    ----------
    *paths : path-like
        YAML files; mappings are merged, everything else is replaced, as Snakemake does with
        ``--configfile``.
    schema_path : path-like
        The schema.
    base : mapping, optional
        Top-level sections that hold where no file has them.

    Returns
    -------
    dict
        The configuration with every default filled in.

    Raises
    ------
    DataError
        If a file is missing or is not YAML.
    ConfigError
        If the configuration is not usable; one sentence names the key.
    """
    config: dict = {}
    for path in paths:
        _merge(config, _sections(path))
    for key, section in (base or {}).items():
        config.setdefault(key, copy.deepcopy(section))
    return check_config(config, schema_path)


def read_schema(path: str | Path = SCHEMA) -> dict:
    """Return the schema with the defaults that the library states (see `insert_defaults`)."""
    return insert_defaults(_read_yaml(path))


class _StrictLoader(_LOADER):
    """Refuses a key that stands twice in a mapping, of which YAML would take the last."""

    def construct_mapping(self, node, deep=False):
        seen: dict[Any, int] = {}
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag.endswith(":merge"):
                continue
            line = key_node.start_mark.line + 1
            if key_node.value in seen:
                raise ConfigError(
                    f"{key_node.start_mark.name}, line {line}: the key {key_node.value!r} stands "
                    f"in line {seen[key_node.value]} already: remove one of them."
                )
            seen[key_node.value] = line
        return super().construct_mapping(node, deep)


def _read_yaml(path: str | Path) -> Any:
    try:
        with Path(path).open("rb") as file:
            value = yaml.load(file, Loader=_StrictLoader)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): correct the path.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}" if mark else ""
        raise DataError(
            f"{path}{place} is not valid YAML ({error.problem}): correct it; indent by spaces, not "
            "by tabs."
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path} is not valid YAML ({reason}): correct it.") from None
    except RecursionError:
        raise DataError(f"{path} is nested too deeply to be read: correct it.") from None
    _check_no_circle(value, path)
    return value


def _check_no_circle(value: Any, path: str | Path, above: tuple[int, ...] = ()) -> None:
    """Raise for an alias of a mapping or list inside itself."""
    if id(value) in above:
        raise ConfigError(f"{path} holds an alias (*) of what it stands in: write it out.")
    inner = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, Mapping | list):
        for entry in inner:
            _check_no_circle(entry, path, (*above, id(value)))


def _sections(path: str | Path) -> Mapping:
    """Return what a configuration file holds; an empty one holds no sections."""
    read = _read_yaml(path)
    if not isinstance(read, Mapping | None):
        raise ConfigError(f"{path} holds {shown(read)}: it must hold sections (key: value).")
    return read or {}


def _merge(config: dict, overlay: Mapping) -> None:
    for key, value in overlay.items():
        if isinstance(value, Mapping) and isinstance(config.get(key), dict):
            _merge(config[key], value)
        elif isinstance(value, Mapping):
            config[key] = {}
            _merge(config[key], value)
        else:
            config[key] = value


def check_files_or_exit(paths: Iterable[str | Path]) -> None:
    """Read the configuration files of a Snakemake run strictly; if one is bad, leave with status 1.

    Snakemake takes the last of two equal keys silently, and names neither file nor line of a
    mistake in YAML.
    """
    try:
        for path in paths:
            if not _sections(path):
                raise ConfigError(
                    f"{path} is empty: write sections (key: value), or {{}} for none."
                )
    except CrosskrylovError as error:
        raise SystemExit(f"Configuration error: {error}") from None


def check_or_exit(config: dict, schema_path: str | Path, command_line: Mapping | None) -> None:
    """Check the configuration of a Snakemake run; if it is bad, leave with a sentence and status 1.

    Parameters
    ----------
    config : dict
        The merged configuration; defaults are filled in in place.
    schema_path : path-like
        The schema.
    command_line : mapping or None
        What ``--config`` contributed.
    """
    try:
        restore_types(config, command_line or {})
        check_config(config, schema_path)
    except CrosskrylovError as error:
        # An exception would be shown with the line of the Snakefile, where nothing is wrong.
        raise SystemExit(f"Configuration error: {error}") from None


def restore_types(config: dict, command_line: Mapping) -> None:
    """Give values inside mappings and lists that came from ``--config`` their YAML types, in place.

    Snakemake reads ``--config 'march={max_picard: 3}'`` as {"max_picard": "3"}, text all through.

    Parameters
    ----------
    config : dict
        The merged configuration.
    command_line : mapping
        What ``--config`` contributed to it.
    """
    for key, value in command_line.items():
        if isinstance(value, Mapping) and isinstance(config.get(key), dict):
            restore_types(config[key], value)
        elif value == config.get(key):
            config[key] = _typed(value)


def _typed(value: Any) -> Any:
    if isinstance(value, str):
        return yaml.safe_load(value)
    return [_typed(entry) for entry in value] if isinstance(value, list) else value


# --- checking -----------------------------------------------------------------------------------


def check_config(config: dict, schema_path: str | Path = SCHEMA) -> dict:
    """Fill in defaults and check a configuration; changes ``config`` in place and returns it.

    An empty (null) entry of a named collection (``image_sets``, ``solvers``, ...) or an empty study
    removes it, so that a preset can take away what the default configuration defines; an empty
    value elsewhere means the default.

    Parameters
    ----------
    config : dict
        Sections as read from YAML.
    schema_path : path-like
        The schema.

    Returns
    -------
    dict
        ``config`` itself.

    Raises
    ------
    ConfigError
        For the first problem: one sentence with the key's path, what was found, what is allowed.
    """
    schema = read_schema(schema_path)
    _check_key_types(config)
    _drop_empty(config, schema)
    _switch_off_unwritten(config)
    _fill_defaults(config, schema)
    errors = sorted(_VALIDATOR(schema).iter_errors(config), key=reporting_order)
    if errors:
        raise ConfigError(sentence(errors[0], schema))
    _name_all_sets(config)
    for check in _CONNECTIONS:
        check(config)
    return config


def _check_key_types(value: Any, path: tuple = ()) -> None:
    """Raise for a key that YAML does not read as text (``32:``, ``on:``, ``null:``)."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ConfigError(
                    f"The key {shown(key)} {under(path)} is read by YAML as {kind(key)}: choose a "
                    "name that starts with a letter, or put it in quotes."
                )
            _check_key_types(inner, (*path, key))


def _drop_empty(value: Any, schema: Mapping) -> None:
    """Remove null entries where the schema does not ask for null (see `check_config`)."""
    if not isinstance(value, dict):
        return
    for key in list(value):
        entry_schema = _schema_of_entry(schema, key)
        if entry_schema is None:
            continue
        if value[key] is None and not _allows_null(entry_schema):
            del value[key]
        else:
            _drop_empty(value[key], entry_schema)


def _switch_off_unwritten(config: dict) -> None:
    """Give the sections that nobody wrote an empty list of image sets, in place.

    Whoever writes one means it to run, as with a study; its other keys would do nothing otherwise.
    """
    for path in _SECTIONS_ON_SETS:
        section = config
        for key in path:
            section = section.setdefault(key, {"image_sets": []} if key == path[-1] else {})
            if not isinstance(section, dict):
                break  # the schema will say so


def _name_all_sets(config: dict) -> None:
    """Write the names of all image sets where a section says null, in place.

    What judges models judges those that training.budget trains, so that all are its sets.
    """
    for path in _SECTIONS_ON_SETS:
        section = config
        for key in path:
            section = section[key]
        if section["image_sets"] is None:
            trained = path in (("training", "samplers"), ("training", "quality"))
            sets = config["training"]["budget"]["image_sets"] if trained else config["image_sets"]
            section["image_sets"] = list(sets)


def unused_image_sets(config: Mapping) -> list[str]:
    """Return the image sets that no study, engine or experiment of a checked configuration uses."""
    used: set[str] = set()
    for path, value in _leaves({key: config[key] for key in ("studies", "engine", "training")}):
        if path[-1] == "image_sets":
            used.update(config["image_sets"] if value is None else value)
    return [name for name in config["image_sets"] if name not in used]


def warnings(config: Mapping) -> list[str]:
    """Return one sentence for each thing that a checked configuration holds in vain."""
    found = []
    unused = unused_image_sets(config)
    if unused:
        one = len(unused) == 1
        found.append(
            f"Nothing uses the image set{'' if one else 's'} {listed(unused)}: name "
            f"{'it' if one else 'them'} under image_sets of a study (studies.trajectory), of "
            f"engine or of training.single_image, or take {'it' if one else 'them'} away (an empty "
            "value)."
        )
    stored, embedded = config["equation"]["stored_steps"], config["embedding"]["steps"]
    if embedded > stored and trained_image_sets(config["training"]):
        found.append(
            f"embedding.steps is {embedded}, but equation.stored_steps is only {stored}: images "
            f"are embedded at {stored} steps."
        )
    likeness = config["studies"].get("likeness") or {"image_sets": []}
    for name in likeness["image_sets"] or ():
        available = config["image_sets"][name]["n_images"]
        left_out = [n for n in likeness["n_seeds"] if available is not None and n >= available]
        if left_out:
            found.append(
                f"studies.likeness.n_seeds asks for {listed(map(str, left_out))} seeds, but image "
                f"set {name} has {available} images, of which one must be no seed: left out there."
            )
    return found


def _fill_defaults(value: Any, schema: Mapping) -> None:
    """Insert the schema's defaults for missing keys, in place and at every level.

    Keys get the schema's order: Snakemake compares a job's parameters as text, so that a value
    given in another order, or in an overlay, would re-run the job.
    """
    if not isinstance(value, dict):
        return
    for key, entry_schema in schema.get("properties", {}).items():
        if key in value:
            value[key] = value.pop(key)
        elif "default" in entry_schema:
            value[key] = copy.deepcopy(entry_schema["default"])  # never shared
    for key, entry in value.items():
        _fill_defaults(entry, _schema_of_entry(schema, key) or {})


def _schema_of_entry(schema: Mapping, key: str) -> Mapping | None:
    """Return the schema of ``key`` inside an object, None if there is none."""
    if key in schema.get("properties", {}):
        return schema["properties"][key]
    extra = schema.get("additionalProperties")
    return extra if isinstance(extra, Mapping) else None


def _allows_null(schema: Mapping) -> bool:
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return "null" in kinds or any(_allows_null(option) for option in schema.get("anyOf", []))


def _is_integer(checker: Any, value: Any) -> bool:
    # 32.0 is not a size; and what does not fit 64 bits fits no array
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _is_number(checker: Any, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)  # .nan passes every comparison that JSON Schema makes
    except OverflowError:  # a whole number of hundreds of digits
        return False


_VALIDATOR = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    ),
)


# --- rules that connect several keys ------------------------------------------------------------


def _check_image_sets(config: Mapping) -> None:
    for name, images in config["image_sets"].items():
        key = f"image_sets.{name}"
        check_source(key, images)
        # null, all images of the source: how many there are is known when they are read
        if images["n_images"] is not None and config["seeds"]["n_seeds"] > images["n_images"]:
            raise ConfigError(
                f"seeds.n_seeds is {config['seeds']['n_seeds']}, but {key}.n_images is only "
                f"{images['n_images']}: lower the one or raise the other."
            )


def _check_equation(config: Mapping) -> None:
    equation = config["equation"]
    time_steps = {"equation.time_steps": equation["time_steps"]} | {
        f"image_sets.{name}.time_steps": images["time_steps"]
        for name, images in config["image_sets"].items()
        if images.get("time_steps")
    }
    for key, value in time_steps.items():
        if equation["stored_steps"] > value:
            raise ConfigError(
                f"equation.stored_steps is {equation['stored_steps']}, but {key} is only {value}: "
                "lower the one or raise the other."
            )
    for name in PARAMETERS_OF_KIND:
        entry = equation[name]
        if entry["kind"] == "path" and not entry["path"]:
            raise ConfigError(
                f"equation.{name}.path is missing: kind path needs package.module:function."
            )
        if entry["kind"] == "vp" and entry["beta_min"] > entry["beta_max"]:
            raise ConfigError(
                f"equation.{name}.beta_min is {entry['beta_min']:g}, which is above beta_max "
                f"{entry['beta_max']:g}: exchange them."
            )


def _check_solvers(config: Mapping) -> None:
    for key, entry in _solver_entries(config):
        try:
            solver_entry(entry["method"])
        except ConfigError as error:
            raise ConfigError(f"{key}.method cannot be used: {error}") from None
        _check_options(f"{key}.options", entry["method"], entry.get("options") or {})


def _solver_entries(config: Mapping) -> Iterator[tuple[str, Mapping]]:
    """Yield key and value of everything that names a solver's method, with options perhaps."""
    for name, entry in config["solvers"].items():
        yield f"solvers.{name}", entry
    yield "engine.solver", config["engine"]["solver"]
    for name, study in config["studies"].items():
        if isinstance(study, Mapping) and "method" in study:
            yield f"studies.{name}", study
        refiners = study.get("refiners", {}) if isinstance(study, Mapping) else {}
        for refiner, entry in refiners.items():
            yield f"studies.{name}.refiners.{refiner}", entry


def _check_options(key: str, method: str, options: Mapping) -> None:
    known = solver_options(method)
    if known is None:
        return  # a class of the user's whose bases cannot be read; the solver itself will complain
    for name, value in options.items():
        if name not in known:
            near = nearest(name, known)
            mend = f"did you mean {near}?" if near else f"it takes {listed(known) or 'none'}."
            raise ConfigError(f"{key}.{name} is no option of method {method}: {mend}")
        default = known[name]
        numeric = isinstance(default, int | float) and not isinstance(default, bool)
        if numeric and isinstance(value, str | list | Mapping):
            raise ConfigError(
                f"{key}.{name} is {shown(value)}, but method {method} takes a number there, as "
                f"{default}: write one (with a point where there is an exponent, 1.0e-8)."
            )
        if isinstance(default, str) and not isinstance(value, str | None):
            raise ConfigError(
                f"{key}.{name} is {shown(value)}, but method {method} takes text there, as "
                f"{default}: write a name."
            )


def _check_references(config: Mapping) -> None:
    """Check that the names of image sets and solvers in other sections are defined."""
    for path, value in _leaves(config):
        collection = {"image_set": "image_sets", "solver": "solvers"}.get(path[-1], path[-1])
        if len(path) < 2 or collection not in ("image_sets", "solvers"):
            continue
        for name in value if isinstance(value, list) else [value]:
            if name is not None and name not in config[collection]:
                raise ConfigError(
                    f"{dotted(path)} names {shown(name)}, which is not defined under {collection} "
                    f"({', '.join(config[collection])}): correct the name or define it."
                )


def _leaves(value: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """Yield path and value of everything that is not a mapping."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path, value


#: Each gets the whole configuration, valid by the schema and with defaults, and raises ConfigError.
_CONNECTIONS = (
    _check_image_sets,
    _check_equation,
    _check_solvers,
    _check_references,
    check_training,
    check_samplers,
)
