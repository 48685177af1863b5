"""Which machine this is, as an id without its name."""

import hashlib
import os
import platform
from pathlib import Path

from crosskrylov.runtime.measurement import available_cores


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
    memory = memory_gib().partition(".")[0]  # the kernel keeps a little more or less for itself
    text = "\n".join(("crosskrylov", processor(), str(available_cores()), memory, _host_identity()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _host_identity() -> str:
    """Return the system's number and name; containers of one image share the number."""
    try:
        number = Path("/etc/machine-id").read_text().strip()
    except OSError:
        number = ""
    return f"{number} {platform.node()}"


def processor() -> str:
    """Return the processor's model name, from the system's own list where it has one."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def memory_gib() -> str:
    """Return the memory in GiB to one digit; empty where the system does not tell."""
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f}"
    except (ValueError, OSError, AttributeError):
        return ""
