"""What the workflow has to know of the image sources, as they declare it themselves."""

from collections.abc import Mapping
from pathlib import Path

from crosskrylov.datasets.index import SourceEntry, check_options, source_entry
from crosskrylov.errors import ConfigError
from crosskrylov.planning.messages import shown
from crosskrylov.runtime.fingerprint import folder_fingerprint

#: Keys of an image set that are options of some source and empty for all others.
OPTION_KEYS = ("crop_size", "classes", "photographs", "upscale")


def source_of(config: Mapping, name: str) -> SourceEntry:
    """Return the source behind an image set."""
    return source_entry(config["image_sets"][name]["source"])


def source_file(config: Mapping, name: str) -> Path:
    """Return the module of an image set's source, the only one that its images depend on."""
    return source_of(config, name).file


def watched_files(config: Mapping, name: str) -> str:
    """Return a digest of the folder behind an image set; "" where nothing is to be watched."""
    watched = source_of(config, name).facts.watch
    return folder_fingerprint(config["image_sets"][name]["root"]) if watched else ""


def frechet_features(config: Mapping, name: str) -> str:
    """Return the features of the Fréchet distance for an image set: configured, or the source's."""
    chosen = config["metrics"]["frechet_features"]
    return source_of(config, name).facts.features if chosen == "auto" else chosen


def check_source(key: str, images: Mapping) -> None:
    """Raise ConfigError unless the entry ``key`` of image_sets fits its source.

    Parameters
    ----------
    key : str
        Path of the entry, for the message.
    images : mapping
        The entry, with defaults.
    """
    source = images["source"]
    try:
        entry = source_entry(source)
    except ConfigError as error:
        raise ConfigError(f"{key}.{error}") from None
    if entry.facts.root == "required" and not images["root"]:
        raise ConfigError(f"{key}.root is missing: name the folder that holds your images.")
    if entry.facts.root == "none" and images["root"]:
        raise ConfigError(
            f"{key}.root is {shown(images['root'])}, but source {source} reads no folder: remove "
            "root, or set source: folder."
        )
    own = [option for option in images["options"] if option in images and option != "options"]
    if own or "seed" in images["options"]:
        named = own[0] if own else "seed"
        place = f"{key}.{named}" if own else f"{key}.random_seeds"
        raise ConfigError(
            f"{key}.options names {named!r}, which has a key of its own: set {place}."
        )
    given = [option for option in OPTION_KEYS if images[option] is not None]
    try:
        check_options(source, [*given, *images["options"]], entry.options)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None
