import numpy as np

from crosskrylov.equation.likeness import likeness_chain, nearest_neighbour_chain


def test_chain_goes_to_the_nearest_one_left():
    points = np.array([0.0, 5.0, 1.0, -0.4, 4.0])
    chain = nearest_neighbour_chain(5, lambda i: np.abs(points - points[i]))
    assert chain.tolist() == [0, 3, 2, 4, 1]


def test_chain_of_images_is_that_of_their_mean_free_parts():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4, 4))
    images = np.array([a, b, a + 100.0 + 1e-3 * b, b + 1e-3 * a])
    assert likeness_chain(images).tolist() == [0, 2, 3, 1] or likeness_chain(images)[1] == 2
    assert sorted(likeness_chain(images)) == [0, 1, 2, 3]
    assert likeness_chain(images[:1]).tolist() == [0]


def test_constant_images_have_a_chain():
    assert sorted(likeness_chain(np.ones((3, 4, 4)))) == [0, 1, 2]
