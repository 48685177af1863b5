"""Inception weights: nothing but the expected file is loaded, and nothing in a file is run."""

import hashlib
import pickle

import numpy as np
import pytest
import torch

from crosskrylov.errors import ConfigError, DataError
from crosskrylov.experiments.quality import measure_samples
from crosskrylov.metrics.features import FEATURES
from crosskrylov.metrics.inception import WEIGHTS_SHA256, InceptionFeatures, load_weights
from crosskrylov.planning.config import load_config


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Code:
    """What a hostile pickle holds: loading it would make a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (type(self.target).touch, (self.target,))


def test_a_missing_or_another_file_is_named(tmp_path):
    path = tmp_path / "weights.pth"
    with pytest.raises(DataError, match=r"metrics\.inception\.weights.*does not exist"):
        InceptionFeatures(path, download=False)
    path.write_bytes(b"not the weights")
    with pytest.raises(DataError, match=r"SHA-256 \w{64}, expected 6726825d"):
        InceptionFeatures(path, download=False)


def test_failed_download_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "crosskrylov.metrics.inception.WEIGHTS_URL", (tmp_path / "nowhere").as_uri()
    )
    with pytest.raises(DataError, match="could not be downloaded"):
        InceptionFeatures(tmp_path / "weights.pth", download=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("digits", [0, 1, 5, 8, 63])
def test_the_beginning_of_a_digest_is_not_enough(tmp_path, digits):
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="all 64 digits"):
        load_weights(path, download=False, sha256=sha256(path)[:digits])
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f"metrics: {{inception: {{sha256: '{sha256(path)[:digits]}'}}}}\n")
    with pytest.raises(ConfigError, match=r"metrics\.inception\.sha256.*64 hexadecimal digits"):
        load_config(overlay)
    assert len(WEIGHTS_SHA256) == 64


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(value)])
def test_a_pickle_that_would_run_code_is_refused_even_where_its_digest_is_expected(tmp_path, write):
    path, ran = tmp_path / "weights.pth", tmp_path / "ran"
    hostile = {"a": torch.zeros(1), "b": Code(ran)}
    write(hostile if write is torch.save else pickle.dumps({"b": Code(ran)}), path)
    with pytest.raises(DataError, match="was not loaded") as caught:
        InceptionFeatures(path, download=False, sha256=sha256(path))
    assert not ran.exists()
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_named(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="another network"):
        InceptionFeatures(path, download=False, sha256=sha256(path))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of the layout of pt_inception-2015-12-05, with random weights in it.

    The published ones are no part of the tests.
    """
    from torch_fidelity import feature_extractor_inceptionv3 as theirs

    folder, made = tmp_path_factory.mktemp("inception"), {}

    class Random(theirs.FeatureExtractorInceptionV3):
        def load_state_dict(self, state):
            made.update(self.state_dict())

    torch.save({}, folder / "empty.pth")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        Random("r", ["2048"], feature_extractor_weights_path=str(folder / "empty.pth"))
    path = folder / "weights.pth"
    torch.save(made, path)
    return path


def test_a_file_of_the_right_layout_gives_features(weights):
    features = InceptionFeatures(weights, download=False, sha256=sha256(weights).upper())
    found = features(np.random.default_rng(1).random((2, 1, 8, 8)))
    assert found.shape == (2, 2048)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    assert not np.allclose(found[0], found[1])


def measured(weights, digest):
    rng = np.random.default_rng(1)
    samples, images = rng.random((2, 4, 1, 8, 8))
    section = {"weights": str(weights), "download": False, "sha256": digest}
    metrics = {"inception": section, "fid_minimum_images": 3}
    # the features without a download need more images than there are here
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FEATURES, "few", lambda images: images.mean(axis=(2, 3)))
        return measure_samples(samples, images, "few", metrics)


def test_only_the_published_file_is_called_fid(weights):
    """The whole way from the section of the configuration to the names in the table."""
    digest = sha256(weights)
    other = measured(weights, digest)
    names = {f"frechet_inception_{digest[:8]}", f"kernel_inception_{digest[:8]}"}
    assert names < set(other) and not {"fid", "kid"} & set(other)
    assert all(np.isfinite(other[name]) for name in names)
    # the published digest: nothing else than that file gets as far as a name
    with pytest.raises(DataError, match=rf"SHA-256 {digest}, expected {WEIGHTS_SHA256}"):
        measured(weights, WEIGHTS_SHA256)


def test_the_published_file_is_called_fid(weights, monkeypatch):
    """As if the file of the test were the published one: the same numbers under the real names."""
    digest = sha256(weights)
    other = measured(weights, digest)
    monkeypatch.setattr("crosskrylov.metrics.inception.WEIGHTS_SHA256", digest)
    found = measured(weights, digest.upper())
    assert found["fid"] == pytest.approx(other[f"frechet_inception_{digest[:8]}"])
    assert found["kid"] == pytest.approx(other[f"kernel_inception_{digest[:8]}"])
    assert not [name for name in found if "inception" in name]
