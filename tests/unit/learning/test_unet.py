import pytest
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.unet import build_unet, count_parameters
from crosskrylov.learning.unet_options import check_unet_options

TINY = {
    "channels": [8, 16],
    "layers_per_block": 1,
    "attention_resolution": 4,
    "norm_groups": 4,
}


@pytest.mark.parametrize("size, channels", [(8, 1), (16, 3)])
def test_output_has_the_shape_of_the_input(size, channels):
    network = build_unet(TINY, size, channels, seed=3)
    out = network(torch.zeros(2, channels, size, size), torch.tensor([0.0, 999.0])).sample
    assert out.shape == (2, channels, size, size)
    assert count_parameters(network) < 60_000


def test_attention_only_at_low_resolution():
    blocks = build_unet(TINY, 8, 1, seed=0).config
    assert list(blocks.down_block_types) == ["DownBlock2D", "AttnDownBlock2D"]
    assert list(blocks.up_block_types) == ["AttnUpBlock2D", "UpBlock2D"]


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(5)
    before = torch.rand(1)
    torch.manual_seed(5)
    a, b, c = (build_unet(TINY, 8, 1, seed=s) for s in (3, 3, 4))
    assert torch.equal(before, torch.rand(1))  # the global stream is untouched
    pairs = list(zip(a.parameters(), b.parameters(), c.parameters()))
    assert all(torch.equal(x, y) for x, y, _ in pairs)
    assert any(not torch.equal(x, z) for x, _, z in pairs)


@pytest.mark.parametrize("size", [7, 9, 2])
def test_impossible_sizes_are_refused_with_the_sizes_that_work(size):
    with pytest.raises(ConfigError, match=f"{size} x {size}.*multiple of 2 of at least 4"):
        build_unet(TINY, size, 1, seed=0)


def test_groups_must_divide_channels():
    with pytest.raises(ConfigError, match=r"unet\.norm_groups is 3"):
        check_unet_options({**TINY, "norm_groups": 3}, 8)
