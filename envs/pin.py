"""Write the exact pins of every environment from what is installed: python envs/pin.py.

Run it in an environment that passes the tests, after changing the dependencies in pyproject.toml.
It writes envs/requirements.lock (everything, what `make` installs) and the two conda environments
(what the rules need), with the same versions.

Why no pip-compile: given the lock as constraints it finds the same versions, but from what the
index of the machine offers instead of from what was tested.  It then pins torch by its build
(2.13.0+cpu, which other indexes do not have) or, where the index has CUDA builds, adds their
libraries, and the conda environments would have to be written from its output all the same.
"""

import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).resolve().parent
PROJECT = FOLDER.parent / "pyproject.toml"

#: Optional dependencies of pyproject.toml that each conda environment holds.
ENVIRONMENTS = {
    "numerics": ("figures", "pardiso"),
    "training": ("figures", "pardiso", "training"),
}

#: Wheels exist for this platform only; everywhere else the solver that needs them is left out.
LINUX_ONLY = 'sys_platform == "linux" and platform_machine == "x86_64"'

LOCK_HEADER = """\
# Exact versions that the project is tested with, dependencies of dependencies included: what `make`
# and continuous integration install.  Written by `python envs/pin.py`; do not edit by hand.
# torch brings its own exactly pinned CUDA libraries where the index has them; they are not listed.
"""

ENVIRONMENT_HEADER = """\
# For `snakemake --sdm conda`.  Written by `python envs/pin.py`, with the versions that
# requirements.lock has; they come through pip, so that both ways of installing give the same files.
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python =3.11
  - pip
  - pip:
"""


def closure(requirements: Iterable[str]) -> dict[str, str]:
    """Return name and version of the requirements and of everything that they require.

    Parameters
    ----------
    requirements : iterable of str
        Requirements as in pyproject.toml.

    Returns
    -------
    dict of str to str
        Versions by canonical name; a requirement whose marker excludes this platform is left out.
    """
    pins: dict[str, str] = {}
    waiting = [Requirement(text) for text in requirements]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        visit = (name, frozenset(requirement.extras))
        if visit in seen:
            continue
        seen.add(visit)
        try:
            pins[name] = version(name).partition("+")[0]  # +cpu names a build, not a version
        except PackageNotFoundError:
            raise SystemExit(f"{name} is not installed: install it before writing pins.") from None
        for extra in requirement.extras or {""}:
            for text in requires(name) or []:
                inner = Requirement(text)
                if inner.marker is None or inner.marker.evaluate({"extra": extra}):
                    waiting.append(inner)
    return pins


def declared() -> dict[str, list[str]]:
    """Return the requirements of pyproject.toml by group; the group "" is always needed."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


def pinned_lines(groups: Iterable[str]) -> list[str]:
    """Return a pinned requirement per line for these groups of pyproject.toml and the group ""."""
    available = declared()
    chosen = {group: available[group] for group in ("", *groups)}
    everywhere = closure(
        text for group, texts in chosen.items() if group != "pardiso" for text in texts
    )
    pins = closure(text for texts in chosen.values() for text in texts)
    return [
        f"{name}=={pin}" + ("" if name in everywhere else f"; {LINUX_ONLY}")
        for name, pin in sorted(pins.items())
    ]


def lock_text() -> str:
    """Return the contents of requirements.lock."""
    return LOCK_HEADER + "\n".join(pinned_lines(group for group in declared() if group)) + "\n"


def environment_text(groups: Iterable[str]) -> str:
    """Return the contents of a conda environment with these groups of requirements."""
    return ENVIRONMENT_HEADER + "".join(f"      - '{line}'\n" for line in pinned_lines(groups))


if __name__ == "__main__":
    (FOLDER / "requirements.lock").write_text(lock_text(), encoding="utf-8")
    for name, groups in ENVIRONMENTS.items():
        (FOLDER / f"{name}.yaml").write_text(environment_text(groups), encoding="utf-8")
