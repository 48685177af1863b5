"""The one U-Net that all models of a comparison share: diffusers' UNet2DModel, sized by config."""

from collections.abc import Mapping

import torch

import crosskrylov.runtime.torchvision_compat  # noqa: F401  (must come before diffusers)
from crosskrylov.learning.unet_options import check_unet_options

#: Network time runs over [0, TIME_SCALE], the range for which sinusoidal time features are made.
TIME_SCALE = 1000.0


def build_unet(
    options: Mapping,
    image_size: int,
    image_channels: int,
    seed: int,
    preconditioning: Mapping | None = None,
):
    """Return a freshly initialised U-Net for square images.

    Self-attention is placed where its cost is small: at side lengths up to
    ``attention_resolution`` and in the middle block, and nowhere else.

    Parameters
    ----------
    options : mapping
        See `check_unet_options`.
    image_size : int
        Side length in pixels.
    image_channels : int
        1 (grey) or 3 (RGB).
    seed : int
        Seed of the initial weights; the global random state is left as it was.
    preconditioning : mapping, optional
        Arguments of `crosskrylov.learning.preconditioned.PreconditionedUNet` beside the network;
        none by default, the network itself.

    Returns
    -------
    diffusers.UNet2DModel or PreconditionedUNet
        In channels-last memory format, which oneDNN and cuDNN convolve fastest. Its forward takes
        (B, C, H, W) float32 and (B,) times in [0, `TIME_SCALE`].

    Raises
    ------
    ConfigError
        See `check_unet_options`.
    """
    from diffusers import UNet2DModel

    check_unet_options(options, image_size)
    channels = tuple(int(width) for width in options["channels"])
    attends = [image_size // 2**i <= options["attention_resolution"] for i in range(len(channels))]
    arguments = {
        "layers_per_block": int(options["layers_per_block"]),
        "block_out_channels": channels,
        "down_block_types": tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in attends),
        "up_block_types": tuple("AttnUpBlock2D" if a else "UpBlock2D" for a in attends[::-1]),
        "norm_num_groups": int(options["norm_groups"]),
        "attention_head_dim": min(32, min(channels)),
        "add_attention": bool(options.get("middle_attention", True)),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if preconditioning is None:
            network = UNet2DModel(
                sample_size=image_size,
                in_channels=image_channels,
                out_channels=image_channels,
                **arguments,
            )
        else:
            from crosskrylov.learning.preconditioned import PreconditionedUNet

            network = PreconditionedUNet(
                image_size,
                image_channels,
                # lists, as a checkpoint's JSON gives them back
                {k: list(v) if isinstance(v, tuple) else v for k, v in arguments.items()},
                **preconditioning,
            )
    return network.to(memory_format=torch.channels_last)


def count_parameters(network: torch.nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
