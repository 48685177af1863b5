"""Inception-v3 (2015) features: the only ones on which a Fréchet distance is called FID."""

import hashlib
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import torch

import crosskrylov.runtime.torchvision_compat  # noqa: F401  (must come before torch_fidelity)
from crosskrylov.errors import DataError
from crosskrylov.runtime.files import atomic_path

#: Where torch-fidelity publishes the weights of the 2015 TensorFlow graph.
WEIGHTS_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)
#: The file name carries the first digits of its own SHA-256.
WEIGHTS_SHA256_PREFIX = "6726825d"


def verified_weights(path: str | Path, *, download: bool, sha256: str) -> Path:
    """Return the path of the Inception weights after checking their SHA-256.

    Parameters
    ----------
    path : path
        File; with ``download`` it is fetched when missing.
    download : bool
        Whether the network may be used.
    sha256 : str
        Expected digest in hexadecimal, or its beginning; empty means the published beginning.

    Raises
    ------
    DataError
        If the file is missing, cannot be fetched, or has another digest.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        if not download:
            raise DataError(
                f"metrics.inception.weights points to {path}, which does not exist; put "
                f"{WEIGHTS_URL.rsplit('/', 1)[1]} there, set metrics.inception.download: true, or "
                "remove fid and kid from the metrics."
            )
        try:
            with atomic_path(path) as partial:
                urllib.request.urlretrieve(WEIGHTS_URL, partial)
        except (urllib.error.URLError, OSError) as error:
            raise DataError(
                f"The Inception weights could not be downloaded from {WEIGHTS_URL} ({error}); "
                f"fetch the file elsewhere and put it at {path}."
            ) from error
    expected = sha256 or WEIGHTS_SHA256_PREFIX
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if not digest.startswith(expected.lower()):
        raise DataError(
            f"{path} has SHA-256 {digest[: max(len(expected), 8)]}…, expected {expected}…; it is "
            "damaged or another file: delete it and fetch it again."
        )
    return path


class InceptionFeatures:
    """2,048 pooled features of torch-fidelity's Inception-v3.

    Parameters
    ----------
    path, download, sha256
        See `verified_weights`.
    device : torch.device or str
        Where to compute.
    """

    def __init__(self, path: str | Path, *, download: bool, sha256: str, device="cpu"):
        path = verified_weights(path, download=download, sha256=sha256)
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        self.device = device
        self.network = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)
        ).to(device)

    @torch.no_grad()
    def __call__(self, images: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """Return (N, 2048) float64 features of (N, C, H, W) images in [0, 1]; grey becomes RGB."""
        parts = []
        for first in range(0, len(images), batch_size):
            batch = torch.as_tensor(np.asarray(images[first : first + batch_size]))
            batch = (batch * 255).round().clamp(0, 255).to(torch.uint8).to(self.device)
            parts.append(self.network(batch.expand(-1, 3, -1, -1))[0].double().cpu().numpy())
        return np.concatenate(parts)
