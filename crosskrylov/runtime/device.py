"""Choice of the compute device."""

import torch

from crosskrylov.errors import ConfigError, DeviceError


def select_device(name: str, key: str = "training.device") -> torch.device:
    """Return the device for ``auto`` (CUDA where there is one), ``cpu`` or ``cuda``.

    Parameters
    ----------
    name : {"auto", "cpu", "cuda"}
        What was asked for.
    key : str
        Where it was asked, for the message.

    Raises
    ------
    DeviceError
        If CUDA is asked for and this machine or this build of torch has none.
    ConfigError
        If the name is none of the three.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"{key} is {name!r}; allowed are 'auto', 'cpu' and 'cuda'.")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        build = torch.version.cuda or "CPU-only"
        raise DeviceError(
            f"{key} is 'cuda' but torch {torch.__version__} (build: {build}) finds no GPU; set it "
            "to 'auto' or 'cpu', or install a CUDA build of torch."
        )
    return torch.device("cuda" if available and name != "cpu" else "cpu")
