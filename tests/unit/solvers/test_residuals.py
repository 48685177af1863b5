"""Inner products, norms and true residuals, the same for NumPy and torch."""

import numpy as np
import pytest
import torch

from crosskrylov.solvers.kernels.residuals import dots, norms, to_numpy

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 2, 2), (0, 4, 5)])
def test_products_and_norms_of_every_field(kind, shape):
    a, b = RNG.normal(size=(2, *shape))
    expected = (a * b).sum(axis=(1, 2))
    np.testing.assert_allclose(to_numpy(dots(kind(a), kind(b))), expected, rtol=1e-14, atol=1e-15)
    expected = np.linalg.norm(a, axis=(1, 2))
    np.testing.assert_allclose(to_numpy(norms(kind(a))), expected, rtol=1e-14)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_dtype_is_kept_and_views_are_taken(kind):
    a = kind(RNG.normal(size=(6, 4, 5)).astype(np.float32))
    assert norms(a[::2]).dtype == a.dtype
    np.testing.assert_allclose(to_numpy(norms(a[::2])), to_numpy(norms(a))[::2], rtol=1e-6)
