"""Check of the U-Net's settings; needs no torch, so that a configuration is checked quickly."""

from collections.abc import Mapping

from crosskrylov.errors import ConfigError


def check_unet_options(options: Mapping, image_size: int) -> None:
    """Raise if the U-Net of ``options`` cannot take ``image_size``-pixel images.

    Parameters
    ----------
    options : mapping
        ``channels`` (list of int, one per resolution), ``layers_per_block``,
        ``attention_resolution`` (pixels; self-attention at this side length and below),
        ``norm_groups``.
    image_size : int
        Side length in pixels.

    Raises
    ------
    ConfigError
        If the size cannot be halved often enough or the groups do not divide the channels.
    """
    channels = list(options["channels"])
    factor = 2 ** (len(channels) - 1)
    if image_size % factor or image_size < 2 * factor:
        raise ConfigError(
            f"A U-Net with unet.channels = {channels} halves images {len(channels) - 1} times and "
            f"cannot take {image_size} x {image_size} pixels; choose a multiple of {factor} of at "
            f"least {2 * factor}, or fewer entries in unet.channels."
        )
    groups = options["norm_groups"]
    for width in channels:
        if width % groups:
            raise ConfigError(
                f"unet.norm_groups is {groups} and does not divide the {width} channels in "
                f"unet.channels; choose a common divisor of {channels}."
            )
