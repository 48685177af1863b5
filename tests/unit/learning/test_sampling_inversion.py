"""Exact inversion: what comes back, in which precision."""

import numpy as np
import pytest
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.sampling.inversion import (
    NaiveInversion,
    image_round_trip,
    invert,
    moments,
    noise_round_trip,
)
from crosskrylov.learning.sampling.reference import ExactReference
from crosskrylov.learning.sampling.samplers.bdia import Bdia
from crosskrylov.learning.sampling.samplers.edict import Edict
from crosskrylov.learning.sampling.samplers.o_belm import OBelm

SHAPE = (1, 4, 4)
DATA = torch.sign(torch.randn((6, *SHAPE), generator=torch.Generator().manual_seed(4))) * 0.7
SCHEMES = {"edict": Edict(), "bdia": Bdia(), "o_belm": OBelm()}


@pytest.fixture(scope="module")
def reference():
    return ExactReference(DATA, n_samples=8)


@pytest.fixture(scope="module")
def images():
    noise = torch.randn(DATA.shape, generator=torch.Generator().manual_seed(2))
    return DATA.double() + 2.0 * noise.double()


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("evaluations", [11, 51])
def test_exact_inverters_invert_in_float64(reference, images, name, evaluations):
    scheme, model = SCHEMES[name], reference.model()
    assert image_round_trip(scheme, model, images, evaluations).error < 1e-13
    assert noise_round_trip(scheme, model, reference.start, evaluations).error < 1e-13
    single = image_round_trip(scheme, model, images.float(), evaluations).error
    assert 1e-9 < single < 1e-4
    # and what stood at the other end is something else than where it started from
    there = noise_round_trip(scheme, model, reference.start, evaluations).latent
    assert (there - reference.start).abs().max() > 1


def test_ddim_inversion_comes_back_to_first_order_whatever_the_precision(reference, images):
    model = reference.model()
    coarse, fine = (image_round_trip(NaiveInversion(), model, images, n).error for n in (41, 81))
    assert coarse / fine == pytest.approx(2, rel=0.15)
    single = image_round_trip(NaiveInversion(), model, images.float(), 81).error
    assert single == pytest.approx(fine, rel=1e-3)


def test_bdia_below_gamma_one_loses_a_bit_of_precision_per_step(reference):
    errors = [
        noise_round_trip(Bdia(gamma=0.5), reference.model(), reference.start, n).error
        for n in (11, 21, 31)
    ]
    growth = np.diff(np.log2(errors)) / 10
    assert ((growth > 0.6) & (growth < 1.4)).all()
    # at 51 evaluations there is nothing left in float32: exact inversion is a matter of precision
    single = noise_round_trip(Bdia(gamma=0.5), reference.model(), reference.start.float(), 51)
    assert single.error > 1e3


def test_bdia_is_the_published_recurrence_in_the_variance_preserving_scale(reference):
    model = reference.model()
    sigmas = np.array([20.0, 9.0, 4.0, 2.0])
    signals = 1 / np.sqrt(1 + sigmas**2)
    noises = signals * sigmas

    def ddim(x, eps, i, j):
        return signals[j] * (x - noises[i] * eps) / signals[i] + noises[j] * eps

    def predict(x, i):
        return model.at_sigma(x / signals[i], sigmas[i])

    states = [signals[0] * 20 * reference.start]
    states.append(ddim(states[0], predict(states[0], 0), 0, 1))
    for i in (1, 2):
        x, eps = states[i], predict(states[i], i)
        missed = states[i - 1] - ddim(x, eps, i, i - 1)
        states.append(ddim(x, eps, i, i + 1) + 0.7 * missed)
    scheme = Bdia(gamma=0.7)
    pair = scheme.down(model, sigmas, scheme.enter(model, sigmas, 20 * reference.start))
    torch.testing.assert_close(pair[1] * signals[3], states[3], atol=1e-12, rtol=0)
    torch.testing.assert_close(pair[0] * signals[2], states[2], atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", SCHEMES)
def test_recovered_noise_tends_to_that_of_the_flow(reference, name):
    model = reference.model()
    scheme = SCHEMES[name]
    distances = [
        (invert(scheme, model, reference.lowest, n) - reference.start).square().mean().sqrt()
        for n in (21, 81)
    ]
    assert distances[1] < distances[0] / 2
    assert distances[1] < (0.1 if name == "edict" else 0.01)  # of order one, and two


def test_moments_of_normal_and_of_uniform_noise():
    normal = moments(torch.randn(200_000, generator=torch.Generator().manual_seed(1)))
    assert normal == pytest.approx({"mean": 0, "variance": 1, "kurtosis": 0}, abs=0.03)
    uniform = moments(torch.rand(200_000, generator=torch.Generator().manual_seed(1)))
    assert uniform == pytest.approx({"mean": 0.5, "variance": 1 / 12, "kurtosis": -1.2}, abs=0.01)


def test_sampling_and_going_down_are_the_same_chain(reference):
    model = reference.model()
    for scheme in SCHEMES.values():
        there = noise_round_trip(scheme, model, reference.start, 15).latent
        sigma = reference.sigma_min
        expected = there - sigma * model.at_sigma(there, sigma)
        assert torch.equal(scheme(model, reference.start, 15, None), expected)


def test_edict_mixing_one_keeps_two_chains_and_unequal_ones_are_undone(reference):
    model, scheme = reference.model(), Edict(mixing=0.8)
    sigmas = scheme.sigmas(model, 15)
    pair = (reference.start * 20, reference.start * 20 + 1)
    back = scheme.up(model, sigmas, scheme.down(model, sigmas, pair))
    for found, expected in zip(back, pair, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


def test_options_out_of_range_and_too_few_evaluations_say_so(reference):
    with pytest.raises(ConfigError, match=r"'bdia': option gamma is 0; it must be above 0"):
        Bdia(gamma=0)
    with pytest.raises(ConfigError, match=r"'edict': option mixing is 1\.5"):
        Edict(mixing=1.5)
    with pytest.raises(ConfigError, match=r"'edict' got 4 .* at least 5 \(two steps"):
        Edict()(reference.model(), reference.start, 4, None)
