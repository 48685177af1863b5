"""Every deterministic sampler against the probability flow of the exact model, and its limits."""

import numpy as np
import pytest
import torch

from crosskrylov.errors import ConfigError, DataError
from crosskrylov.learning.objectives.mixture import mixture_noise
from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.sampling.generate import draw_samples
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.reference import (
    ExactReference,
    discretisation_error,
    flow_solution,
    observed_order,
    order_table,
)
from crosskrylov.learning.sampling.registry import declared_samplers, make_sampler
from crosskrylov.learning.sampling.samplers.dpm_solver_v3 import (
    DpmSolverV3,
    Statistics,
    empirical_statistics,
    taylor_derivatives,
)
from crosskrylov.learning.sampling.samplers.ghvb import ghvb, momentum_weights
from crosskrylov.learning.sampling.samplers.heavy_ball import heavy_ball
from crosskrylov.learning.sampling.samplers.lml import corrected, lml
from crosskrylov.learning.sampling.samplers.sada import flow_slope, predicted, sada
from crosskrylov.learning.sampling.steps import (
    denoised,
    exponential_increment,
    sigma_steps,
    signal_of,
)
from crosskrylov.learning.schedule import NoiseLevels

SHAPE = (1, 4, 4)
DATA = torch.sign(torch.randn((6, *SHAPE), generator=torch.Generator().manual_seed(4))) * 0.7


@pytest.fixture(scope="module")
def reference():
    return ExactReference(DATA, n_samples=8)


def order(method, **options):
    return {"method": method, "options": options}


# --- the exact model and the reference solution ---------------------------------------------------


def test_exact_network_is_the_mixture_at_whole_and_at_fractional_levels():
    levels = NoiseLevels.geometric(11, 0.1, 10.0)
    network = ExactNetwork(DATA, levels)
    x = torch.randn((2, *SHAPE), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for level, sigma in ((5.0, 1.0), (7.5, 10**0.5)):
        found = network(x, torch.full((2,), level, dtype=torch.float64)).sample
        signal = torch.full((2, 1, 1, 1), 1 / np.sqrt(1 + sigma**2), dtype=torch.float64)
        torch.testing.assert_close(found, mixture_noise(x, DATA.double(), signal, signal * sigma))
    assert network(x.float(), torch.zeros(2)).sample.dtype == torch.float32
    with pytest.raises(DataError, match="at least one image"):
        ExactNetwork(DATA[:0], levels)


def test_exact_network_stands_where_a_trained_one_does():
    levels = NoiseLevels.linear(100)
    network = ExactNetwork(DATA, levels).eval()
    assert next(network.parameters()).device == network.device == torch.device("cpu")
    drawn = draw_samples(network, levels, "ddim", 20, 4, SHAPE, 0, dtype=torch.float64, clip=False)
    distance = (drawn.images[:, None] * 2 - 1 - DATA[None]).abs().amax((2, 3, 4)).min(1).values
    assert distance.max() < 1e-3


def test_flow_of_a_single_image_is_a_straight_line():
    levels = NoiseLevels.geometric(50, 0.5, 20.0)
    model = NoiseModel(ExactNetwork(DATA[:1], levels), levels, clip=False)
    start = torch.randn((3, *SHAPE), generator=torch.Generator().manual_seed(2)).double() * 20
    sigmas = [20.0, 3.0, 0.5]
    for sigma, y in zip(sigmas, flow_solution(model, start, sigmas), strict=True):
        expected = DATA[:1].double() + sigma / 20 * (start - DATA[:1].double())
        torch.testing.assert_close(y, expected, atol=1e-8, rtol=0)


def test_reference_is_where_many_small_steps_lead(reference):
    error, _ = discretisation_error(reference, order("ode_rk45", tolerance=1e-9), 10)
    assert error < 1e-7


# --- observed orders ------------------------------------------------------------------------------

#: Sampler and the bounds of its observed order at 17 to 65 evaluations, geometric levels.
ORDERS = {
    "ddim": (order("ddim"), 0.9, 1.1),
    "pndm": (order("pndm"), 0.9, 1.2),  # the last step, to sigma = 0, is of order one
    "pndm denoised": (order("pndm", denoise_last=True), 1.8, 2.3),
    "deis": (order("deis"), 1.8, 2.1),
    "heun": (order("heun"), 1.9, 2.5),
    "dpmsolver++": (order("dpmsolver++"), 1.85, 2.1),
    "dpm_solver": (order("dpm_solver"), 1.9, 2.5),
    "unipc": (order("unipc"), 2.6, 3.1),
    "heavy_ball": (order("heavy_ball"), 0.8, 1.1),
    "ghvb": (order("ghvb"), 1.8, 2.6),
    "ghvb 2": (order("ghvb", order=2), 1.7, 2.1),
    "ghvb 3": (order("ghvb", order=3, spacing="uniform", beta=1.0), 1.8, 3.1),
    "edict": (order("edict", mixing=0.93), 0.6, 1.2),
    "bdia": (order("bdia"), 1.9, 2.2),
    "o_belm": (order("o_belm"), 1.9, 2.2),
    "lml": (order("lml"), 1.9, 2.5),
    "kinetic_optimal": (order("kinetic_optimal"), 0.85, 1.15),
    "kinetic linear": (order("kinetic_optimal", path="linear"), 0.85, 1.15),
    "kinetic vp": (order("kinetic_optimal", path="vp"), 0.85, 1.15),
    "dpm_solver_v3": (order("dpm_solver_v3"), 1.7, 2.2),
    "dpm_solver_v3 predictor": (
        order("dpm_solver_v3", corrector=False, lower_order_final=False),
        2.2,
        3.1,
    ),
    "dc_solver": (order("dc_solver", iterations=0), 2.5, 3.1),
    "sada": (order("sada", skip=False), 1.85, 2.1),
}


@pytest.mark.parametrize("name", ORDERS)
def test_order_of_a_sampler(reference, name):
    sampler, lowest, highest = ORDERS[name]
    evaluations = (65, 129, 257) if name == "edict" else (17, 33, 65)
    found = observed_order(reference, sampler, evaluations)
    assert lowest <= found <= highest, f"observed order {found:.2f}"


def test_every_deterministic_sampler_has_its_order_tested_as_declared():
    for name, entry in declared_samplers().items():
        stated = entry.facts["order"]
        if not entry.facts["stochastic"] and stated is not None:
            _, lowest, highest = ORDERS[name]
            assert lowest - 0.2 <= stated <= highest, name


def test_orders_above_two_need_equal_steps(reference):
    # adams-bashforth weights of order four; the first steps, where sigma is large, matter little
    equal = order("ghvb", order=4, beta=1.0, spacing="uniform")
    unequal = order("ghvb", order=4, beta=1.0)
    assert observed_order(reference, equal, (129, 257)) > 3.0
    assert observed_order(reference, unequal, (129, 257)) < 2.3


def test_the_last_step_of_pndm_is_all_that_keeps_it_behind_ddim(reference):
    plain, denoised, ddim = (
        discretisation_error(reference, sampler, 10)[0]
        for sampler in ("pndm", order("pndm", denoise_last=True), "ddim")
    )
    assert denoised < ddim / 4 and ddim < plain / 2


def test_samplers_that_end_with_a_state_get_its_posterior_mean_for_one_evaluation(reference):
    exact = reference.deviation(order("ode_rk45", tolerance=1e-9), 10)
    assert exact.difference.abs().max() < 1e-6
    made = {name: reference.deviation(name, 17).evaluations for name in ("ddim", "dpm_solver")}
    assert made == {"ddim": 16, "dpm_solver": 16}


def test_order_table_has_a_row_per_sampler_and_number_of_evaluations(reference):
    rows = order_table(reference, ["ddim", "ddcm", order("ghvb", order=2)], [17, 33])
    assert [(r["sampler"], r["function_evaluations"]) for r in rows] == [
        ("ddim", 16),
        ("ddim", 32),
        ("ghvb, order 2", 17),
        ("ghvb, order 2", 33),
    ]
    assert rows[0]["error"] == discretisation_error(reference, "ddim", 17)[0]
    assert rows[0]["declared_order"] == 1
    assert rows[0]["observed_order"] == observed_order(reference, "ddim", (17, 33))


def test_stochastic_samplers_have_no_discretisation_error(reference):
    with pytest.raises(ConfigError, match="'ddcm' is stochastic"):
        discretisation_error(reference, "ddcm", 10)


# --- limits ---------------------------------------------------------------------------------------


def run(reference, sampler, evaluations, **options):
    return sampler(reference.model(), reference.start, evaluations, None, **options)


def test_momentum_weights_sum_to_one_and_are_adams_bashforth_at_beta_one():
    expected = {
        1: [1],
        2: [3 / 2, -1 / 2],
        3: [23 / 12, -16 / 12, 5 / 12],
        4: [55 / 24, -59 / 24, 37 / 24, -9 / 24],
        5: [1901 / 720, -2774 / 720, 2616 / 720, -1274 / 720, 251 / 720],
    }
    for r, weights in expected.items():
        np.testing.assert_allclose(momentum_weights(r, 1.0), weights)
        for beta in (0.1, 0.5, 0.9):
            assert sum(momentum_weights(r, beta)) == pytest.approx(1)


@pytest.mark.parametrize("r", [2, 3, 4, 5])
@pytest.mark.parametrize("beta", [0.4, 1.0])
def test_ghvb_integrates_a_polynomial_of_its_order_exactly(r, beta):
    # once the momentum has settled: eps(n) = n^(r - 1), one unit step from n to n + 1
    power = r - 1
    velocity, history = 0.0, []
    for n in range(-400, 1):
        velocity = (1 - beta) * velocity + beta * (n / 10) ** power
        history = [*history, velocity][-r:]
    step = sum(w * v for w, v in zip(momentum_weights(r, beta), reversed(history), strict=True))
    exact = (0.1**r) * 10 / r  # the integral of (n / 10)^(r - 1) from 0 to 1
    assert step == pytest.approx(exact, abs=1e-8)


def test_ghvb_and_heavy_ball_at_beta_one_are_adams_bashforth(reference):
    model = reference.model()
    sigmas = sigma_steps(model, 9)
    y, values = sigmas[0] * reference.start, []
    weights = {1: [1], 2: [3 / 2, -1 / 2], 3: [23 / 12, -16 / 12, 5 / 12]}
    for here, below in zip(sigmas[:-1], sigmas[1:], strict=True):  # noqa: RUF007
        values = [model.at_sigma(y, here), *values][:3]
        y = y + (below - here) * sum(
            w * v for w, v in zip(weights[len(values)], values, strict=True)
        )
    expected = denoised(model, y, sigmas[-1])
    for sampler in (ghvb, heavy_ball):
        found = run(reference, sampler, 9, order=3, beta=1.0)
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    # order one without momentum is the Euler step, that is, DDIM
    euler = run(reference, ghvb, 9, order=1, beta=1.0)
    assert torch.equal(euler, run(reference, heavy_ball, 9, order=1, beta=1.0))


def test_interpolants_are_the_flow_at_kappa_zero_and_reverse_diffusion_at_one(reference):
    def draw(sampler, seed=5):
        network, levels = reference.model().network, reference.model().levels
        return draw_samples(network, levels, sampler, 12, 6, SHAPE, seed).images

    assert torch.equal(draw(order("interpolant", kappa=1.0)), draw("reverse_sde"))
    model = reference.model()
    sigmas = sigma_steps(model, 12)
    y = sigmas[0] * reference.start
    for here, below in zip(sigmas[:-1], sigmas[1:], strict=True):  # noqa: RUF007
        # Euler on the clock tau = sigma^2 / 2, dy / d tau = eps / sigma
        y = y + (below**2 / 2 - here**2 / 2) * model.at_sigma(y, here) / here
    found, made = reference.run(order("interpolant", kappa=0.0), 12)
    torch.testing.assert_close(found, denoised(model, y, sigmas[-1]), atol=1e-12, rtol=0)
    assert made == 12


def test_one_step_of_an_interpolant_by_hand(reference):
    model, kappa = reference.model(), 0.5
    generator = torch.Generator().manual_seed(3)
    found = make_sampler(order("interpolant", kappa=kappa))(model, reference.start, 2, generator)
    z = torch.randn(reference.start.shape, generator=torch.Generator().manual_seed(3)).double()
    high, low = reference.sigma_max, reference.sigma_min
    y = high * reference.start
    y = y + 0.625 * (high**2 - low**2) * model.score(y, high)
    y = y + 0.5 * np.sqrt(high**2 - low**2) * z
    torch.testing.assert_close(found, denoised(model, y, low), atol=1e-12, rtol=0)


def test_ddcm_is_ddim_without_fresh_noise_and_ends_at_a_known_image(reference):
    from crosskrylov.learning.sampling.samplers.ddcm import consistent_noise

    found, _ = reference.run(order("ddcm", eta=0.0), 9)
    expected = run(reference, ghvb, 9, order=1, beta=1.0)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    x = reference.start
    image = DATA[:1].double()
    eps = consistent_noise(x, image, 3.0)
    torch.testing.assert_close(x / signal_of(3.0) - 3.0 * eps, image.expand_as(x))


def test_lml_without_momentum_is_its_solver_in_float64_but_not_in_float32(reference):
    for evaluations in (10, 20, 50):
        base = run(reference, lml, evaluations, correct=False)
        corrected_path = run(reference, lml, evaluations, kappa=0.0)
        assert (corrected_path - base).abs().max() <= 1e-6 * base.abs().max()
        assert (run(reference, lml, evaluations, kappa=0.5) - base).abs().max() > 0.1
    increment = torch.randn((4, 3, 32, 32), generator=torch.Generator().manual_seed(3)).double()
    change = (corrected(increment, None, 1e-4, 0.0) - increment).norm() / increment.norm()
    assert change < 1e-7
    rounded = increment.float()
    change = (corrected(rounded, None, 1e-4, 0.0) - rounded).norm() / rounded.norm()
    assert change > 0.01  # the difference of nearly equal numbers, rescaled
    zero = torch.zeros((1, *SHAPE))
    assert torch.equal(corrected(zero, None, 1e-4, 0.0), zero)


def test_exponential_step_is_exact_for_polynomials_of_lambda():
    # y' = -e^-lambda eps(lambda) with eps = 1 + lambda + lambda^2
    def solution(value):
        return np.exp(-value) * (value**2 + 3 * value + 4)

    lambdas = np.array([-0.6, -0.2, 0.1])
    outputs = [torch.tensor([1 + v + v**2]) for v in lambdas]
    found = exponential_increment(np.exp(-lambdas), outputs, np.exp(-0.5), 3, exact=True)
    assert float(found) == pytest.approx(solution(0.5) - solution(0.1), abs=1e-12)
    published = exponential_increment(np.exp(-lambdas), outputs, np.exp(-0.5), 3)
    assert abs(float(published - found)) > 1e-3  # half of the curvature is missing there
    first = exponential_increment(np.exp(-lambdas), outputs, np.exp(-0.5), 1)
    assert float(first) == pytest.approx((np.exp(-0.5) - np.exp(-0.1)) * float(outputs[-1]))


def test_sada_without_skips_is_dpm_solver_plus_plus(reference):
    found, made = reference.run(order("sada", skip=False), 20)
    levels = NoiseLevels.geometric(20, reference.sigma_min, reference.sigma_max)
    network = ExactNetwork(DATA, levels)
    model = NoiseModel(network, levels, clip=False)
    assert made == 20
    from crosskrylov.learning.sampling.schedulers import sample_with_scheduler

    scale = reference.sigma_max / np.sqrt(1 + reference.sigma_max**2)
    expected = sample_with_scheduler("dpmsolver++", model, reference.start * scale, 20)
    assert (found - expected).abs().max() < 1e-4


def test_sada_slope_is_that_of_the_flow_and_its_predictor_is_as_published(reference):
    model, sigma, h = reference.model(), 5.0, 1e-4
    y = 5.0 * reference.start
    above, below = (
        signal_of(s) * flow_solution(model, y, [sigma, s])[-1]
        for s in (sigma * np.exp(h), sigma * np.exp(-h))
    )
    found = flow_slope(y, model.at_sigma(y, sigma), sigma)
    torch.testing.assert_close(found, (above - below) / (2 * h), atol=1e-5, rtol=0)
    slopes = [torch.tensor(v) for v in (8.0, 16.0, 24.0)]
    assert float(predicted(torch.tensor(1.0), slopes, 0.5)) == 1 - 0.5 * (5 + 12 - 9)


def test_sada_spares_calls_and_never_more_than_allowed_in_a_row(reference):
    model = reference.model()
    calls = []
    original = model.at_sigma
    model.at_sigma = lambda y, sigma: calls.append(sigma) or original(y, sigma)
    sada(model, reference.start, 50, None, max_skips=2)
    sigmas = sigma_steps(model, 50)
    called = np.isin(sigmas, calls)
    assert 20 <= called.sum() < 50
    assert called[:10].all() and called[48:].all()
    skipped = "".join("x" if c else "." for c in called)
    assert "..." not in skipped and "." in skipped


# --- DPM-Solver-v3 --------------------------------------------------------------------------------


def v3_with(reference, linear, slope, **options):
    lambdas = np.linspace(-np.log(reference.sigma_max), -np.log(reference.sigma_min), 241)
    sampler = DpmSolverV3(lower_order_final=False, corrector=False, **options)
    return sampler.use(Statistics.constant(lambdas, SHAPE, linear, slope), reference.start.device)


@pytest.mark.parametrize("r", [1, 2, 3])
def test_v3_with_the_statistics_of_dpm_solver_is_dpm_solver(reference, r):
    model = reference.model()
    sigmas = sigma_steps(model, 13)
    y, outputs = sigmas[0] * reference.start, []
    for i, (here, below) in enumerate(zip(sigmas[:-1], sigmas[1:], strict=True)):  # noqa: RUF007
        outputs = [*outputs, model.at_sigma(y, here)][-r:]
        y = y + exponential_increment(sigmas[: i + 1], outputs, below, r, exact=True)
    # l = 0, s = -1, b = 0; all of them zero is another solver, which expands sigma eps in lambda
    found = v3_with(reference, 0, -1, order=r).run(model, reference.start, 12)
    torch.testing.assert_close(found, y, atol=2e-5, rtol=0)
    other = v3_with(reference, 0, 0, order=r).run(model, reference.start, 12)
    assert (other - y).abs().max() > 1e-2


def test_v3_with_the_statistics_of_the_plus_plus_one_is_that_at_order_one(reference):
    model = reference.model()
    found = v3_with(reference, 1, 0, order=1).run(model, reference.start, 12)
    euler = run(reference, lml, 12, order=1, correct=False)  # both are DDIM
    torch.testing.assert_close(found, euler, atol=2e-5, rtol=0)


def test_statistics_of_a_single_image_are_exact_and_their_cost_is_declared():
    # eps = (y - x_0) / sigma: l = 1, f = -x_0, which never changes
    levels = NoiseLevels.geometric(20, 0.5, 10.0)
    model = NoiseModel(ExactNetwork(DATA[:1], levels), levels, clip=False)
    found = empirical_statistics(model, DATA[:1].double(), 9, 4)
    torch.testing.assert_close(found.linear, torch.ones_like(found.linear), atol=1e-6, rtol=0)
    assert found.offset.abs().max() < 1e-6
    assert model.evaluations == 0 and model.setup_evaluations == 9 + 2 * 8


def test_taylor_derivatives_of_a_cubic():
    places = np.array([0.3, -0.2, 0.9, 0.5])
    values = [torch.tensor(1 + 2 * p + 3 * p**2 + 4 * p**3) for p in places]
    p = places[0]
    expected = [2 + 6 * p + 12 * p**2, 6 + 24 * p, 24]
    np.testing.assert_allclose([float(v) for v in taylor_derivatives(places, values)], expected)
    # the pseudo ones are divided differences: exact in the highest order only
    pseudo = [float(v) for v in taylor_derivatives(places, values, pseudo=True)]
    assert pseudo[-1] == pytest.approx(24) and abs(pseudo[0] - expected[0]) > 0.1


def test_v3_is_as_good_as_its_limit_with_estimated_statistics(reference):
    estimated, made = discretisation_error(reference, order("dpm_solver_v3"), 20)
    assert made == 20
    assert estimated < discretisation_error(reference, "ddim", 20)[0] / 2
