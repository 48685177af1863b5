"""Laws of the plane, the equation of their log-density, and samples."""

import math

import pytest
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.plane_mixtures import noise_level, plane_mixture
from crosskrylov.learning.plane_potential import (
    PotentialNetwork,
    draw_points,
    equation_residual,
    noised_points,
    score_of,
    train_potential,
)

SPAN = (1e-3, 4.0)
SETTINGS = {
    "units": 16,
    "sharpness": 100,
    "steps": [3],
    "learning_rates": [1e-3],
    "batch_size": 16,
    "points": 8,
    "box": 3.5,
    "span": SPAN,
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def places(count=200):
    x = 7 * torch.rand((count, 2), generator=generator(), dtype=torch.float64) - 3.5
    t = 1e-3 + 4 * torch.rand(count, generator=generator(1), dtype=torch.float64)
    return x, t


@pytest.mark.parametrize("name", ["nine_gaussians", "two_rings"])
def test_the_log_density_of_a_mixture_solves_the_equation(name):
    exact = plane_mixture(name)
    assert equation_residual(exact, *places()).abs().max() < 1e-6


def test_a_density_that_stands_still_or_runs_backwards_does_not_solve_it():
    exact = plane_mixture("nine_gaussians")
    still = equation_residual(lambda x, t: exact(x, 0 * t + 0.1), *places())
    backwards = equation_residual(lambda x, t: exact(x, 5 - t), *places())
    assert min(still.abs().mean(), backwards.abs().mean()) > 0.1


def test_a_function_of_time_alone_changes_the_residual_by_its_slope_and_no_score():
    exact, (x, t) = plane_mixture("nine_gaussians"), places()
    shifted = lambda x, t: exact(x, t) + 3 * t  # noqa: E731
    torch.testing.assert_close(equation_residual(shifted, x, t), torch.full_like(t, 3.0))
    torch.testing.assert_close(score_of(shifted, x, t), score_of(exact, x, t))


def test_densities_of_laws_integrate_to_one():
    axis = torch.linspace(-6, 6, 241, dtype=torch.float64)
    x = torch.cartesian_prod(axis, axis)
    for name in ("nine_gaussians", "two_rings"):
        density = plane_mixture(name)(x, torch.full((len(x),), 0.1, dtype=torch.float64)).exp()
        assert float(density.sum()) * 0.05**2 == pytest.approx(1, abs=1e-6)


def test_noised_points_have_the_moments_of_the_forward_process():
    t = torch.full((40000,), 0.5, dtype=torch.float64)
    data = plane_mixture("nine_gaussians")
    x, z = noised_points(data, t, generator())
    variance = (data.means**2).sum(1).mean() / 2 + data.variance
    expected = math.exp(-1) * variance + noise_level(t)[0] ** 2
    assert float(x.var()) == pytest.approx(float(expected), rel=0.02)
    assert float(z.std()) == pytest.approx(1, rel=0.01)


def test_rings_are_even_along_the_ring():
    angle = torch.linspace(0, 1, 50, dtype=torch.float64)
    for radius in (1.3, 2.8):
        x = radius * torch.stack([angle.cos(), angle.sin()], 1)
        assert plane_mixture("two_rings")(x, torch.zeros(50, dtype=torch.float64)).std() < 1e-6


def test_an_unknown_law_is_named_beside_those_that_there_are():
    with pytest.raises(ConfigError, match=r"'nine_gausians' \(did you mean 'nine_gaussians'\?\)"):
        plane_mixture("nine_gausians")


def test_the_score_of_a_network_is_free_of_curl():
    network = PotentialNetwork(16, 100, 0).double()
    x, t = places(20)
    x.requires_grad_()
    (score,) = torch.autograd.grad(network(x, t).sum(), x, create_graph=True)
    rows = [torch.autograd.grad(score[:, k].sum(), x, retain_graph=True)[0] for k in range(2)]
    assert rows[0].abs().max() > 1e-3
    torch.testing.assert_close(rows[0][:, 1], rows[1][:, 0], rtol=0, atol=1e-12)


def test_the_residual_of_a_network_is_that_of_finite_differences():
    network, (x, t) = PotentialNetwork(16, 1.0, 0).double(), places(20)
    h = 1e-3
    units = h * torch.eye(2, dtype=torch.float64)
    with torch.no_grad():
        middle = network(x, t)
        sides = [(network(x + u, t), network(x - u, t)) for u in units]
        slope = torch.stack([(a - b) / (2 * h) for a, b in sides], 1)
        laplacian = sum((a + b - 2 * middle) / h**2 for a, b in sides)
        in_time = (network(x, t + h) - network(x, t - h)) / (2 * h)
    expected = in_time - 2 - (x * slope).sum(1) - slope.square().sum(1) / 2 - laplacian / 2
    torch.testing.assert_close(equation_residual(network, x, t), expected, rtol=0, atol=1e-5)


def test_the_weight_reaches_the_weights_and_zero_is_score_matching_alone():
    data = plane_mixture("nine_gaussians")
    plain, penalised = (train_potential(data, w, SETTINGS, 3).state_dict() for w in (0.0, 10.0))
    fewer = train_potential(data, 0.0, SETTINGS | {"points": 4}, 3).state_dict()
    assert all(torch.equal(plain[key], fewer[key]) for key in plain)
    assert not all(torch.equal(plain[key], penalised[key]) for key in plain)


def test_a_penalty_lowers_the_residual():
    data, settings = plane_mixture("nine_gaussians"), SETTINGS | {"steps": [80], "points": 64}
    left = [
        equation_residual(train_potential(data, w, settings, 0).double(), *places()).square().mean()
        for w in (0.0, 10.0)
    ]
    assert left[1] < 0.7 * left[0]


@pytest.mark.parametrize("stochastic", [True, False])
def test_samples_of_the_exact_model_have_the_moments_of_the_law(stochastic):
    data = plane_mixture("nine_gaussians").float()
    x = draw_points(data, 4000, 100, SPAN, generator(), stochastic=stochastic)
    expected = float((data.means**2).sum(1).mean() / 2 + data.variance)
    assert x.mean(0).abs().max() < 0.1
    assert float(x.var()) == pytest.approx(expected, rel=0.05)
