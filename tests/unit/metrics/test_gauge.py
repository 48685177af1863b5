"""The gauge residual of errors whose effect on the density is known in closed form."""

from types import SimpleNamespace

import pytest
import torch

from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.metrics.gauge import local_dimension, score_gap
from crosskrylov.metrics.score_diagnostics import diagnose, noised, probes_for

SHAPE = (1, 3, 3)
DATA = torch.randn((5, *SHAPE), generator=torch.Generator().manual_seed(4)).double()
LEVELS = NoiseLevels.geometric(50, 0.05, 20.0)
SIGMA = 0.7


class Erring(torch.nn.Module):
    """The exact noise of ``data`` and an error of it, a function of y and the exact noise."""

    def __init__(self, data, error):
        super().__init__()
        self.exact, self.error = ExactNetwork(data, LEVELS), error

    def forward(self, x, t):
        exact = self.exact(x, t).sample
        y = x * (1 + SIGMA**2) ** 0.5
        return SimpleNamespace(sample=exact + self.error(y, exact))


def measured(error, data, count=6, probes=None, network=None):
    generator = torch.Generator().manual_seed(1)
    y = noised(data, SIGMA, count, generator)
    model = NoiseModel(network or Erring(data, error), LEVELS, clip=False)
    signs = probes_for(y, probes, generator)
    return y, score_gap(model, data, y, SIGMA, signs), diagnose(model, y, SIGMA, signs, 1e-3)


@pytest.mark.parametrize("probes", [None, 2])
def test_the_exact_model_has_no_error_and_no_gauge(probes):
    _, gap, _ = measured(None, DATA, probes=probes, network=ExactNetwork(DATA, LEVELS))
    assert gap.error < 1e-12 and gap.gauge < 1e-12
    assert gap.gauge_share != gap.gauge_share  # NaN: of no error there is no share


def test_a_rotation_is_all_curl_and_harmless():
    # of one image the density is normal about it, and a rotation about that moves no mass
    skew = torch.zeros((9, 9), dtype=torch.float64)
    skew[0, 1], skew[1, 0] = 1.0, -1.0
    centre = DATA[:1]

    def rotation(y, exact):
        return ((y - centre).flatten(1) @ skew.T).reshape(y.shape)

    _, gap, found = measured(rotation, centre)
    assert found.curl > 0.01 and gap.error > 0.1
    assert gap.gauge < 1e-12


def test_a_constant_and_a_scale_have_their_closed_forms():
    centre = DATA[:1]
    y, gap, found = measured(lambda y, exact: torch.full_like(y, 0.3), centre)
    along = 0.3 * ((y - centre) / SIGMA).flatten(1).sum(1)
    torch.testing.assert_close(gap.gauge_squares, along**2 / 9)
    assert gap.error == pytest.approx(0.3) and found.curl < 1e-20
    y, gap, _ = measured(lambda y, exact: 0.1 * exact, centre)
    squares = ((y - centre) / SIGMA).square().flatten(1).sum(1)
    torch.testing.assert_close(gap.gauge_squares, 0.01 * (squares - 9) ** 2 / 9)
    assert gap.share == pytest.approx(0.1)


def test_shares_are_one_of_a_constant_and_the_root_of_two_of_a_scale():
    centre = DATA[:1]
    errors = (lambda y, exact: torch.full_like(y, 0.3)), (lambda y, exact: 0.1 * exact)
    shares = [measured(error, centre, 4000)[1].gauge_share for error in errors]
    assert shares == pytest.approx([1, 2**0.5], rel=0.05)


def test_random_probes_estimate_the_gauge_without_bias():
    skew = torch.randn((9, 9), generator=torch.Generator().manual_seed(2)).double()
    skew = skew - skew.T + skew @ skew.T / 9

    def error(y, exact):
        return (y.flatten(1) @ skew.T).reshape(y.shape)

    _, exactly, _ = measured(error, DATA, 4000)
    _, drawn, _ = measured(error, DATA, 4000, probes=2)
    spread = float(drawn.gauge_squares.std()) / 4000**0.5
    assert float(drawn.gauge_squares.mean()) == pytest.approx(
        float(exactly.gauge_squares.mean()), abs=4 * spread
    )


def test_dimension_is_that_of_the_diagnostics():
    model = NoiseModel(ExactNetwork(DATA, LEVELS), LEVELS, clip=False)
    y = noised(DATA, 1.0, 4, torch.Generator().manual_seed(0))
    for count in (None, 4):
        probes = probes_for(y, count, torch.Generator().manual_seed(3))
        expected = diagnose(model, y, 1.0, probes).dimension
        torch.testing.assert_close(local_dimension(model, y, 1.0, probes), expected)
