"""The figure of a correlation matrix."""

import matplotlib as mpl
import numpy as np
import pytest

from superbin.errors import InputError
from superbin.plot.correlation import correlation_matrix


def test_draws_the_matrix_it_is_given() -> None:
    """LIK-29: the figure shows the given matrix from -1 to 1."""
    before = dict(mpl.rcParams)
    matrix = np.array([[1.0, 0.3, -0.2], [0.3, 1.0, 0.0], [-0.2, 0.0, 1.0]])
    drawn = correlation_matrix(matrix, blocks=[2], attribution="Test", luminosity_fb=12.9, sqrt_s_tev=13)
    np.testing.assert_array_equal(np.asarray(drawn.mesh.get_array()).reshape(3, 3), matrix)
    assert drawn.mesh.get_clim() == (-1, 1)
    assert drawn.ax.get_xlim() == (0.5, 3.5)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    ("matrix", "text"),
    [
        (np.ones((2, 3)), "must be square"),
        (np.ones(4), "must be square"),
        (np.zeros((0, 0)), "must be square"),
        (np.array([[1.0, 1.2], [1.2, 1.0]]), "correlation of bins 1 and 2 is 1.2"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "correlation of bins 1 and 2 is nan"),
    ],
)
def test_refuses_what_is_no_correlation(matrix: np.ndarray, text: str) -> None:
    """LIK-29: a matrix that is not square or leaves [-1, 1] is refused."""
    with pytest.raises(InputError, match=text):
        correlation_matrix(matrix)


def test_groups_have_names() -> None:
    """LIK-29: names stand at the middle of their groups, along both axes; there is one for each group."""
    drawn = correlation_matrix(np.eye(4), blocks=[1], names=("first", "others"))
    places: dict[str, list[tuple[float, ...]]] = {}
    for text in drawn.ax.texts:
        places.setdefault(text.get_text(), []).append(tuple(map(float, text.xy)))  # type: ignore[attr-defined]
    assert places == {"first": [(1.0, 0.0), (0.0, 1.0)], "others": [(3.0, 0.0), (0.0, 3.0)]}
    with pytest.raises(InputError, match="3 names were given for 2 groups of bins"):
        correlation_matrix(np.eye(4), blocks=[1], names=("a", "b", "c"))
