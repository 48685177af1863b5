"""The configuration: defaults, overlays, and one clear sentence for every mistake."""

import copy
import inspect
import re
from pathlib import Path

import pytest
import yaml

from crosskrylov.errors import ConfigError, DataError
from crosskrylov.planning.config import (
    PARAMETERS_OF_KIND,
    SCHEMA,
    check_config,
    check_files_or_exit,
    check_or_exit,
    load_config,
    restore_types,
    warnings,
)
from crosskrylov.planning.runs import relevant_parameters
from crosskrylov.runtime.files import read_tsv
from crosskrylov.solvers.index import solver_options
from crosskrylov.solvers.registry import available_solvers
from crosskrylov.studies.index import declared_studies

PROJECT = Path(__file__).resolve().parents[3]
#: The blank one is for others to lie on; the one for your own images has its line to fill in.
INCOMPLETE = {PROJECT / "presets" / name for name in ("blank.yaml", "your-images.yaml")}
PRESETS = sorted(set((PROJECT / "presets").glob("*.yaml")) - INCOMPLETE)
SCHEMA_TREE = yaml.safe_load(SCHEMA.read_text())


@pytest.fixture
def config():
    """A small valid configuration, not yet checked."""
    return {"image_sets": {"a": {"source": "photos"}}}


def objects_of(schema, path=()):
    """Yield the path and schema of every object in the schema."""
    if schema.get("type") == "object":
        yield path, schema
    for key, entry in schema.get("properties", {}).items():
        yield from objects_of(entry, (*path, key))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from objects_of(schema["additionalProperties"], (*path, "*"))
    if isinstance(schema.get("items"), dict):
        yield from objects_of(schema["items"], (*path, "[]"))


# --- the schema itself --------------------------------------------------------------------------


def test_schema_is_a_valid_schema():
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(SCHEMA_TREE)


def test_schema_is_strict_at_every_level():
    open_objects = [
        ".".join(path)
        for path, schema in objects_of(SCHEMA_TREE)
        if schema.get("additionalProperties", True) is True and path[-1:] != ("options",)
    ]
    assert open_objects == []


def test_every_key_has_a_description():
    bare = [
        ".".join((*path, key))
        for path, schema in objects_of(SCHEMA_TREE)
        for key, entry in schema.get("properties", {}).items()
        if not entry.get("description")
    ]
    assert bare == []


def test_every_nested_section_has_a_default_so_that_inner_defaults_apply():
    missing = [
        ".".join((*path, key))
        for path, schema in objects_of(SCHEMA_TREE)
        for key, entry in schema.get("properties", {}).items()
        if entry.get("type") == "object"
        and "default" not in entry
        and key not in schema.get("required", [])
        and path != ("studies",)  # a study is off where its section is missing
    ]
    assert missing == []


def test_defaults_obey_the_schema(config):
    check_config(config)
    again = copy.deepcopy(config)
    assert check_config(config) == again  # filling in defaults is idempotent


# --- defaults and overlays ----------------------------------------------------------------------


def test_defaults_are_filled_in_at_every_level(config):
    check_config(config)
    assert config["equation"]["diffusion"]["g"] == 0.5
    assert config["image_sets"]["a"]["image_size"] == 32
    assert config["random_seeds"] == [17]


def test_defaults_are_not_shared_between_entries(config):
    config["solvers"] = {"a": {"method": "spsolve"}, "b": {"method": "spsolve"}}
    check_config(config)
    config["solvers"]["a"]["options"]["x"] = 1
    assert config["solvers"]["b"]["options"] == {}
    assert check_config({"image_sets": {"a": {"source": "photos"}}})["random_seeds"] == [17]


def test_keys_get_the_order_of_the_schema(config):
    config["march"] = {"start": "zero", "tolerance": 1e-3}
    other = {"march": {"tolerance": 1e-3, "start": "zero"}, **copy.deepcopy(config)}
    assert str(check_config(other)) == str(check_config(config))


def test_empty_section_means_defaults_and_empty_entry_is_removed(config):
    config["march"] = None
    config["equation"] = {"drift": None, "time_steps": None}
    config["image_sets"]["b"] = None
    check_config(config)
    assert config["march"]["max_picard"] == 5
    assert config["equation"]["time_steps"] == 100
    assert list(config["image_sets"]) == ["a"]
    assert config["density"]["bandwidth"] is None  # null is a value here


def test_an_overlay_switches_a_study_off(tmp_path):
    (tmp_path / "base.yaml").write_text(
        "image_sets: {a: {source: photos}}\nstudies: {likeness: {dimension: 3}, diversity: {}}\n"
    )
    (tmp_path / "over.yaml").write_text("studies:\n  likeness:\n")
    studies = load_config(tmp_path / "base.yaml", tmp_path / "over.yaml")["studies"]
    assert studies["diversity"] == {"image_sets": None, "dimension": 20}
    assert {"likeness", "warm_start"}.isdisjoint(studies)
    assert studies["blas_threads"] == 1  # a setting, not a study


def test_every_study_has_a_section_in_the_schema():
    sections = SCHEMA_TREE["properties"]["studies"]["properties"]
    for name, study in declared_studies().items():
        shared = {"image_sets"} if study.runs else set()
        assert set(study.options) | shared <= set(sections[name]["properties"])
        assert "default" not in sections[name]


def test_overlays_merge_mappings_and_replace_the_rest(tmp_path):
    (tmp_path / "base.yaml").write_text(
        "random_seeds: [1, 2]\nimage_sets: {a: {source: photos, n_images: 5}}\n"
    )
    (tmp_path / "over.yaml").write_text(
        "random_seeds: [3]\nimage_sets: {a: {n_images: 7}, b: {source: digits}}\n"
    )
    config = load_config(tmp_path / "base.yaml", tmp_path / "over.yaml")
    assert config["random_seeds"] == [3]
    assert config["image_sets"]["a"]["source"] == "photos"
    assert config["image_sets"]["a"]["n_images"] == 7
    assert list(config["image_sets"]) == ["a", "b"]


def test_overlay_merges_as_snakemake_does(tmp_path):
    from snakemake.utils import update_config

    base = {"random_seeds": [1], "image_sets": {"a": {"source": "photos"}}, "march": None}
    over = {
        "random_seeds": [2, 3],
        "image_sets": {"a": {"n_images": 5}},
        "march": {"max_picard": 2},
    }
    for name, content in (("base", base), ("over", over)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    expected = copy.deepcopy(base)
    update_config(expected, over)
    loaded = load_config(tmp_path / "base.yaml", tmp_path / "over.yaml")
    assert loaded == check_config(expected)


@pytest.mark.parametrize("path", ["config.yaml", "tests/config/toy.yaml"])
def test_committed_configurations_are_valid(path):
    assert load_config(PROJECT / "config.yaml", PROJECT / path)


@pytest.mark.parametrize("path", PRESETS, ids=lambda p: p.stem)
def test_presets_are_valid_overlays_of_the_default(path):
    """Those that lie on another preset say so in their header."""
    said = re.search(rf"((?:presets/[a-z0-9-]+\.yaml )*)presets/{path.name}", path.read_text())
    below = said[1].split() if said else []
    assert load_config(PROJECT / "config.yaml", *(PROJECT / name for name in below), path)


def test_learning_rates_are_chosen_on_photographs_that_no_control_is_judged_on():
    below = [PROJECT / "config.yaml", PROJECT / "presets/blank.yaml"]
    controls = load_config(*below, PROJECT / "presets/controls.yaml")
    rates = load_config(*below, PROJECT / "presets/controls-rates.yaml")
    judged = controls["image_sets"]["controls32"]["photographs"]
    swept = rates["image_sets"]["rates32"]["photographs"]
    assert not set(judged) & set(swept) and len(judged) >= 8 and len(swept) >= 3
    assert len(controls["training"]["single_image"]["images"]) >= 12
    assert len(rates["training"]["learning_rates"]["rates"]) >= 4


def test_the_learning_rates_of_the_presets_are_those_that_the_sweep_chose():
    best = read_tsv(PROJECT / "docs/results/tables/best_rates.tsv")
    chosen = best[best.chosen.astype(bool)].set_index("family").learning_rate
    said = load_config(PROJECT / "config.yaml", PROJECT / "presets/learning-rates.yaml")
    assert said["training"]["single_image"]["learning_rates"] == chosen.to_dict()


def test_faces_are_compared_by_the_solvers_of_the_study():
    parts = [PROJECT / f"presets/study-solvers{part}.yaml" for part in ("", "-faces")]
    blank = [PROJECT / "config.yaml", PROJECT / "presets/blank.yaml"]
    study, faces = (load_config(*blank, part) for part in parts)
    for section in ("solvers", "seeds", "march", "equation"):
        assert faces[section] == study[section]
    ours, theirs = ({**part["studies"]["clocks"], "image_sets": []} for part in (faces, study))
    assert ours == theirs


def test_command_line_values_get_their_yaml_types(config):
    config["march"] = {"max_picard": "3", "start": "zero", "tolerance": 1e-3}
    config["random_seeds"] = ["3", "4"]
    restore_types(
        config, {"march": {"max_picard": "3", "start": "zero"}, "random_seeds": ["3", "4"]}
    )
    check_config(config)
    assert config["march"]["max_picard"] == 3
    assert config["random_seeds"] == [3, 4]


def test_parameters_of_other_kinds_play_no_part(config):
    check_config(config)
    config["equation"]["diffusion"].update(kind="exponential", sigma=3.0)
    reduced = relevant_parameters(config["equation"])
    assert reduced["diffusion"] == {"kind": "exponential", "sigma": 3.0}
    assert reduced["drift"] == {"kind": "zero"}
    assert config["equation"]["diffusion"]["g"] == 0.5  # the original is left alone


def test_kinds_agree_with_the_schema():
    properties = SCHEMA_TREE["properties"]["equation"]["properties"]
    for name, kinds in PARAMETERS_OF_KIND.items():
        coefficient = properties[name]["properties"]
        assert set(kinds) == set(coefficient["kind"]["enum"])
        assert {key for keys in kinds.values() for key in keys} == set(coefficient) - {"kind"}


# --- mistakes -----------------------------------------------------------------------------------

MISTAKES = [
    # (path of the key, value, what the sentence must say)
    ("march.tolerence", 1e-6, "key march.tolerence: did you mean march.tolerance?"),
    ("Equation", {}, "Unknown configuration key Equation: did you mean equation?"),
    ("tolerance", 1e-6, "Unknown configuration key tolerance: did you mean march.tolerance?"),
    ("march.xyz", 1, "key march.xyz: the keys allowed under march are tolerance,"),
    ("image_sets.a.sise", 3, "image_sets.a.sise"),
    ("march.tolerance", "1e-8", "march.tolerance is '1e-8', .* so write 1.0e-8."),
    ("march.tolerance", "1E8", r"so write 1\.0e\+8\."),
    ("march.max_picard", "5", "march.max_picard is '5', .*remove the quotes around 5"),
    ("march.tolerance", 0, "march.tolerance is 0, but must be a finite number above 0 and below 1"),
    ("march.tolerance", -1e-3, "march.tolerance is -0.001"),
    ("march.tolerance", float("nan"), "march.tolerance is NaN, but must be a finite number"),
    ("march.tolerance", float("inf"), "march.tolerance is Infinity"),
    ("march.tolerance", True, "march.tolerance is true, but must be a finite number"),
    ("march.max_picard", 2.0, "march.max_picard is 2.0, but must be a whole number at least 1"),
    ("march.max_picard", [5], r"march.max_picard is \[5\], but must be a whole number"),
    ("march.start", "previos", "march.start is 'previos', .*did you mean previous?"),
    ("march", 5, "march is 5, but must be a mapping"),
    ("image_sets", [], r"image_sets is \[\], but must be a mapping"),
    ("solvers", {}, "solvers is {}, but must be a mapping .* with an entry"),
    ("image_sets.a.source", None, "image_sets.a.source is missing"),
    ("image_sets.a.image_size", 3, "size is 3, but must be a whole number at least 4"),
    ("image_sets.a.n_images", 0, "image_sets.a.n_images is 0"),
    ("image_sets.a b", {"source": "photos"}, "The name 'a b' under image_sets cannot be used"),
    ("image_sets.a/b", {"source": "photos"}, "The name 'a/b' under image_sets cannot be used"),
    ("solvers.2x", {"method": "spsolve"}, "The name '2x' under solvers cannot be used"),
    ("image_sets.a.source", "folder", "image_sets.a.root is missing: name the folder"),
    ("image_sets.a.root", "pictures", "image_sets.a.root is 'pictures', but source photos"),
    ("random_seeds", [], r"random_seeds is \[\], but must be a list with at least 1 entry"),
    ("random_seeds", [1, 1], r"random_seeds is \[1, 1\], but its entries must differ"),
    ("random_seeds", [-1], r"random_seeds\[0\] is -1"),
    ("random_seeds", 3, "random_seeds is 3, but must be a list"),
    ("seeds.n_seeds", 25, "seeds.n_seeds is 25, but image_sets.a.n_images is only 24"),
    ("equation.stored_steps", 101, "101, but equation.time_steps is only 100"),
    ("image_sets.a.time_steps", 3, "stored_steps is 10, but image_sets.a.time_steps is only 3"),
    ("solvers.x", {"method": "spsolv"}, "solvers.x.method cannot be used: .*'spsolv' is unknown"),
    (
        "solvers.x",
        {"method": "cross_matrix_galerkin", "options": {"dimensoin": 3}},
        "solvers.x.options.dimensoin is no option of method .*: did you mean dimension?",
    ),
    (
        "solvers.x",
        {"method": "cross_matrix_pod", "options": {"max_iteration": 3}},
        "did you mean max_iterations?",
    ),
    (
        "solvers.x",
        {"method": "gmres", "options": {"restart": "many"}},
        "restart is 'many', but method gmres takes a number",
    ),
    ("solvers.x", {"method": ":S"}, "solvers.x.method cannot be used"),
    ("solvers.x", {"method": ".x:S"}, "solvers.x.method cannot be used"),
    ("studies.bank", {"method": "transform_bicgstb"}, "studies.bank.method .*did you mean"),
    (
        "studies.bank",
        {"options": {"restrat": 3}},
        "studies.bank.options.restrat .*did you mean restart?",
    ),
    ("studies.error_budget", {"method": "bicgstap"}, "studies.error_budget.method .*did you mean"),
    (
        "studies.warm_start",
        {"refiners": {"g": {"method": "gmers"}}},
        "refiners.g.method .*did you mean",
    ),
    (
        "engine.solver",
        {"method": "gmres", "options": {"restat": 3}},
        "engine.solver.options.restat .*did you mean restart?",
    ),
    ("image_sets.a\n", {"source": "photos"}, "under image_sets cannot be used"),
    ("image_sets.a.n_images", 10**400, "n_images is 1000"),
    ("march.picard_tolerance", 10**400, "picard_tolerance is 1000"),
    ("engine.solver.name", "gmres", "key engine.solver.name: did you mean engine.solver.method?"),
    ("engine.solver.method", "gmrs", "engine.solver.method cannot be used: .*mean 'gmres'"),
    ("image_sets.a.source", "fotos", "image_sets.a.source is 'fotos', .*did you mean 'photos'"),
    ("studies.trajectory.image_sets", ["b"], "image_sets names 'b', which is not defined"),
    ("studies.trajectory.solvers", ["pcg"], "names 'pcg', which is not defined under solvers"),
    ("equation.final_time", 0, "equation.final_time is 0"),
    ("equation.diffusion.g", 0, "equation.diffusion.g is 0, but must be a finite number above 0"),
    ("equation.diffusion.kind", "path", "equation.diffusion.path is missing"),
    ("equation.drift.path", "nonsense", "equation.drift.path is 'nonsense', but must be text like"),
]  # fmt: skip


def set_key(config, path, value):
    """Set a dotted key, making the sections on the way."""
    *parents, last = path.split(".")
    for key in parents:
        config = config.setdefault(key, {})
    config[last] = value


@pytest.mark.parametrize(("path", "value", "sentence"), MISTAKES)
def test_mistake_gives_one_sentence(config, path, value, sentence):
    set_key(config, path, value)
    with pytest.raises(ConfigError) as caught:
        check_config(config)
    message = str(caught.value)
    assert re.search(sentence, message), message
    assert "\n" not in message
    assert len(message) < 400
    assert message[-1] in ".?"


def test_key_that_yaml_does_not_read_as_text(config):
    config["image_sets"] = {32: {"source": "photos"}}
    with pytest.raises(ConfigError, match=r"key 32 under image_sets is read by YAML as a number"):
        check_config(config)


def test_beta_in_the_wrong_order(config):
    config["equation"] = {"diffusion": {"kind": "vp", "beta_min": 5.0, "beta_max": 1.0}}
    with pytest.raises(ConfigError, match=r"equation.diffusion.beta_min is 5, .* above beta_max 1"):
        check_config(config)


def test_bad_configuration_leaves_with_status_and_sentence(config):
    config["march"] = {"tolerance": 5}
    with pytest.raises(SystemExit, match=r"^Configuration error: march.tolerance is 5"):
        check_or_exit(config, SCHEMA, None)


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("a: [1, 2", DataError, r"c\.yaml, line 2 is not valid YAML"),
        ("a:\n\tb: 1\n", DataError, r"c\.yaml, line 2 .* indent by spaces"),
        ("a: 1\nb: {c: 1}\na: 2\n", ConfigError, r"c\.yaml, line 3: the key 'a' .* line 1"),
        ("a: &x {b: *x}", ConfigError, r"c\.yaml holds an alias"),
        ("a: " + "9" * 5000, DataError, r"c\.yaml is not valid YAML"),
        ("- 1\n- 2\n", ConfigError, r"c\.yaml holds \[1, 2\]: it must hold sections"),
        ("", ConfigError, r"image_sets is missing"),
    ],
)
def test_unusable_file(tmp_path, text, error, sentence):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(error, match=sentence):
        load_config(tmp_path / "c.yaml")


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"gone\.yaml cannot be read"):
        load_config(tmp_path / "gone.yaml")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("syntax", "a: [1\nb: 2\n", r"syntax\.yaml, line 2 is not valid YAML"),
        ("tab", "a:\n\tb: 1\n", r"tab\.yaml, line 2 .*by spaces"),
        ("list", "- 1\n", r"list\.yaml holds \[1\]"),
        ("empty", "", r"empty\.yaml is empty: write sections"),
        ("gone", None, r"gone\.yaml cannot be read"),
    ],
)
def test_a_file_of_a_run_is_named(tmp_path, name, text, sentence):
    if text is not None:
        (tmp_path / f"{name}.yaml").write_text(text)
    with pytest.raises(SystemExit, match=f"^Configuration error: .*{sentence}"):
        check_files_or_exit([tmp_path / f"{name}.yaml"])


def test_no_number_of_images_means_all_of_them(config):
    config["image_sets"]["a"]["n_images"] = None
    config["training"] = {"single_image": {"image_sets": ["a"], "images": [1000]}}
    assert check_config(config)["image_sets"]["a"]["n_images"] is None


def test_module_of_a_solver_that_leaves_is_a_sentence(config, tmp_path, monkeypatch):
    (tmp_path / "leaving.py").write_text("raise SystemExit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    config["solvers"] = {"x": {"method": "leaving:S"}}
    with pytest.raises(ConfigError, match=r"solvers.x.method .* cannot be imported"):
        check_config(config)


def test_every_option_of_a_solver_is_known():
    for name, cls in available_solvers().items():
        known = solver_options(name)
        cls(**known)  # the defaults that were read make the solver
        own = {p for p in inspect.signature(cls).parameters if p != "options"}
        assert own <= set(known) or not known


def test_written_sections_run_on_all_sets_and_others_on_none(config):
    config["image_sets"]["b"] = {"source": "digits"}
    config |= {"engine": {"parts": 1}, "training": {"single_image": {"image_sets": []}}}
    check_config(config)
    assert config["engine"]["image_sets"] == ["a", "b"]
    assert config["training"]["single_image"]["image_sets"] == []
    assert config["training"]["budget"]["image_sets"] == []


def test_an_image_set_that_nothing_uses_is_told(config):
    config["image_sets"]["b"] = {"source": "digits"}
    config["engine"] = {"image_sets": ["a"]}
    (told,) = warnings(check_config(config))
    assert told.startswith("Nothing uses the image set b: name it under image_sets of a study")
    config["studies"]["trajectory"] = {}
    assert warnings(check_config(config)) == []


def test_what_is_cut_to_the_images_or_steps_is_told(config):
    config["image_sets"]["a"]["n_images"] = 4
    config |= {"equation": {"time_steps": 8, "stored_steps": 3}, "embedding": {"steps": 50}}
    config["studies"] = {"likeness": {"image_sets": ["a"], "n_seeds": [1, 4, 9]}}
    config["training"] = {"single_image": {"image_sets": ["a"]}}
    steps, seeds = warnings(check_config(config))
    assert steps.startswith("embedding.steps is 50, but equation.stored_steps is only 3")
    assert "n_seeds asks for 4" in seeds and "9 seeds, but image set a has 4 images" in seeds
    config["embedding"]["steps"] = 3
    config["studies"]["likeness"]["n_seeds"] = [1, 3]
    assert warnings(check_config(config)) == []
