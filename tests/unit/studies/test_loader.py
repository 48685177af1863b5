"""Loaders with and without scores: what they load, and what the table says."""

import numpy as np
import pytest
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.studies import loader

SMALL = {
    "workers": [1],
    "repeats": 2,
    "batch_size": 4,
    "store_mb": 50,
    "source": "photos",
    "file_size": 24,
    "random_seed": 3,
}


@pytest.fixture(scope="module")
def table():
    return loader.loader_rates([12, 16], 16, **SMALL)


def test_every_kind_is_measured_at_every_size(table):
    assert table.groupby("size").scores.apply(list).to_dict() == {
        12: list(loader.KINDS),
        16: list(loader.KINDS),
    }
    assert (table.low <= table.images_per_second).all()
    assert (table.images_per_second <= table.high).all()
    assert (table.n_images == 16).all() and (table.repeats == 2).all()


def test_bytes_are_those_of_the_files(table):
    stored = table[table.scores.str.startswith("stored")].set_index("size").store_bytes
    # ten steps, two components, two bytes, and a header
    assert (stored[16] > 10 * 2 * 16**2 * 2).all() and (stored[16] < 11000).all()
    assert (table[~table.scores.str.startswith("stored")].store_bytes == 0).all()


def test_storing_pays_when_what_it_saves_has_paid_for_it():
    # 1 ms saved per image and pass, 5 ms for storing
    assert loader._epochs_to_pay(0.005, fly=1 / 0.003, stored=1 / 0.002) == pytest.approx(5)
    assert np.isnan(loader._epochs_to_pay(0.005, fly=500.0, stored=400.0))


def test_a_stored_step_belongs_to_its_image(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3), dtype=np.uint8)
    setting = loader._Setting(tmp_path, 12, pictures, batch_size=2)
    files = loader.JpegFiles(setting._paths, 12, setting._store)
    torch.manual_seed(1)
    image, time, score = files[2]
    assert image.shape == (3, 12, 12) and image.min() >= 0 and image.max() <= 1
    expected = loader.ExactScores(12)(image[None], torch.tensor([time]))[0]
    torch.testing.assert_close(score.float(), expected, rtol=2e-3, atol=2e-3)


def test_dropping_the_page_cache_leaves_the_files(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 10000)
    loader._drop_from_page_cache(tmp_path)
    loader._read_into_page_cache(tmp_path)
    assert (tmp_path / "a").read_bytes() == b"x" * 10000


def test_a_pass_needs_two_batches():
    with pytest.raises(ConfigError, match="at 16 pixels has 4 images, fewer than two batches of 4"):
        loader.loader_rates([16], 4, **SMALL)
