"""Which machine, software and source revision made a result."""

import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from crosskrylov import __version__
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
        "processor": _processor(),
        "cores": str(available_cores()),
        "memory_gib": _memory_gib(),
        "machine_id": machine_id(),
    }
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    return {name: value for name, value in facts.items() if value}


def machine_id() -> str:
    """Return which machine this is: times measured under two ids are never set against each other.

    A digest of processor, usable cores, memory and the system's own identity, from which no name
    can be read back.  A container that is made anew each time is another machine each time: what it
    shares its processor with is not known.

    Returns
    -------
    str
        12 hexadecimal digits.
    """
    memory = _memory_gib().partition(".")[0]  # the kernel keeps a little more or less for itself
    text = "\n".join(
        ("crosskrylov", _processor(), str(available_cores()), memory, _host_identity())
    )
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _host_identity() -> str:
    """Return the system's number and name; containers of one image share the number."""
    try:
        number = Path("/etc/machine-id").read_text().strip()
    except OSError:
        number = ""
    return f"{number} {platform.node()}"


def _processor() -> str:
    """Return the processor's model name, from the system's own list where it has one."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gib() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f}"
    except (ValueError, OSError, AttributeError):
        return ""


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
