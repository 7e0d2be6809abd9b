"""Covariances are checked once: clause SEARCH-7."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superbin.domain.covariance import Covariance
from superbin.errors import InputError


def test_one_matrix_is_both_sides() -> None:
    """SEARCH-7: one matrix serves for both sides of the covariance."""
    covariance = Covariance.of([[4, 1], [1, 9]])
    assert covariance.up is covariance.down
    assert covariance.source == "covariance"


@pytest.mark.parametrize(
    ("matrix", "text"),
    [
        ([[144, 13], [25, 256]], "not symmetric: 13 for bins 1 and 2, 25 for 2 and 1"),
        ([[4, 7], [7, 9]], "of bins 1 and 2 is 7, more than the product of their standard deviations, 6"),
        ([[4, 1], [1, -9]], "has the variance -9 in bin 2"),
        ([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]], "not positive semidefinite.*eigenvalue -0.8"),
        ([[0, 1], [1, 4]], "more than the product of their standard deviations, 0"),
        ([[1, np.nan], [np.nan, 1]], "nan"),
        ([[1, 2, 3]], "shape"),
    ],
)
def test_no_covariance(matrix: list[list[float]], text: str) -> None:
    """SEARCH-7: the entry and the rule are named."""
    with pytest.raises(InputError, match=text):
        Covariance.of(matrix)


def test_nearest_covariance() -> None:
    """SEARCH-7: eigenvalues of [[1, a], [a, 1]] are 1 +- a, so for a = 1.5 the nearest matrix is 1.25 everywhere."""
    covariance, moved = Covariance.repaired([[1, 1.5], [1.5, 1]])
    assert covariance.up == pytest.approx(np.full((2, 2), 1.25))
    assert moved == pytest.approx(0.25)


@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_repair_leaves_a_covariance_alone(size: int, seed: int) -> None:
    """SEARCH-7: a product with its own transpose is positive semidefinite already."""
    root = np.random.default_rng(seed).normal(size=(size, size))
    matrix = root @ root.T
    covariance, moved = Covariance.repaired(matrix)
    assert covariance.up == pytest.approx(matrix, rel=1e-9, abs=1e-9)
    assert moved < 1e-9


def test_from_correlations() -> None:
    """SEARCH-7: correlations and errors make the covariance, and bad correlations are refused."""
    covariance = Covariance.of_correlations([[1, 0.5], [0.5, 1]], [2, 3], [1, 2])
    assert covariance.up.tolist() == [[4, 3], [3, 9]]
    assert covariance.down.tolist() == [[1, 1], [1, 4]]
    with pytest.raises(InputError, match="correlation of bins 1 and 2 is 1.5"):
        Covariance.of_correlations([[1, 1.5], [1.5, 1]], [2, 3])
    with pytest.raises(InputError, match="correlation of bin 2 with itself is 0.9"):
        Covariance.of_correlations([[1, 0.5], [0.5, 0.9]], [2, 3])


def test_digest_tells_matrices_apart() -> None:
    """SEARCH-7: equal matrices have the same digest, and different matrices do not."""
    one, other = Covariance.of([[1.0]]), Covariance.of([[2.0]])
    assert one.digest != other.digest
    assert one.digest == Covariance.of([[1.0]]).digest
