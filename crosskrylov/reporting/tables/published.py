"""The published ratios of training times, and what stands for their baselines here.

Apart from what judges them, since the workflow asks too and imports as little as it can.
"""

from dataclasses import dataclass

#: Models that the published baseline, by its name in the claim, may mean here.  DDIM is no other
#: training than DDPM but another way to draw from it, and the one that both of them are drawn by.
BASELINES = {name: ("ddpm", "ddpm_from_noise") for name in ("ddpm", "ddim")}

#: What may stand for the method beside each of them: where DDPM draws the image from pure noise the
#: method does so too, as in the score embedding paper, or denoises, as in the other's script.
METHODS = {
    "ddpm": ("score_embedding",),
    "ddpm_from_noise": ("score_embedding_from_noise", "score_embedding"),
}

#: Sets that only those who accept their terms may use: other images of the same size stand in.
STAND_INS = ("celeba",)


@dataclass(frozen=True)
class SpeedupClaim:
    """A published time ratio of the DDPM baseline (or DDIM) to the method, at one target SSIM."""

    source: str
    image_size: int
    target_ssim: float
    baseline: str
    seconds: float
    baseline_seconds: float
    paper: str
    n_images: int = 1

    @property
    def speedup(self) -> float:
        """Published ratio."""
        return self.baseline_seconds / self.seconds

    @property
    def text(self) -> str:
        """The claim in words."""
        images = "one image" if self.n_images == 1 else f"{self.n_images} images"
        return (
            f"{self.paper}: {images} of {self.source} {self.image_size}x{self.image_size} to SSIM "
            f"{self.target_ssim:.2f}, time of {self.baseline.upper()} over time of the method"
        )


PROJECTION, EMBEDDING = "projection paper", "score embedding paper"
SPEEDUP_CLAIMS = (
    SpeedupClaim("cifar10", 32, 0.99, "ddpm", 60.27, 1634.93, PROJECTION),
    SpeedupClaim("celeba", 64, 0.99, "ddpm", 122.45, 14131.53, PROJECTION),
    SpeedupClaim("celeba", 128, 0.90, "ddpm", 186.09, 11319.86, PROJECTION),
    SpeedupClaim("cifar10", 32, 0.99, "ddpm", 26.98, 139.63, EMBEDDING),
    SpeedupClaim("cifar10", 32, 0.98, "ddpm", 16.07, 136.91, EMBEDDING),
    SpeedupClaim("cifar10", 32, 0.95, "ddpm", 9.75, 131.09, EMBEDDING),
    SpeedupClaim("cifar10", 32, 0.99, "ddim", 26.98, 182.53, EMBEDDING),
    SpeedupClaim("cifar10", 32, 0.98, "ddim", 16.07, 182.29, EMBEDDING),
    SpeedupClaim("cifar10", 32, 0.95, "ddim", 9.75, 181.57, EMBEDDING),
    SpeedupClaim("celeba", 64, 0.95, "ddpm", 105.41, 601.27, EMBEDDING),
    SpeedupClaim("celeba", 64, 0.90, "ddpm", 71.68, 342.61, EMBEDDING),
    SpeedupClaim("cifar10", 32, 0.95, "ddpm", 46.80, 155.16, EMBEDDING, n_images=3),
    SpeedupClaim("cifar10", 32, 0.90, "ddpm", 37.58, 149.72, EMBEDDING, n_images=3),
)


def claimed_ratios(model: str, image_size: int, n_images: int) -> dict[float, float]:
    """Return the published ratios of a baseline's time to the method's, by target SSIM.

    Whatever the images are: a claim is also tested on others of its size.  The largest ratio, where
    several were published.

    Parameters
    ----------
    model : str
        A model that stands for a baseline; of others nothing is claimed.
    image_size : int
        Pixels per side.
    n_images : int
        Images that are trained on together.
    """
    ratios: dict[float, float] = {}
    for claim in SPEEDUP_CLAIMS:
        fits = (claim.image_size, claim.n_images) == (image_size, n_images)
        if fits and model in BASELINES[claim.baseline]:
            known = ratios.get(claim.target_ssim, 0.0)
            ratios[claim.target_ssim] = max(known, claim.speedup)
    return ratios
