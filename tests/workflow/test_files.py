"""What can be checked about the workflow's files without running it."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from crosskrylov.planning.dependencies import source_files
from tests.conftest import PROJECT, TOY

RULE_FILES = sorted((PROJECT / "workflow" / "rules").glob("*.smk"))
SCRIPTS = sorted((PROJECT / "workflow" / "scripts").glob("*.py"))
ENVIRONMENTS = sorted((PROJECT / "envs").glob("*.yaml"))


@pytest.fixture(scope="module")
def rules():
    """Every rule under the toy configuration, as Snakemake reads it: rules may be made in loops."""
    from snakemake.api import ConfigSettings, ResourceSettings, SnakemakeApi
    from snakemake.settings.types import OutputSettings, Quietness

    output = OutputSettings(quiet={Quietness.ALL})
    path = list(sys.path)
    with SnakemakeApi(output) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[TOY]),
            snakefile=PROJECT / "Snakefile",
        )._workflow
        yield {rule.name: rule for rule in workflow.rules}
    sys.path[:] = path


@pytest.fixture(scope="module")
def jobs(rules):
    """The rules that run a script; the others are named targets."""
    return {name: rule for name, rule in rules.items() if rule.script}


# --- rules and scripts --------------------------------------------------------------------------


def script_of(rule):
    return (PROJECT / "workflow" / "rules" / rule.script).resolve()


def test_rule_has_a_docstring(rules):
    assert [name for name, rule in rules.items() if not rule.docstring] == []


def test_rule_runs_a_script_or_is_a_target(rules, jobs):
    assert len(jobs) > 20
    for name in set(rules) - set(jobs):
        assert not rules[name].output, f"{name} makes files without a script"
        assert rules[name].input, name


def test_every_script_belongs_to_a_rule(jobs):
    assert {script_of(rule) for rule in jobs.values()} == set(SCRIPTS)


def test_script_of_a_single_rule_is_named_like_it(jobs):
    shared = Counter(script_of(rule) for rule in jobs.values())
    # rules of a loop, however few, are called join_<one>, say; their script is join_study
    offenders = [
        name
        for name, rule in jobs.items()
        if shared[script_of(rule)] == 1
        and script_of(rule).stem not in (name, f"{name.partition('_')[0]}_study")
    ]
    assert offenders == []


def test_rule_has_log_environment_and_benchmark(jobs):
    for name, rule in jobs.items():
        assert rule.log, name
        environment = PROJECT / "workflow" / "rules" / str(rule.conda_env)
        assert environment.resolve() in ENVIRONMENTS, name
        # Snakemake cannot fill in a benchmark for a result taken from the cache
        assert bool(rule.benchmark) != bool(rule.ruleinfo.cache), name


def test_outputs_of_the_report_have_labels(jobs):
    """The report names what it shows by its labels, else by the file's path."""
    shown = {
        f"{name}: {file}": file.flags["report"]
        for name, rule in jobs.items()
        for file in rule.output
        if "report" in file.flags
    }
    assert len(shown) > 10
    assert [place for place, entry in shown.items() if not entry.labels] == []


def test_fingerprints_know_every_parameter_of_a_training_rule(jobs):
    """A parameter that is left out would let a kept record stand for another run."""
    from crosskrylov.planning.kept import TRAINING_PARAMETERS

    stated = {name: set(keys.split()) for name, keys in TRAINING_PARAMETERS.items()}
    assert stated == {name: set(jobs[name].params.keys()) for name in stated}
    named = {name: set(rule.params.keys()) for name, rule in jobs.items()}
    assert {name for name, keys in named.items() if "training" in keys} <= set(stated)


def test_benchmark_files_of_two_rules_differ(jobs):
    """seconds.tsv tells rules apart by the paths of their benchmark files."""
    patterns = {name: rule.benchmark.regex() for name, rule in jobs.items() if rule.benchmark}
    for name, rule in jobs.items():
        if rule.benchmark and not rule.benchmark.contains_wildcard():
            assert [n for n, p in patterns.items() if p.fullmatch(str(rule.benchmark))] == [name]


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.stem)
def test_files_that_rules_name_exist(file):
    named = re.findall(r'(?:caption=|conda:\s*)"(\.\./[^"]+)"', file.read_text())
    missing = [path for path in named if not (file.parent / path).is_file()]
    assert missing == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_script_has_a_main_and_runs_only_under_snakemake(script):
    tree = ast.parse(script.read_text())
    allowed = (ast.Expr, ast.Import, ast.ImportFrom, ast.FunctionDef, ast.If, ast.Assign)
    assert all(isinstance(node, allowed) for node in tree.body)
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert "main" in functions
    guard = tree.body[-1]
    assert ast.unparse(guard.test) == "__name__ == '__main__'"
    assert [ast.unparse(line) for line in guard.body] == ["run_job(main, snakemake)"]
    assert "snakemake.config" not in script.read_text()


def test_library_never_imports_snakemake():
    offenders = [
        file.name
        for file in (PROJECT / "crosskrylov").rglob("*.py")
        if re.search(r"^\s*(import|from) snakemake\b", file.read_text(), flags=re.MULTILINE)
    ]
    assert offenders == []


def test_configuration_module_is_not_part_of_any_script():
    files = {file for script in SCRIPTS for file in library_of(script)}
    assert files.isdisjoint(
        {"crosskrylov/planning/config.py", "crosskrylov/planning/dependencies.py"}
    )


def library_of(script):
    """Return every library file that a script imports, directly or not, relative to the project."""
    return {Path(file).relative_to(PROJECT).as_posix() for file in source_files([script])}


def test_rules_depend_on_every_library_file_that_their_script_imports(snakemake, jobs):
    plan = snakemake(
        "all", "export_systems", "--dry-run", "--forceall", "--configfile", TOY, cwd=PROJECT
    ).stdout
    planned = re.findall(r"rule (\w+):\n    input: (.*)", plan)
    inputs = {name: listed for name, listed in planned if name in jobs}
    assert len(inputs) >= len(jobs) * 0.9
    missing = {
        name: sorted(file for file in library_of(script_of(jobs[name])) if file not in listed)
        for name, listed in inputs.items()
    }
    assert {name: files for name, files in missing.items() if files} == {}


# --- rooms of the library -----------------------------------------------------------------------


def test_top_floor_of_the_library_stays_small():
    entries = [
        path.name
        for path in (PROJECT / "crosskrylov").iterdir()
        if path.name not in ("__init__.py", "__pycache__")
    ]
    assert len(entries) <= 16, sorted(entries)


def test_packages_hold_a_docstring_and_import_nothing():
    root = PROJECT / "crosskrylov" / "__init__.py"  # offers the public names
    for file in sorted((PROJECT / "crosskrylov").rglob("__init__.py")):
        body = ast.parse(file.read_text()).body
        assert file == root or [type(node) for node in body] == [ast.Expr], file
        assert isinstance(body[0], ast.Expr), f"{file} has no docstring"


def test_every_room_has_its_floor_in_the_import_contract():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    floors = project["tool"]["importlinter"]["contracts"][0]
    assert floors["exhaustive"]
    named = {room for floor in floors["layers"] for room in re.split(r"[ |:]+", floor)}
    rooms = {path.stem for path in (PROJECT / "crosskrylov").iterdir() if path.suffix != ".yaml"}
    assert named == rooms - {"__init__", "__pycache__"}


def test_import_contracts_are_kept():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# --- the workflow catalog -------------------------------------------------------------------------


def test_table_of_keys_is_up_to_date():
    from crosskrylov.planning.config import read_schema
    from crosskrylov.planning.key_table import key_table

    written = (PROJECT / "config" / "README.md").read_text()
    assert written == key_table(read_schema()), "run `make keys`"


def test_root_configuration_is_the_one_of_the_catalog():
    assert (PROJECT / "config.yaml").resolve() == PROJECT / "config" / "config.yaml"


def test_catalog_says_what_it_has_to():
    usage = yaml.safe_load((PROJECT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert usage["software-stack-deployment"]["conda"]


# --- style --------------------------------------------------------------------------------------


def test_snakemake_lint_is_clean(snakemake):
    assert "good condition" in snakemake("--lint", cwd=PROJECT).stdout


def test_snakefmt_is_clean():
    command = [sys.executable, "-m", "snakefmt", "--check", "Snakefile", "workflow"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- profiles and make --------------------------------------------------------------------------


@pytest.mark.parametrize("file", sorted(PROJECT.glob("profiles/*/profile.yaml")), ids=str)
def test_profile_holds_options_that_snakemake_knows(file):
    from snakemake.cli import get_argument_parser

    known = {
        option for action in get_argument_parser()._actions for option in action.option_strings
    }
    entries = yaml.safe_load(file.read_text())
    assert [key for key in entries if f"--{key}" not in known] == []


def test_make_needs_a_recent_python(tmp_path):
    (tmp_path / "envs").mkdir()
    shutil.copy(PROJECT / "Makefile", tmp_path)
    shutil.copy(PROJECT / "envs" / "requirements.lock", tmp_path / "envs")
    done = subprocess.run(
        ["make", "environment", "PYTHON=false"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_continuous_integration_runs_what_make_test_runs():
    assert "make test" in (PROJECT / ".ci" / "run").read_text()
    make = subprocess.run(["make", "-n", "test"], cwd=PROJECT, capture_output=True, text=True)
    for command in (
        *("ruff check", "ruff format --check", "snakefmt --check", "--lint", "lint-imports"),
        "pytest",
    ):
        assert command in make.stdout


@pytest.mark.parametrize(
    ("family", "shared"),
    [("study", ""), ("claims", "presets/learning-rates.yaml presets/claims.yaml ")],
)
def test_a_family_of_presets_runs_every_part_on_the_blank_preset(family, shared):
    make = subprocess.run(["make", "-n", family], cwd=PROJECT, capture_output=True, text=True)
    parts = sorted((PROJECT / "presets").glob(f"{family}-*.yaml"))
    assert parts
    for part in parts:
        layers = f"presets/blank.yaml {shared}presets/{part.name} presets/records.yaml"
        assert make.stdout.count(f"--configfile {layers}") == 1
        assert f'--part "{part.stem}" --command "make {part.stem}"' in make.stdout


# --- pinned environments ------------------------------------------------------------------------


def pins_of(lines):
    """Return version and marker by canonical name; each line must pin exactly one version."""
    pins = {}
    for line in lines:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        assert "*" not in specifier.version, line
        pins[canonicalize_name(requirement.name)] = (
            specifier.version,
            str(requirement.marker or ""),
        )
    return pins


def lock_pins():
    text = (PROJECT / "envs" / "requirements.lock").read_text()
    return pins_of(line for line in text.splitlines() if line and not line.startswith("#"))


def environment_pins(file):
    dependencies = yaml.safe_load(file.read_text())["dependencies"]
    (pip,) = [entry["pip"] for entry in dependencies if isinstance(entry, dict)]
    return pins_of(pip)


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_environment_has_the_pins_of_the_lock(file):
    lock, pins = lock_pins(), environment_pins(file)
    assert pins
    assert {name: pin for name, pin in pins.items() if lock.get(name) != pin} == {}


def test_environments_and_lock_hold_what_the_project_declares():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    lock = lock_pins()
    held = {file.stem: environment_pins(file) for file in ENVIRONMENTS}
    for group, texts in groups.items():
        for text in texts:
            requirement = Requirement(text)
            name = canonicalize_name(requirement.name)
            assert requirement.specifier.contains(lock[name][0], prereleases=True), text
            if group in ("", "figures", "pardiso"):
                assert name in held["numerics"], text
            if group in ("", "figures", "pardiso", "training"):
                assert name in held["training"], text


def test_lock_describes_this_environment():
    from importlib.metadata import PackageNotFoundError, version

    wrong = {}
    for name, (pin, marker) in lock_pins().items():
        try:
            installed = version(name).partition("+")[0]
        except PackageNotFoundError:
            installed = None
        if installed != pin and not (marker and installed is None):
            wrong[name] = (pin, installed)
    assert wrong == {}, "run `make environment`, or `make pins` after changing dependencies"


def test_pre_commit_uses_the_pinned_tools():
    repositories = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"]
    revisions = {entry["repo"].rpartition("/")[2]: entry["rev"] for entry in repositories}
    lock = lock_pins()
    assert revisions["ruff-pre-commit"] == f"v{lock['ruff'][0]}"
    assert revisions["import-linter"] == f"v{lock['import-linter'][0]}"
    assert revisions["snakefmt"] == f"v{lock['snakefmt'][0]}"
