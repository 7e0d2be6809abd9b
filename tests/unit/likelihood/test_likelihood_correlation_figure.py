"""The figure of a correlation matrix."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from superbin.cli import main
from superbin.errors import InputError
from superbin.plot.correlation import correlation_matrix
from superbin.plot.likelihood import correlations
from superbin.results.likelihood import Correlations
from superbin.results.load import load_drawable


def test_draws_the_matrix_it_is_given() -> None:
    """LIK-29: the figure shows the given matrix from -1 to 1, with lines after the last bin of a group."""
    before = dict(mpl.rcParams)
    matrix = np.array([[1.0, 0.3, -0.2], [0.3, 1.0, 0.0], [-0.2, 0.0, 1.0]])
    drawn = correlation_matrix(matrix, blocks=[2], attribution="Test", luminosity_fb=12.9, sqrt_s_tev=13)
    np.testing.assert_array_equal(np.asarray(drawn.mesh.get_array()).reshape(3, 3), matrix)
    assert drawn.mesh.get_clim() == (-1, 1)
    assert drawn.ax.get_xlim() == (0.5, 3.5)
    lines = [(*line.get_xdata(), *line.get_ydata()) for line in drawn.ax.get_lines()]  # type: ignore[misc]
    assert lines == [(0, 1, 2.5, 2.5), (2.5, 2.5, 0, 1)]
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


def run(words: list[str]) -> None:
    """Run a command that succeeds."""
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 0


def test_the_document_of_a_search_draws_its_groups(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """LIK-29: bins in the groups of the observable that changes most rarely, by the command and from its document."""
    document, figure = tmp_path / "covariance.json", tmp_path / "correlations.png"
    words = ["likelihood", "covariance", "cms-pas-sus-16-014", "--scope", "variations"]
    run([*words, "-o", str(document), "--figure", str(figure)])
    assert figure.stat().st_size > 10_000
    found = load_drawable(document)
    assert isinstance(found, Correlations)
    assert [size for _, size in found.groups] == [40, 40, 40, 40]
    assert found.groups[0][0].endswith("3-4")
    assert found.matrix.shape == (160, 160)
    assert np.allclose(np.diag(found.matrix), 1.0)
    capsys.readouterr()
    run(["plot", str(document)])
    assert capsys.readouterr().out == "correlations\n"
    drawn = correlations(found)
    ends = {text.get_text().split("$ ")[-1] for text in drawn.ax.texts}
    assert {"3–4", "5–6", "7–8", "≥ 9"} <= ends


def test_correlations_of_bins_without_variance() -> None:
    """LIK-29: one on the diagonal, zero beside it; by hand."""
    found = Correlations(((4.0, 3.0, 0.0), (3.0, 9.0, 0.0), (0.0, 0.0, 0.0)))
    assert found.matrix.tolist() == [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]
