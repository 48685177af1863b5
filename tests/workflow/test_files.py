"""What can be checked about the workflow's files without running it."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from crosskrylov.planning.dependencies import source_files
from tests.conftest import PROJECT

RULE_FILES = sorted((PROJECT / "workflow" / "rules").glob("*.smk"))
SCRIPTS = sorted((PROJECT / "workflow" / "scripts").glob("*.py"))
ENVIRONMENTS = sorted((PROJECT / "envs").glob("*.yaml"))


def rule_texts():
    """Return the text of every rule by name."""
    texts = {}
    for file in [PROJECT / "Snakefile", *RULE_FILES]:
        parts = re.split(r"^\s*(?:rule|checkpoint) (\w+):$", file.read_text(), flags=re.MULTILINE)
        texts.update(zip(parts[1::2], parts[2::2], strict=True))
    return texts


RULES = rule_texts()
JOBS = {name: text for name, text in RULES.items() if "script:" in text}


# --- rules and scripts --------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(RULES))
def test_rule_has_a_docstring(name):
    assert RULES[name].lstrip().startswith('"""')


@pytest.mark.parametrize("name", sorted(JOBS))
def test_script_exists_and_is_named_like_its_rule(name):
    (script,) = re.findall(r'script:\s*"\.\./scripts/([\w.]+)"', JOBS[name])
    assert script == f"{name}.py"
    assert (PROJECT / "workflow" / "scripts" / script).is_file()


def test_every_script_belongs_to_a_rule():
    assert {script.stem for script in SCRIPTS} == set(JOBS)


@pytest.mark.parametrize("name", sorted(JOBS))
def test_rule_has_log_environment_and_benchmark(name):
    assert "log:" in JOBS[name]
    assert re.search(r'conda:\s*"\.\./\.\./envs/\w+\.yaml"', JOBS[name])
    # Snakemake cannot fill in a benchmark for a result taken from the cache
    assert ("benchmark:" in JOBS[name]) != ("cache:" in JOBS[name])


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
    begins = ("run_job(main, snakemake)", "with logged(snakemake.log[0])")
    assert ast.unparse(guard.body[0]).startswith(begins)
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


def test_rules_depend_on_every_library_file_that_their_script_imports(snakemake, toy_config):
    plan = snakemake(
        "all", "export_systems", "--dry-run", "--forceall", "--configfile", toy_config, cwd=PROJECT
    ).stdout
    inputs = dict.fromkeys(JOBS, "")
    for name, listed in re.findall(r"rule (\w+):\n    input: (.*)", plan):
        if name in inputs:
            inputs[name] = listed
    planned = {name for name, listed in inputs.items() if listed}
    assert len(planned) >= len(JOBS) / 2
    missing = {
        name: sorted(file for file in library_of(script) if file not in inputs[name])
        for name in planned
        for script in [PROJECT / "workflow" / "scripts" / f"{name}.py"]
    }
    assert {name: files for name, files in missing.items() if files} == {}


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
    for command in ("ruff check", "ruff format --check", "snakefmt --check", "--lint", "pytest"):
        assert command in make.stdout


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
    assert revisions["snakefmt"] == f"v{lock['snakefmt'][0]}"
