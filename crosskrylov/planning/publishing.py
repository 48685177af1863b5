"""Which image sets may be shown: figures, exported systems and checkpoints hold their pixels."""

from collections.abc import Mapping

from crosskrylov.planning.sources import source_of


def is_published(config: Mapping, name: str) -> bool:
    """Return whether an image set's pixels may leave this machine in a snapshot or a report.

    Parameters
    ----------
    config : mapping
        The configuration, with defaults.
    name : str
        Key of ``image_sets``, whose entry decides; where its ``publish`` is null, the source does.
    """
    chosen = config["image_sets"][name]["publish"]
    return source_of(config, name).facts.publish if chosen is None else chosen
