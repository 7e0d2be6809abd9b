"""Histograms in ROOT files: clause TAB-15. The files are written here by uproot from NumPy arrays."""

from pathlib import Path
from typing import Any

import hist
import numpy as np
import pytest
import uproot

from superbin.errors import DocumentError, InputError, UnknownNameError
from superbin.io import root
from superbin.io.root import read_histogram


def filled(weights: list[float]) -> Any:
    """Three bins on [0, 3), filled at 0.5, 1.5, 1.5, -1 (underflow) and 9 (overflow)."""
    histogram = hist.Hist(hist.axis.Regular(3, 0, 3), storage=hist.storage.Weight())
    histogram.fill([0.5, 1.5, 1.5, -1, 9], weight=weights)
    return histogram


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "h.root"
    with uproot.recreate(path) as output:
        output["folder/yields"] = filled([2.0, 1.0, 3.0, 100.0, 100.0])
    # A colon separates file and object in uproot's own notation.
    return path.rename(tmp_path / "one:two.root")


def test_contents_and_errors(file: Path) -> None:
    """TAB-15: no under- and overflow; errors from the sum of squared weights."""
    histogram = read_histogram(file)
    assert histogram.name == "folder/yields"
    np.testing.assert_array_equal(histogram.values, [2.0, 4.0, 0.0])
    np.testing.assert_allclose(histogram.errors, [2.0, 10**0.5, 0.0], rtol=1e-15)
    assert not histogram.values.flags.writeable


def test_by_name(file: Path) -> None:
    """TAB-15: a histogram is read by its full name, and another name is refused."""
    assert read_histogram(str(file), "folder/yields").values.sum() == 6.0
    with pytest.raises(
        UnknownNameError, match=r"no one-dimensional histogram 'yields'; there are: folder/yields"
    ):
        read_histogram(file, "yields")


def test_unweighted_histogram_has_poisson_errors(tmp_path: Path) -> None:
    """TAB-15: the square root of the content where the file has no squared weights."""
    path = tmp_path / "h.root"
    with uproot.recreate(path) as output:
        output["h"] = np.histogram([0.5, 0.5, 0.5, 0.5, 1.5], bins=[0, 1, 2])
    histogram = read_histogram(path)
    np.testing.assert_array_equal(histogram.values, [4, 1])
    np.testing.assert_array_equal(histogram.errors, [2, 1])


def stored(path: Path, contents: list[float]) -> None:
    """A histogram without sum of squares, as TH1::Fill leaves it where Sumw2 was not called."""
    edges = np.arange(len(contents) + 1.0)
    with uproot.recreate(path) as output:
        output["h"] = (np.array(contents), edges)


def test_negative_contents_have_errors_of_their_magnitude(tmp_path: Path) -> None:
    """TAB-15: as ROOT's GetBinError, the square root of |content| where the file has no sum of squares."""
    path = tmp_path / "h.root"
    stored(path, [3.0, -2.0, 0.0, -0.25])
    histogram = read_histogram(path)
    np.testing.assert_array_equal(histogram.values, [3.0, -2.0, 0.0, -0.25])
    np.testing.assert_allclose(histogram.errors, [3**0.5, 2**0.5, 0.0, 0.5], rtol=1e-15)


def test_negative_weights_have_the_sum_of_squares(tmp_path: Path) -> None:
    """TAB-15: also where they cancel."""
    path = tmp_path / "h.root"
    with uproot.recreate(path) as output:
        output["h"] = filled([-2.0, 1.0, -3.0, 100.0, 100.0])
    histogram = read_histogram(path)
    np.testing.assert_array_equal(histogram.values, [-2.0, -2.0, 0.0])
    np.testing.assert_allclose(histogram.errors, [2.0, 10**0.5, 0.0], rtol=1e-15)


def test_cycles(tmp_path: Path) -> None:
    """TAB-15: a name alone is the newest of its cycles; one that does not exist is refused."""
    path = tmp_path / "h.root"
    stored(path, [1.0])
    assert read_histogram(path, "h;1").values.tolist() == [1.0]
    with uproot.update(path) as output:
        output["h"] = (np.array([7.0]), np.array([0.0, 1.0]))
    cycles = {name: read_histogram(path, name).values.tolist() for name in ("h", "h;1", "h;2")}
    assert cycles == {"h": [7.0], "h;1": [1.0], "h;2": [7.0]}
    assert read_histogram(path).values.tolist() == [7.0]
    with pytest.raises(UnknownNameError, match=r"no one-dimensional histogram 'h;3'; there are: h$"):
        read_histogram(path, "h;3")


def test_several_or_no_histograms(tmp_path: Path) -> None:
    """TAB-15: the text names them; two-dimensional ones do not count."""
    path = tmp_path / "h.root"
    with uproot.recreate(path) as output:
        output["plane"] = np.histogram2d([1.0], [1.0])
    with pytest.raises(InputError, match=r"0 one-dimensional histograms \(none\)"):
        read_histogram(path)
    with uproot.update(path) as output:
        output["b"] = output["a"] = np.histogram([1.0])
    with pytest.raises(InputError, match=r"2 one-dimensional histograms \(a, b\); name the one to read"):
        read_histogram(path)


def test_not_finite(tmp_path: Path) -> None:
    """TAB-15: NaN in the file is the file's fault, named with its bin."""
    path = tmp_path / "h.root"
    with uproot.recreate(path) as output:
        output["h"] = (np.array([1.0, np.nan]), np.array([0.0, 1.0, 2.0]))
    with pytest.raises(DocumentError, match=r"histogram 'h' in bin 2 is nan"):
        read_histogram(path)


def test_missing_file(tmp_path: Path) -> None:
    """TAB-15: a missing file and a folder are refused."""
    with pytest.raises(InputError, match=r"none\.root: there is no such file"):
        read_histogram(tmp_path / "none.root")
    with pytest.raises(InputError, match="there is no such file"):
        read_histogram(tmp_path)


def outcome(path: Path) -> list[float] | str:
    try:
        values: list[float] = read_histogram(path).values.tolist()
    except (InputError, UnknownNameError) as error:
        return str(error)
    return values


def test_truncated_file(file: Path, tmp_path: Path) -> None:
    """TAB-15: cut anywhere, it is an error or, where only spare records at the end are lost, the right numbers."""
    content = file.read_bytes()
    damaged = tmp_path / "damaged.root"
    outcomes = []
    for cut in np.linspace(0, len(content) - 1, 60).astype(int).tolist():
        damaged.write_bytes(content[:cut])
        outcomes.append(outcome(damaged))
    assert all(isinstance(o, str) or o == [2.0, 4.0, 0.0] for o in outcomes)
    assert sum(isinstance(o, str) for o in outcomes) >= 5


def test_damaged_file(file: Path, tmp_path: Path) -> None:
    """TAB-15: whichever byte is changed, there is a histogram or an error of one line, never another exception."""
    content = file.read_bytes()
    damaged = tmp_path / "damaged.root"
    outcomes = []
    # The histogram and the directories are in the first part, type descriptions that uproot knows anyway in the rest.
    for position in np.random.default_rng(1).integers(0, 1500, 150).tolist():
        flipped = bytearray(content)
        flipped[position] ^= 0xFF
        damaged.write_bytes(flipped)
        outcomes.append(outcome(damaged))
    assert sum(isinstance(o, str) for o in outcomes) >= 5
    assert not any("\n" in o for o in outcomes if isinstance(o, str))


def test_histograms_that_unpack_to_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """IMP-7: a small file of many zeros is refused before it is unpacked; what is not asked for does not count."""
    path = tmp_path / "zeros.root"
    with uproot.recreate(path, compression=uproot.ZLIB(9)) as file:
        file["large"] = hist.Hist(hist.axis.Regular(100_000, 0, 1))
        file["small"] = hist.Hist(hist.axis.Regular(10, 0, 1))
    monkeypatch.setattr(root, "MAX_BYTES", 1 << 19)
    with root.opened(path) as opened:
        assert [h.name for h in opened.histograms(lambda name: name == "small")] == ["small"]
        with pytest.raises(DocumentError, match="histogram 'large' is of 0 MiB"):
            list(opened.histograms(lambda _: True))
        with pytest.raises(DocumentError, match="no search is that large"):
            opened.histogram("large")
    with pytest.raises(DocumentError, match="no search is that large"):
        root.read_histogram(path, "large")
