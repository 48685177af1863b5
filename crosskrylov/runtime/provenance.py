"""Which machine, software and source revision made a result."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from crosskrylov import __version__
from crosskrylov.runtime.machine_id import machine_id, memory_gib, processor
from crosskrylov.runtime.measurement import available_cores

#: Packages whose version can change a number or a time.
PACKAGES = ("numpy", "scipy", "pyamg", "pypardiso", "mkl", "torch", "diffusers", "snakemake")


def machine() -> dict[str, str]:
    """Return what the numbers depend on: processor, memory, system and package versions.

    Returns
    -------
    dict of str to str
        Property to value; a package that is not installed is left out.
    """
    facts = {
        "crosskrylov": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": str(available_cores()),
        "memory_gib": memory_gib(),
        "machine_id": machine_id(),
    }
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    return {name: value for name, value in facts.items() if value}


def revision(folder: str | Path = ".", ignoring: str = "") -> str:
    """Return the git commit of a folder, and whether its tracked files differ from it.

    Parameters
    ----------
    folder : path-like
        Folder inside a git checkout.
    ignoring : str
        Path whose changes do not count (generated files), relative to ``folder``.

    Returns
    -------
    str
        The commit, with the words "with uncommitted changes" if there are any; empty without git.
    """

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    excluded = ["--", ".", f":!{ignoring}"] if ignoring else []
    try:
        commit = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no", *excluded)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit} with uncommitted changes" if changed else commit
