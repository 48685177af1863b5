"""What a model may set for itself instead of taking it from the configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from crosskrylov.errors import ConfigError

#: Parametrisations of the network; see `crosskrylov.learning.preconditioned`.
PARAMETRISATIONS = ("noise", "edm", "image")


@dataclass(frozen=True)
class Recipe:
    """Settings of one model in one experiment; None leaves what the configuration says.

    A comparison of objectives shares everything else. A recipe is the opposite: it may choose its
    network and its steps as well, and is compared in seconds to the same target.

    Attributes
    ----------
    learning_rate : float or None
        Largest learning rate of Adam.
    warm_up_steps : int
        Steps over which the learning rate grows linearly to it.
    annealed : bool
        Whether it falls to zero again by half a cosine over the budget.
    ema_decay : float or None
        Decay of the averaged weights.
    batch_size : int or None
        Noised images per step.
    sigma_range : pair of float or None
        On single images: the two ends of the geometric schedule, in units of the noise that the
        denoising starts with.
    channels : tuple of int or None
        Channels of the U-Net at each resolution.
    attention : bool
        Whether the U-Net has the self-attention that the configuration gives it; else none.
    parametrisation : {"noise", "edm", "image"}
        What the network's output is; the model's noise prediction follows from it.
    position_features : int
        Waves of the place that the network sees as channels beside the image.
    """

    learning_rate: float | None = None
    warm_up_steps: int = 0
    annealed: bool = False
    ema_decay: float | None = None
    batch_size: int | None = None
    sigma_range: tuple[float, float] | None = None
    channels: tuple[int, ...] | None = None
    attention: bool = True
    parametrisation: str = "noise"
    position_features: int = 0

    @classmethod
    def declared(cls, said: Mapping[str, Any]) -> "Recipe":
        """Return the recipe that a declaration says.

        Raises
        ------
        ConfigError
            If it says something that is no setting of a recipe, or an unknown parametrisation.
        """
        known = [f.name for f in fields(cls)]
        for key in said:
            if key not in known:
                raise ConfigError(f"recipe says {key!r}; it may say {', '.join(known)}")
        recipe = cls(**said)
        if recipe.parametrisation not in PARAMETRISATIONS:
            raise ConfigError(
                f"recipe.parametrisation is {recipe.parametrisation!r}; allowed are "
                f"{', '.join(PARAMETRISATIONS)}"
            )
        return recipe

    @property
    def is_geometric(self) -> bool:
        """Whether the network computes its noise itself, which ties it to that schedule."""
        return self.parametrisation != "noise" or self.position_features > 0

    def training(self, section: Mapping) -> dict[str, Any]:
        """Return the config section ``training`` with what the recipe sets of it."""
        own = {
            "learning_rate": self.learning_rate,
            "ema_decay": self.ema_decay,
        }
        if self.sigma_range is not None:
            # images in [-1, 1] have twice the noise of those in [0, 1]
            ends = (2 * section["single_image"]["start_noise"] * end for end in self.sigma_range)
            own |= zip(("sigma_min", "sigma_max"), ends, strict=True)
        return {**section, **{key: value for key, value in own.items() if value is not None}}

    def unet(self, section: Mapping) -> dict[str, Any]:
        """Return the config section ``unet`` with what the recipe sets of it."""
        own = {} if self.channels is None else {"channels": list(self.channels)}
        if not self.attention:
            own |= {"attention_resolution": 0, "middle_attention": False}
        return {**section, **own}

    def preconditioning(self, training: Mapping) -> dict[str, Any] | None:
        """Return the arguments of `PreconditionedUNet`, or None where a plain U-Net will do.

        Parameters
        ----------
        training : mapping
            Config section ``training`` with what the recipe sets of it.
        """
        if not self.is_geometric:
            return None
        return {
            "parametrisation": self.parametrisation,
            "position_features": self.position_features,
            **{key: training[key] for key in ("sigma_min", "sigma_max", "noise_levels")},
        }
