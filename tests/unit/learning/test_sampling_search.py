"""Searched steps: what the genes reproduce, and what the search may and may not do."""

import numpy as np
import pytest
import torch

from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.reference import ExactReference, discretisation_error
from crosskrylov.learning.sampling.registry import make_sampler
from crosskrylov.learning.sampling.schedulers import sample_with_scheduler
from crosskrylov.learning.sampling.search import (
    EVERY_KIND,
    LAST_PLACE,
    Kind,
    evolve,
    run_steps,
    schedule_sigmas,
    uniform_schedule,
)
from crosskrylov.learning.sampling.steps import exponential_increment, sigma_steps, unipc_step
from crosskrylov.learning.schedule import NoiseLevels

SHAPE = (1, 4, 4)
DATA = torch.sign(torch.randn((6, *SHAPE), generator=torch.Generator().manual_seed(4))) * 0.7
SMALL = {"population": 20, "epochs": 4, "noises": 16, "fine_steps": 60}
SEARCHED = ["autodiffusion", "usf"]


@pytest.fixture(scope="module")
def reference():
    return ExactReference(DATA, n_samples=8)


def small(method, **options):
    return make_sampler({"method": method, "options": SMALL | options})


# --- what genes reproduce -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "scheduler"),
    [
        (Kind(1, "noise", False), "ddim"),
        (Kind(1, "image", False), "ddim"),
        (Kind(2, "image", False), "dpmsolver++"),
        (Kind(2, "image", True), "unipc"),
    ],
)
def test_steps_of_one_kind_are_a_known_sampler(reference, kind, scheduler):
    levels = NoiseLevels.geometric(12, reference.sigma_min, reference.sigma_max)
    model = NoiseModel(ExactNetwork(DATA, levels), levels, clip=False)
    scale = reference.sigma_max / np.sqrt(1 + reference.sigma_max**2)
    expected = sample_with_scheduler(scheduler, model, reference.start * scale, 12)
    schedule = uniform_schedule(12, kind)
    sigmas = schedule_sigmas(model, schedule)
    np.testing.assert_allclose(sigmas, levels.sigmas[::-1])
    found = run_steps(model, reference.start, sigmas, schedule.kinds)
    assert (found - expected).abs().max() < 2e-5  # of float32 tables inside the schedulers
    assert model.evaluations == 24


def test_second_order_in_the_noise_is_dpm_solver(reference):
    model, sigmas = reference.model(), sigma_steps(reference.model(), 9)
    y, outputs = sigmas[0] * reference.start, []
    for i in range(8):
        outputs = [*outputs, model.at_sigma(y, sigmas[i])]
        y = y + exponential_increment(sigmas[: i + 1], outputs, sigmas[i + 1], 2)
    expected = y - sigmas[-1] * model.at_sigma(y, sigmas[-1])
    found = run_steps(model, reference.start, sigmas, [Kind(2, "noise", False)] * 8)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("form", ["noise", "image"])
@pytest.mark.parametrize("corrected", [False, True])
def test_third_order_integrates_what_it_interpolates(form, corrected):
    # an output that is quadratic (cubic, with the corrector) in lambda, and its exact solution
    power = 3 if corrected else 2
    lambdas, target = np.array([-2.0, -1.7, -1.2]), -0.7

    def output(x):
        return torch.tensor(1 + 0.5 * x + x**power, dtype=torch.float64)

    fine = np.linspace(lambdas[-1], target, 20001)
    values = 1 + 0.5 * fine + fine**power
    if form == "noise":  # dy/dsigma = eps, sigma = e^-lambda
        expected = 0.3 - np.trapezoid(np.exp(-fine) * values, fine)
    else:  # dy/dlambda = x - y
        h = target - lambdas[-1]
        expected = 0.3 * np.exp(-h) + np.trapezoid(np.exp(fine - target) * values, fine)
    state = torch.tensor(0.3, dtype=torch.float64)
    found = output(target) if corrected else None
    made = unipc_step(state, lambdas, [output(x) for x in lambdas], target, 3, found, form)
    assert float(made) == pytest.approx(expected, abs=1e-8)


# --- the search -----------------------------------------------------------------------------------


def test_fine_trajectories_end_where_the_flow_does(reference):
    model = reference.model()
    sigmas = sigma_steps(model, 200)
    found = run_steps(model, reference.start, sigmas, [Kind(2, "image", True)] * 199)
    assert (found - reference.solution()).square().mean().sqrt() < 1e-6


@pytest.mark.parametrize("method", SEARCHED)
@pytest.mark.parametrize("evaluations", [4, 30])
def test_found_steps_are_no_worse_than_equal_ones_on_the_fitted_noises(
    reference, method, evaluations
):
    sampler, model = small(method), reference.model()
    sampler(model, reference.start, evaluations, None)
    error_of = sampler.fitness(model, reference.start, np.random.default_rng(0))
    fixed = [error_of(schedule) for schedule in sampler.fixed(evaluations)]
    assert error_of(sampler.schedules[evaluations]) <= min(fixed)
    assert len(fixed) == {"autodiffusion": 1, "usf": 11}[method]  # both forms of Euler are one


@pytest.mark.parametrize("method", SEARCHED)
def test_search_helps_on_other_noises_and_its_cost_is_declared(reference, method):
    sampler, model = small(method), reference.model()
    found = sampler(model, reference.start, 5, None)
    error = float((found - reference.solution()).square().mean().sqrt())
    rival = {"autodiffusion": "ddim", "usf": "unipc"}[method]
    assert error < 0.9 * discretisation_error(reference, rival, 6)[0]  # which makes 5
    assert model.evaluations == 5
    assert model.setup_evaluations == 60 + 20 * 4 * 5  # fine path, and all candidates
    sampler(model, reference.start, 5, None)  # searches once
    assert model.evaluations == 10 and model.setup_evaluations == 60 + 20 * 4 * 5


def test_without_a_population_the_best_of_equal_steps_is_taken(reference):
    sampler, model = small("usf", population=0), reference.model()
    sampler(model, reference.start, 6, None)
    error_of = sampler.fitness(model, reference.start, np.random.default_rng(0))
    assert sampler.schedules[6] == min(sampler.fixed(6), key=error_of)
    assert model.setup_evaluations == 60 + 11 * 6


def test_steps_depend_on_the_seed_and_not_on_the_noise_to_be_sampled_from(reference):
    def found(start, seed):
        sampler = small("usf", seed=seed)
        sampler(reference.model(), start, 6, None)
        return sampler.schedules[6]

    assert found(reference.start, 3) == found(reference.start.flip(0)[:2], 3)
    assert found(reference.start, 3) != found(reference.start, 4)


def evolved(error_of, kinds=EVERY_KIND, evaluations=8, seed=5, population=30, epochs=6):
    """Return the result of a search and every candidate that it tried."""
    tried = []

    def counted(schedule):
        tried.append(schedule)
        return error_of(schedule)

    first = [uniform_schedule(evaluations, kind) for kind in kinds]
    rng = np.random.default_rng(seed)
    return evolve(first, counted, kinds, rng, population, epochs), tried


def test_every_candidate_is_new_ordered_and_between_fixed_ends():
    kinds = tuple(kind for kind in EVERY_KIND if kind.order < 3)
    _, tried = evolved(lambda schedule: schedule.places[3], kinds)
    assert len(tried) == len(set(tried)) == 30 * 6
    for places, made_of in tried:
        assert len(places) == 8 and len(made_of) == 7
        assert places[0] == 0 and places[-1] == LAST_PLACE
        assert np.diff(places).min() >= 1 - 1e-9
        assert {kind.order for kind in made_of} <= {1, 2}
        # genes that change nothing are not told apart
        assert made_of[0].order == 1 and not made_of[-1].corrected


def test_generations_come_nearer_to_an_optimum_than_random_draws():
    wanted = np.linspace(0, LAST_PLACE, 8) ** 2 / LAST_PLACE

    def error_of(schedule):
        wrong = sum(kind.form != "image" for kind in schedule.kinds[1:])
        return float(np.abs(np.asarray(schedule.places) - wanted).mean()) + 30 * wrong

    (best, error), tried = evolved(error_of, population=50, epochs=10)
    assert error == error_of(best) == min(map(error_of, tried))
    assert error < 0.6 * min(map(error_of, tried[:50]))
    assert evolved(error_of, population=50, epochs=10)[0] == (best, error)  # the same again
    (_, blind), _ = evolved(error_of, population=500, epochs=1)
    assert error < 0.6 * blind


def test_a_space_that_runs_out_ends_the_search():
    only = (Kind(1, "noise", False),)
    _, tried = evolved(lambda schedule: schedule.places[1], only, evaluations=2)
    assert len(tried) == 1


def test_schedules_that_overflow_do_not_win(reference):
    sampler, model = small("usf"), reference.model()
    error_of = sampler.fitness(model, reference.start, np.random.default_rng(0))
    model.network = lambda x, t: type("Out", (), {"sample": x * float("nan")})()
    assert error_of(uniform_schedule(5, Kind(1, "noise", False))) == np.inf
