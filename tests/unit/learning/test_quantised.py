"""Fake quantisation: its grids, its scales, and the network that it leaves alone."""

from itertools import pairwise

import pytest
import torch

from crosskrylov.learning.dense import DenseNetwork
from crosskrylov.learning.quantised import channel_scales, quantised, rounded_weight


def network():
    return DenseNetwork((1, 4, 4), 16, 2, 0)


def inputs(count=64, scale=1.0):
    x = torch.randn(count, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    return scale * x, torch.linspace(0, 999, count)


def weight(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def output(net, given):
    with torch.no_grad():
        return net(*given).sample


def test_without_bits_a_copy_is_the_network():
    net, given = network(), inputs()
    found = quantised(net)
    assert found is not net
    assert torch.equal(output(found, given), output(net, given))


def test_the_network_is_left_alone():
    net, given = network(), inputs()
    before, old = output(net, given), {k: v.clone() for k, v in net.state_dict().items()}
    found = quantised(net, 2, 4, given)
    assert not torch.equal(output(found, given), before)
    assert torch.equal(output(net, given), before)
    assert all(torch.equal(value, old[name]) for name, value in net.state_dict().items())
    assert all(parameter.requires_grad for parameter in net.parameters())


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("shape", [(5, 400), (5, 20, 4, 5)])
def test_a_channel_takes_few_values_that_are_symmetric_about_zero(bits, shape):
    found = rounded_weight(weight(*shape), bits).flatten(1)
    scale = channel_scales(weight(*shape), bits)
    for row, spacing in zip(found, scale):
        assert len(row.unique()) <= 2**bits - 1
        steps = row / spacing
        assert torch.allclose(steps, steps.round(), atol=1e-4)
        assert steps.abs().max() <= 2 ** (bits - 1) - 1 + 1e-4
    assert not torch.allclose(scale, scale[:1])  # every channel has its own


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_the_scale_is_never_worse_than_that_of_the_largest_weight(bits):
    w = weight(30, 50) ** 3  # heavy tails, where clipping pays
    last = 2 ** (bits - 1) - 1
    plain = w.abs().amax(1, keepdim=True) / last
    theirs = ((w / plain).round() * plain - w).square().sum(1)
    ours = (rounded_weight(w, bits) - w).square().sum(1)
    assert (ours <= theirs).all()
    if bits <= 4:
        assert (ours < 0.9 * theirs).any()


def test_two_bits_more_leave_a_quarter_of_the_error():
    w = torch.rand((20, 500), generator=torch.Generator().manual_seed(3)) * 2 - 1
    errors = [float((rounded_weight(w, bits) - w).square().mean().sqrt()) for bits in (4, 6, 8, 10)]
    ratios = [a / b for a, b in pairwise(errors)]
    assert all(3.5 < ratio < 5 for ratio in ratios)


def test_a_channel_of_zeros_stays_zero():
    assert torch.equal(rounded_weight(torch.zeros(2, 3), 4), torch.zeros(2, 3))


def test_activations_are_rounded_within_the_calibrated_range():
    net = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False))
    net[0].weight.data.fill_(1.0)
    found = quantised(net, None, 3, (torch.tensor([[-1.0], [0.75]]),))
    x = torch.linspace(-2, 2, 401)[:, None]
    with torch.no_grad():
        y = found(x)
    assert len(y.unique()) == 8
    assert float(y.min()) == pytest.approx(-1) and float(y.max()) == pytest.approx(0.75)
    with torch.no_grad():
        assert float(found(torch.zeros(1, 1))) == 0
    inside = (x >= -1) & (x <= 0.75)
    assert (y - x)[inside].abs().max() <= 0.125 + 1e-6


def test_a_range_from_other_inputs_costs_accuracy():
    net, given = network(), inputs()
    exact = output(net, given)
    gaps = [
        float((output(quantised(net, None, 8, seen), given) - exact).square().mean())
        for seen in (given, inputs(scale=0.1))
    ]
    assert 0 < 10 * gaps[0] < gaps[1]
