"""Names, facts and files of the image sources, found in this folder without importing them."""

from dataclasses import dataclass
from pathlib import Path

from crosskrylov.errors import ConfigError
from crosskrylov.runtime.declared import Declared, declared_in, did_you_mean, listed

SOURCES_FOLDER = Path(__file__).resolve().parent

#: What a source may say of the folder that it reads.
ROOTS = ("none", "optional", "required")


@dataclass(frozen=True)
class SourceFacts:
    """What the workflow has to know of a source; the keywords of `register`.

    Attributes
    ----------
    root : {"none", "optional", "required"}
        Whether ``root``, a folder of the user's, must or may be given.
    watch : bool
        Whether a file that comes, goes or changes in that folder loads the images again.
    publish : bool
        Whether pixels may be shown and passed on where the configuration does not say.
    features : str
        Features of the Fréchet distance that suit the images, where the configuration leaves the
        choice to the source.
    """

    root: str = "none"
    watch: bool = False
    publish: bool = True
    features: str = "haar"

    def __post_init__(self):
        if self.root not in ROOTS:
            raise ConfigError(
                f"A source declares root={self.root!r}{did_you_mean(self.root, ROOTS)}: use one of "
                f"{listed(ROOTS)}."
            )


@dataclass(frozen=True)
class SourceEntry:
    """Where a source is defined, and what it says of itself.

    Attributes
    ----------
    facts : SourceFacts
    options : tuple of str
        Names of the options that its opener takes.
    file : Path
        Its module's file.
    summary : str
        First line of the opener's docstring.
    """

    facts: SourceFacts
    options: tuple[str, ...]
    file: Path
    summary: str


def declared_sources(folder: Path = SOURCES_FOLDER) -> dict[str, Declared]:
    """Return what the modules of ``folder`` declare by `register`, by name of the source."""
    return declared_in(Path(folder))


def source_entry(name: str, folder: Path = SOURCES_FOLDER) -> SourceEntry:
    """Return the entry of a source.

    Raises
    ------
    ConfigError
        If the source is unknown, or declares what no source can.
    """
    known = declared_sources(folder)
    if not isinstance(name, str) or name not in known:
        raise ConfigError(
            f"source is {name!r}, which is unknown{did_you_mean(name, known)}: "
            f"use one of {listed(known)}."
        )
    declared = known[name]
    try:
        facts = SourceFacts(**declared.facts)
    except TypeError as error:
        raise ConfigError(
            f"{declared.file}: the declaration of source {name!r}: {error}."
        ) from None
    options = tuple(key for key in declared.parameters if key not in ("image_size", "seed"))
    return SourceEntry(facts, options, declared.file, declared.summary)


def check_options(name: str, given, known) -> None:
    """Raise ConfigError for an option that a source does not take."""
    for key in given:
        if key not in known:
            takes = f"it takes {listed(known)}" if known else "it takes no options"
            raise ConfigError(
                f"source {name!r} has no option {key!r}{did_you_mean(key, known)}: remove it "
                f"({takes})."
            )
