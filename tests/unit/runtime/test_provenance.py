"""Machine, software and revision of a result."""

import subprocess

import pytest

from crosskrylov.runtime import machine_id, provenance


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_machine_names_the_versions_that_are_installed():
    import numpy

    facts = provenance.machine()
    assert facts["numpy"] == numpy.__version__
    assert int(facts["cores"]) >= 1
    assert float(facts["memory_gib"]) > 0
    assert all(isinstance(value, str) and value for value in facts.values())


def test_revision_is_the_commit_and_says_when_files_differ(tmp_path):
    assert provenance.revision(tmp_path) == ""
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = provenance.revision(tmp_path)
    assert len(commit) == 40
    (tmp_path / "untracked").write_text("")
    assert provenance.revision(tmp_path) == commit
    (tmp_path / "a").write_text("2")
    assert provenance.revision(tmp_path) == f"{commit} with uncommitted changes"
    assert provenance.revision(tmp_path, ignoring="a") == commit


@pytest.fixture
def known_machine(monkeypatch):
    facts = {"processor": "Example 3000", "available_cores": 2, "memory_gib": "23.5"}
    facts["_host_identity"] = "secret-host"
    for name, value in facts.items():
        monkeypatch.setattr(machine_id, name, lambda value=value: value)


@pytest.mark.parametrize(
    ("fact", "other"),
    [
        ("processor", "Example 4000"),
        ("available_cores", 4),
        ("memory_gib", "47.0"),
        ("_host_identity", "another-host"),
    ],
)
def test_machine_id_differs_with_every_fact(known_machine, monkeypatch, fact, other):
    before = machine_id.machine_id()
    monkeypatch.setattr(machine_id, fact, lambda: other)
    assert machine_id.machine_id() != before


def test_machine_id_is_steady_and_says_no_name(known_machine, monkeypatch):
    before = machine_id.machine_id()
    monkeypatch.setattr(machine_id, "memory_gib", lambda: "23.6")
    assert machine_id.machine_id() == before == provenance.machine()["machine_id"]
    assert len(before) == 12 and int(before, 16) >= 0
    assert "secret" not in "".join(provenance.machine().values())
