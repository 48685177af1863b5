"""The ready-made networks: names and provenance, read without importing torch."""

from pathlib import Path
from typing import Any

from crosskrylov.errors import ConfigError
from crosskrylov.runtime.declared import did_you_mean
from crosskrylov.runtime.files import read_json

#: Each network is NAME.safetensors with its provenance, NAME.json.
READY_MADE_FOLDER = Path(__file__).resolve().parent


def ready_made_names(folder: Path = READY_MADE_FOLDER) -> tuple[str, ...]:
    """Return the names of the ready-made networks, sorted."""
    return tuple(sorted(file.stem for file in Path(folder).glob("*.json")))


def provenance(name: str, folder: Path = READY_MADE_FOLDER) -> dict[str, Any]:
    """Return what is written about a ready-made network: data, licence, training, quality.

    Raises
    ------
    ConfigError
        If there is none of that name.
    DataError
        If its description is damaged.
    """
    names = ready_made_names(folder)
    if name not in names:
        raise ConfigError(
            f"{name!r} is no ready-made network{did_you_mean(name, names)}: there are "
            f"{', '.join(names) or 'none'}."
        )
    return read_json(Path(folder) / f"{name}.json")
