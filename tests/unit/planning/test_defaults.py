"""A default is stated once: in the code where the library has the setting, else in the schema."""

import ast

import pytest
import yaml

from crosskrylov.errors import ConfigError
from crosskrylov.planning.config import SCHEMA, read_schema
from crosskrylov.planning.defaults import ROOT, insert_defaults, parameter_defaults, stated_default

LIBRARY = ROOT / "crosskrylov"

#: Names that mean another thing where they have a default: (folder or module, name) and why.
OTHER_MEANINGS = {
    ("solvers", "max_iterations"): "an option of a solver, not engine.max_iterations",
    ("solvers", "dimension"): "an option of a solver, not that of a study",
    ("solvers/refinement.py", "method"): "the Krylov iteration that refines",
    ("solvers/batched.py", "device"): "an option of a solver",
    ("scores/engines", "device"): "where torch computes; engine.device resolves 'auto' before",
    ("learning/training/checkpoint.py", "device"): "where torch loads to, after 'auto'",
    ("experiments/quality.py", "device"): "where torch computes, after 'auto'",
    ("experiments/final_quality.py", "device"): "where torch computes, after 'auto'",
    ("datasets/index.py", "features"): "one kind, which suits a source",
    ("metrics/inception.py", "device"): "where torch computes, after 'auto'",
    ("metrics/inception.py", "batch_size"): "images per pass of Inception",
    ("metrics/features.py", "levels"): "levels of the Haar transform",
    ("datasets/photographs.py", "jitter"): "of crops, not of drawn positions",
    ("datasets/torchvision_sets.py", "download"): "of a data set, not of Inception's weights",
    ("datasets/celeba.py", "download"): "of a data set, not of Inception's weights",
    ("reporting/tables/published.py", "n_images"): "of the published claim",
    ("learning/sampling/generate.py", "batch_size"): "samples drawn at a time",
    ("learning/sampling/reference.py", "sigma_min"): "where an order shows, not of a schedule",
    ("learning/sampling/reference.py", "sigma_max"): "where an order shows, not of a schedule",
    ("learning/sampling/reference.py", "n_samples"): "starting points of an order study",
    ("learning/sampling/samplers", "rate"): "an option of a sampler: its optimiser's",
    ("learning/sampling/samplers", "probes"): "an option of a sampler: of its own statistics",
    ("learning/sampling/samplers", "levels"): "an option of a sampler: those of its statistics",
    ("studies/bank.py", "kind"): "one of the starts that a bank holds",
    ("learning/objectives/index.py", "scores"): "whether a model needs scores",
    ("learning/objectives/index.py", "scaled"): "whether a model's output is scaled",
    ("learning/objectives/index.py", "start"): "what a model's denoising starts from",
    ("runtime/provenance.py", "folder"): "of a checkout",
    ("scores/store.py", "images"): "whether a data set of scores gives the images too",
    ("scores/torch_dataset.py", "images"): "whether a data set of scores gives the images too",
    ("solvers/many.py", "method"): "of the systems of others",
    ("solvers/many.py", "max_products"): "of the systems of others, not of the map's families",
    ("solvers/recycling.py", "max_products"): "an option of a solver",
    ("learning/ready_made/loading.py", "device"): "where torch computes, after 'auto'",
    ("learning/inverse", "tolerance"): "of conjugate gradients inside sampling",
    ("learning/inverse", "rate"): "an option of a method: its optimiser's",
    ("learning/sampling/samplers", "noises"): "an option of a sampler: starting points of its fit",
    ("solvers/deep_conjugate.py", "channels"): "an option of a solver: of its network",
    ("solvers/deep_conjugate.py", "batch_size"): "an option of a solver: of its training",
    ("solvers/deep_conjugate.py", "learning_rate"): "an option of a solver: of its training",
    ("scores/engine_options.py", "workers"): "threads of the engine, not what studies compare",
    ("studies/engine_speed.py", "source"): "of the images that are streamed",
}


def keys_of(schema, path=()):
    """Yield (path, schema) of every key."""
    for key, entry in schema.get("properties", {}).items():
        yield (*path, key), entry
        yield from keys_of(entry, (*path, key))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from keys_of(schema["additionalProperties"], (*path, "*"))


def literals(node):
    """Yield (name, expression) of whatever has a literal default that says something."""
    if isinstance(node, ast.FunctionDef):
        found = parameter_defaults(node).items()
    elif isinstance(node, ast.ClassDef):
        fields = [n for n in node.body if isinstance(n, ast.AnnAssign) and n.value is not None]
        found = [(n.target.id, n.value) for n in fields if isinstance(n.target, ast.Name)]
    elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("get", "setdefault"):
        found = []
        if len(node.args) == 2 and isinstance(node.args[0], ast.Constant):
            found = [(node.args[0].value, node.args[1])]
    else:
        return
    for name, value in found:
        try:
            if ast.literal_eval(value) not in (None, (), [], {}):
                yield name, value
        except ValueError:
            continue  # refers to something that stands elsewhere


def second_statements(folder, schema):
    """Return (module, name, line) of every literal default of a key that is not its one place."""
    settings, places = set(), set()
    for path, entry in keys_of(schema):
        # what is null or a mapping in the schema states no value
        if entry.get("default") is not None and not isinstance(entry["default"], dict):
            settings.add(path[-1])
        named = entry.get("default_of", ())
        places |= {named} if isinstance(named, str) else set(named)
    found = []
    for file in sorted(folder.rglob("*.py")):
        module = file.relative_to(folder).as_posix()
        if module.startswith("planning/"):
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            owner = getattr(node, "name", "")
            for name, value in literals(node):
                if name in settings and f"crosskrylov/{module}:{owner}.{name}" not in places:
                    found.append((module, name, value.lineno))
    return found


def listed(entry, entries):
    module, name, _ = entry
    return any(module.startswith(place) and key == name for place, key in entries)


def test_a_default_is_stated_once():
    found = [
        entry
        for entry in second_statements(LIBRARY, read_schema())
        if not listed(entry, OTHER_MEANINGS)
    ]
    assert found == []


def test_exceptions_are_needed():
    found = second_statements(LIBRARY, read_schema())
    unused = [key for key in OTHER_MEANINGS if not any(listed(f, [key]) for f in found)]
    assert unused == []


def test_a_second_statement_is_found(tmp_path):
    (tmp_path / "again.py").write_text(
        "from dataclasses import dataclass\n"
        "@dataclass\nclass Options:\n    tolerance: float = 1e-3\n"
        "def f(section, *, time_steps=7, floor=None):\n    return section.get('stored_steps', 10)\n"
    )
    found = second_statements(tmp_path, read_schema())
    assert {name for _, name, _ in found} == {"tolerance", "time_steps", "stored_steps"}


def test_every_reference_is_resolved():
    referring = [entry for _, entry in keys_of(read_schema()) if "default_of" in entry]
    assert len(referring) > 30
    assert all("default" in entry for entry in referring)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("m.py:Options.size", 3),
        ("m.py:f.angle", 0.5),
        ("m.py:f.kept", None),
        ("m.py:NAME", "x"),
        ("m.py:TABLE.a.b", 1),
    ],
)
def test_places_that_state_a_default(tmp_path, place, value):
    (tmp_path / "m.py").write_text(
        "NAME: str = 'x'\nTABLE = {'a': {'b': 1}}\n"
        "class Options:\n    size: int = 3\n"
        "def f(first, angle=0.5, *, kept=None, given):\n    pass\n"
    )
    assert stated_default(place, tmp_path) == value


@pytest.mark.parametrize("name", ["Options.size", "f.a", "f.b", "NAME", "nobody"])
def test_a_place_without_a_literal_is_named(tmp_path, name):
    (tmp_path / "m.py").write_text(
        "NAME = len('x')\nclass Options:\n    size: int\ndef f(a): pass\n"
    )
    with pytest.raises(ConfigError, match=rf"from m\.py:{name}, where no literal stands"):
        stated_default(f"m.py:{name}", tmp_path)


def test_lists_of_references_become_lists():
    place = "crosskrylov/scores/seeds.py:N_SEEDS"
    assert insert_defaults({"default_of": [place]})["default"] == [stated_default(place)]


def test_the_schema_file_repeats_no_value_that_it_refers_to():
    keys = keys_of(yaml.safe_load(SCHEMA.read_text()))
    assert [path for path, entry in keys if {"default", "default_of"} <= set(entry)] == []
