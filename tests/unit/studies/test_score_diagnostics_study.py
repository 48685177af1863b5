"""Diagnostics of networks, with the exact model at zero."""

import pytest
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.studies.score_diagnostics import diagnosed_model, diagnostics_table

IMAGES = torch.sign(torch.randn((6, 1, 4, 4), generator=torch.Generator().manual_seed(4))) * 0.7


def test_the_exact_model_has_no_residual_no_curl_and_no_dimension_at_small_noise():
    table = diagnostics_table(IMAGES, ["exact"], [0.1, 1.0], 4, 3, None, 0)
    assert list(table.sigma) == [0.1, 1.0] and set(table.precision) == {"float64"}
    # what is left is the central difference, of order its step squared
    assert table.residual.max() < 2e-2 and table.curl.max() < 1e-20
    assert table.dimension[0] == pytest.approx(0, abs=1e-6)
    assert (table.residual_low <= table.residual).all()


def test_a_ready_made_network_needs_images_of_its_shape():
    with pytest.raises(ConfigError, match=r"'digits', made for images of shape \(1, 16, 16\)"):
        diagnosed_model("digits", IMAGES)


def test_a_ready_made_network_leaves_something_of_the_equation():
    images = torch.rand((3, 1, 16, 16), generator=torch.Generator().manual_seed(0)) * 2 - 1
    row = diagnostics_table(images, ["digits"], [1.0], 2, 1, 2, 0).iloc[0]
    assert row.precision == "float32" and row.curl > 1e-6 and row.residual >= 0
