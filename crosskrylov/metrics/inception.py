"""Inception-v3 (2015) features: the only ones on which a Fréchet distance is called FID."""

import hashlib
import io
import pickle
import urllib.error
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

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
#: Of that file, whose name carries the first eight digits.
WEIGHTS_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


def load_weights(path: str | Path, *, download: bool, sha256: str) -> dict[str, torch.Tensor]:
    """Return the Inception weights after checking the SHA-256 of their file.

    Parameters
    ----------
    path : path
        File; with ``download`` it is fetched when missing.
    download : bool
        Whether the network may be used.
    sha256 : str
        Expected digest: all 64 hexadecimal digits.

    Raises
    ------
    DataError
        If the file is missing, cannot be fetched, has another digest, or holds anything but
        tensors: it is a pickle, which could run code.
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
    content = path.read_bytes()  # read once: what is checked is what is loaded
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256.lower():
        raise DataError(
            f"{path} has SHA-256 {digest}, expected {sha256} (metrics.inception.sha256, all 64 "
            "digits); it is damaged or another file: delete it and fetch it again."
        )
    try:
        weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        raise DataError(
            f"{path} holds more than weights, or none, and was not loaded "
            f"({' '.join(str(error).split())[:120]}): use {WEIGHTS_URL.rsplit('/', 1)[1]}."
        ) from error
    return weights


def metric_names(sha256: str) -> tuple[str, str]:
    """Return what distances on these weights are called: FID and KID for the published file only.

    Parameters
    ----------
    sha256 : str
        Digest that the file was checked against.
    """
    if sha256.lower() == WEIGHTS_SHA256:
        return "fid", "kid"
    return tuple(f"{kind}_inception_{sha256[:8].lower()}" for kind in ("frechet", "kernel"))


class InceptionFeatures:
    """2,048 pooled features of torch-fidelity's Inception-v3.

    Parameters
    ----------
    path, download, sha256
        See `load_weights`.
    device : torch.device or str
        Where to compute.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        download: bool,
        sha256: str = WEIGHTS_SHA256,
        device: torch.device | str = "cpu",
    ):
        weights = load_weights(path, download=download, sha256=sha256)
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        self.device = device
        # torch-fidelity unpickles whatever a file holds: it gets a file of what was checked here
        with TemporaryDirectory() as folder:
            checked = Path(folder) / "weights.pth"
            torch.save(weights, checked)
            try:
                network = FeatureExtractorInceptionV3(
                    "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(checked)
                )
            except (RuntimeError, TypeError) as error:
                raise DataError(
                    f"{path} holds the weights of another network "
                    f"({' '.join(str(error).split())[:120]}): use "
                    f"{WEIGHTS_URL.rsplit('/', 1)[1]}."
                ) from error
        self.network = network.to(device)

    @torch.no_grad()
    def __call__(self, images: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """Return (N, 2048) float64 features of (N, C, H, W) images in [0, 1]; grey becomes RGB."""
        parts = []
        for first in range(0, len(images), batch_size):
            batch = torch.as_tensor(np.asarray(images[first : first + batch_size]))
            batch = (batch * 255).round().clamp(0, 255).to(torch.uint8).to(self.device)
            parts.append(self.network(batch.expand(-1, 3, -1, -1))[0].double().cpu().numpy())
        return np.concatenate(parts)
