"""Inverse problems: operators and adjoints, the exact posterior, and the limits of methods."""

import math

import pytest
import torch

from crosskrylov.errors import ConfigError, DataError
from crosskrylov.learning.inverse.conjugate_gradients import conjugate_gradients
from crosskrylov.learning.inverse.methods import (
    METHODS,
    Problem,
    data_consistent,
    restoration,
)
from crosskrylov.learning.inverse.operators import OPERATORS, Measurement, measurement
from crosskrylov.learning.inverse.posterior import (
    effective_images,
    posterior_weights,
    weighted_mean,
)
from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.schedule import NoiseLevels

SIZE = (8, 8)
SAMPLERS = ("dds", "dds_searched_start", "dps", "red_diff")


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


IMAGES = torch.sign(normal(6, 1, *SIZE, seed=3)) * 0.7
ALL = Measurement(torch.eye(64, dtype=torch.float64))


def problem(operator, measured, noise=0.0, images=IMAGES, seed=0):
    levels = NoiseLevels.linear(100, 1e-3, 0.2)
    model = NoiseModel(ExactNetwork(images, levels), levels, clip=False)
    return Problem(model, operator, measured, noise, images, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", OPERATORS)
def test_the_adjoint_belongs_to_the_operator_which_has_norm_one(name):
    operator = measurement(name, SIZE)
    x = normal(3, 2, *SIZE, seed=1)
    b = normal(*operator(x).shape, seed=2)
    products = ((operator(x) * b).sum(), (x * operator.adjoint(b, SIZE)).sum())
    assert float(products[0]) == pytest.approx(float(products[1]), rel=1e-12)
    assert float(torch.linalg.matrix_norm(operator.matrix, 2)) == pytest.approx(1, rel=1e-12)
    torch.testing.assert_close(operator.normal(x), operator.adjoint(operator(x), SIZE))


def test_operators_do_what_their_names_say():
    x = normal(2, 1, *SIZE)
    blocks = OPERATORS["super_resolution"](SIZE, 2)
    means = torch.nn.functional.avg_pool2d(x, 2).flatten(2)
    torch.testing.assert_close(Measurement(torch.as_tensor(blocks))(x), means)
    kept = Measurement(torch.as_tensor(OPERATORS["inpainting"](SIZE, 0.25)))
    hole = kept.adjoint(kept(torch.ones(1, 1, *SIZE, dtype=torch.float64)), SIZE) == 0
    assert hole.sum() == 16 and hole[..., 2:6, 2:6].all()
    # weights of a blur sum to one, so that a constant image is its own
    ones = torch.ones(1, 1, *SIZE, dtype=torch.float64)
    blurred = Measurement(torch.as_tensor(OPERATORS["blur"](SIZE, 1.0)))
    torch.testing.assert_close(blurred(ones), ones.flatten(2))
    assert blurred(x).var() < 0.5 * x.var()


def test_projections_sum_columns_and_rows_and_keep_the_mass():
    x = normal(1, 1, *SIZE)
    matrix = torch.as_tensor(OPERATORS["radon"](SIZE, 2))
    values = Measurement(matrix)(x)[0, 0]
    values = values[values.abs() > 0]
    torch.testing.assert_close(values[:8], x[0, 0].sum(0))
    torch.testing.assert_close(values[8:16], x[0, 0].sum(1))
    # every pixel casts one shadow per view
    many = torch.as_tensor(OPERATORS["radon"]((6, 9), 5))
    torch.testing.assert_close(many.sum(0), torch.full((54,), 5.0, dtype=torch.float64))


def test_the_posterior_is_that_of_bayes_and_knows_its_limits():
    operator = measurement("super_resolution", SIZE)
    truth = IMAGES[[2, 4]]
    measured = operator(truth) + 0.1 * normal(2, 1, 4, seed=5)
    weights = posterior_weights(measured, IMAGES, operator, 0.3)
    misfits = torch.stack([(measured - operator(x[None])).square().sum((1, 2)) for x in IMAGES], 1)
    likelihood = torch.exp(-misfits / (2 * 0.3**2))
    torch.testing.assert_close(weights, likelihood / likelihood.sum(1, keepdim=True))
    # without noise the measured image alone, or those that measure alike; with much of it, all
    alone = posterior_weights(operator(truth), IMAGES, operator, 0.0)
    torch.testing.assert_close(weighted_mean(alone, IMAGES), truth)
    twice = torch.cat([IMAGES, IMAGES[2:3]])
    assert effective_images(posterior_weights(operator(truth), twice, operator, 0.0))[0] == 2
    blind = posterior_weights(measured, IMAGES, operator, 1e6)
    torch.testing.assert_close(effective_images(blind), torch.full((2,), 6.0, dtype=torch.float64))
    with pytest.raises(DataError, match="found 6 images and -1"):
        posterior_weights(measured, IMAGES, operator, -1.0)


def test_conjugate_gradients_solve_every_image_as_if_it_were_alone():
    matrix = normal(10, 64, seed=7) / 8
    operator = Measurement(matrix)
    rhs, start = operator.normal(normal(3, 1, *SIZE)), normal(3, 1, *SIZE, seed=1)
    together, norms = conjugate_gradients(operator.normal, rhs, start, 4)
    for k in range(3):
        alone, own = conjugate_gradients(operator.normal, rhs[k : k + 1], start[k : k + 1], 4)
        torch.testing.assert_close(alone[0], together[k])
        torch.testing.assert_close(own[:, 0], norms[:, k])
    # ten distinct eigenvalues, ten iterations; what has converged stays where it is
    x, norms = conjugate_gradients(operator.normal, rhs, start, 30, tolerance=1e-9)
    assert (norms[-1] < 1e-8).all() and torch.equal(norms[-1], norms[-2])
    same, zero = conjugate_gradients(operator.normal, operator.normal(x), x, 3)
    torch.testing.assert_close(same, x)
    assert (zero < 1e-8).all()


@pytest.mark.parametrize("name", ["super_resolution", "inpainting", "radon"])
def test_dds_with_all_its_iterations_is_the_projection(name):
    operator = measurement(name, SIZE)
    mean, truth = normal(2, 1, *SIZE, seed=8), normal(2, 1, *SIZE, seed=9)
    measured = operator(truth)
    back = operator.adjoint(measured, SIZE)
    found = data_consistent(operator, mean, back, 0.0, 1.0, 200, 1e-13)
    inverse = torch.linalg.pinv(operator.matrix, rtol=1e-10)
    moved = ((measured - operator(mean)) @ inverse.T).unflatten(2, SIZE)
    torch.testing.assert_close(found, mean + moved, atol=1e-6, rtol=0)


def test_dds_with_noise_is_the_proximal_map():
    operator = measurement("blur", SIZE)
    mean = normal(2, 1, *SIZE, seed=8)
    measured = operator(normal(2, 1, *SIZE, seed=9))
    back = operator.adjoint(measured, SIZE)
    found = data_consistent(operator, mean, back, 0.5, 3.0, 100, 1e-13)
    h = operator.matrix
    system = torch.eye(64, dtype=torch.float64) + 3.0 * h.T @ h
    exact = torch.linalg.solve(system, (mean + 3.0 * back).flatten(2).mT).mT.unflatten(2, SIZE)
    torch.testing.assert_close(found, exact, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", ["exact_sample", "pseudo_inverse", "dds"])
def test_a_full_measurement_without_noise_returns_the_image(name):
    truth = IMAGES[[1, 5]]
    found = restoration(name)(problem(ALL, ALL(truth)), 5)
    torch.testing.assert_close(found, truth, atol=1e-8, rtol=0)


def test_red_diff_and_dps_approach_the_image_of_a_full_measurement():
    truth = IMAGES[[1, 5]]
    start = math.sqrt(float((normal(2, 1, *SIZE) - truth).square().mean()))
    for name in ("red_diff", "dps"):
        found = restoration(name)(problem(ALL, ALL(truth)), 60)
        assert float((found - truth).square().mean().sqrt()) < 0.1 * start, name


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_method_spends_what_it_is_given_and_repeats_itself(name):
    operator = measurement("super_resolution", SIZE)
    measured = operator(IMAGES[:2])
    found = []
    for _ in range(2):
        one = problem(operator, measured, 0.1)
        found.append(restoration(name)(one, 7))
        assert one.model.evaluations == 7
        assert one.model.setup_evaluations == (7 if name == "dds_searched_start" else 0)
        assert found[-1].shape == (2, 1, *SIZE) and torch.isfinite(found[-1]).all()
        assert not found[-1].requires_grad
    assert torch.equal(*found)


def test_the_gradient_of_dps_pulls_towards_the_measurement():
    operator = measurement("inpainting", SIZE)
    measured = operator(IMAGES[:4])
    misfits = []
    for scale in (0.0, 1.0):
        found = METHODS["dps"](problem(operator, measured), 40, scale=scale)
        misfits.append(float((operator(found) - measured).square().mean()))
    # an unconditional sample is another image of the data set more often than not
    assert misfits[1] < 0.2 * misfits[0]


def test_exact_samples_have_the_frequencies_of_the_posterior():
    operator = measurement("super_resolution", SIZE)
    measured = operator(IMAGES[2:3]).repeat(2000, 1, 1)
    weights = posterior_weights(measured[:1], IMAGES, operator, 0.5)[0]
    found = restoration("exact_sample")(problem(operator, measured, 0.5), 0)
    share = (found[:, None] == IMAGES[None]).flatten(2).all(2).double().mean(0)
    torch.testing.assert_close(share, weights, atol=0.05, rtol=0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("ddss", r"unknown \(did you mean 'dds'"),
        ({"method": "dps", "options": {"scal": 1}}, "has no option 'scal'"),
        ({"method": "exact_sample", "options": {"a": 1}}, "it has none"),
    ],
)
def test_what_is_unknown_is_named(given, told):
    with pytest.raises(ConfigError, match=told):
        restoration(given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"operator": "super_resolution", "options": {"factor": 3}}, "must divide the image's 8 x"),
        ({"operator": "inpainting", "options": {"share": 1.0}}, "between 0 and 1"),
        ({"operator": "blur", "options": {"width": 0}}, "above 0"),
        ({"operator": "radon", "options": {"views": 0}}, "at least 1"),
        ("radom", "did you mean 'radon'"),
    ],
)
def test_an_operator_says_what_it_cannot_do(given, told):
    with pytest.raises(ConfigError, match=told):
        measurement(given, SIZE)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dds", {"cg_steps": 0}),
        ("dds", {"gamma": -1.0}),
        ("dds", {"eta": 1.5}),
        ("dps", {"scale": -1.0}),
        ("red_diff", {"rate": 0.0}),
        ("dds_searched_start", {"candidates": 0}),
    ],
)
def test_options_out_of_range_are_refused(name, options):
    (option,) = options
    with pytest.raises(ConfigError, match=f"'{name}': {option} is"):
        METHODS[name](problem(ALL, ALL(IMAGES[:1])), 5, **options)


def test_one_evaluation_is_too_few():
    with pytest.raises(ConfigError, match="at least 2 network evaluations; found 1"):
        restoration("dds")(problem(ALL, ALL(IMAGES[:1])), 1)
