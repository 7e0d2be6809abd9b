"""Signals from arrays, histograms, tables and efficiency maps: clauses RIMP-2 to RIMP-5."""

import os
from pathlib import Path
from typing import Any

import boost_histogram as bh
import hist
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from superbin.domain.search import Search
from superbin.errors import DocumentError, InputError
from superbin.io.signals import (
    signal_from_arrays,
    signal_from_histogram,
    signals_from_efficiencies,
    signals_from_root,
    signals_from_table,
)


@pytest.fixture
def search() -> Search:
    return Search.from_arrays(
        "s",
        observed=[1, 2, 3],
        background=[1.0, 2.0, 3.0],
        luminosity_fb=10,
        edges={"met": [200, 300, 500, np.inf]},
        names=["low", "mid", "high"],
    )


def filled(axis: Any = None) -> Any:
    h: Any = hist.Hist(axis or hist.axis.Variable([200, 300, 500, 900]), storage=hist.storage.Weight())
    h.fill([250, 250, 400, 600, 100, 1000], weight=[1.0, 2.0, -0.5, 4.0, 50.0, 60.0])
    return h


def test_arrays(search: Search) -> None:
    """RIMP-2: arrays become a scaled signal, and yields of the wrong shape or sign are refused."""
    made = signal_from_arrays(
        search, [1, 2, 3], [0.1, 0.2, 0.3], model="Z", parameters={"m": 5}, variations={"a": ([2, 2, 2], [1, 1, 1])},
        relative_error=0.1, scale=2,
    )  # fmt: skip
    assert made.label == "Z(5)"
    assert made.search == "s"
    np.testing.assert_allclose(made.yields, [2, 4, 6])
    np.testing.assert_allclose(made.errors, [0.2, 0.4, 0.6])
    np.testing.assert_allclose(made.variations["a"], [[4, 4, 4], [2, 2, 2]])
    assert made.relative_error == 0.1
    for wrong in ([1, 2], [[1, 2, 3]], [1, 2, -3]):
        with pytest.raises(InputError, match="yields of signal 'Z'"):
            signal_from_arrays(search, wrong, model="Z")
    with pytest.raises(InputError, match="scale of signal 'Z' is 0"):
        signal_from_arrays(search, [1, 2, 3], model="Z", scale=0)


def test_histogram(search: Search) -> None:
    """RIMP-2: errors are roots of sums of squared weights; no under- and overflow."""
    h = filled()
    h.view().value[1] = 0.5
    made = signal_from_histogram(search, h, model="Z", variations={"jes": (h * 2, h)})
    np.testing.assert_allclose(made.yields, [3.0, 0.5, 4.0])
    np.testing.assert_allclose(made.errors, [5**0.5, 0.5, 4.0])
    np.testing.assert_allclose(made.variations["jes"][0], [6.0, 1.0, 8.0])
    plain: Any = bh.Histogram(bh.axis.Variable([200, 300, 500, 900]))
    plain.fill([250, 250, 400])
    np.testing.assert_allclose(signal_from_histogram(search, plain, model="Z").errors, [2**0.5, 1, 0])


def test_histogram_of_two_axes() -> None:
    """RIMP-2: the last axis runs fastest."""
    search = Search.from_arrays("s", observed=[0] * 6, background=[1.0] * 6, luminosity_fb=1)
    h: Any = hist.Hist(hist.axis.Regular(2, 0, 2), hist.axis.Regular(3, 0, 3))
    h.fill([0.5, 1.5, 1.5], [2.5, 0.5, 0.5])
    assert signal_from_histogram(search, h, model="Z").yields.tolist() == [0, 0, 1, 2, 0, 0]


def test_wrong_histograms(search: Search) -> None:
    """RIMP-2: wrong bins, wrong edges, missing variances and plain lists are refused."""
    with pytest.raises(InputError, match="has 2 bins; search 's' has 3"):
        signal_from_histogram(search, hist.Hist(hist.axis.Regular(2, 0, 1)), model="Z")
    with pytest.raises(InputError, match="has 4 bins; search 's' has 3"):
        signal_from_histogram(search, hist.Hist(hist.axis.Regular(4, 0, 1)), model="Z")
    other: Any = hist.Hist(hist.axis.Variable([200, 350, 500, 900]))
    with pytest.raises(InputError, match="has bin 1 from 200 to 350; search 's' has it from 200 to 300"):
        signal_from_histogram(search, other, model="Z")
    weighted: Any = hist.Hist(hist.axis.Integer(0, 3))
    weighted.fill([0, 1], weight=[0.5, 2.0])
    with pytest.raises(InputError, match="has no variances"):
        signal_from_histogram(search, weighted, model="Z")
    made = signal_from_histogram(search, weighted, model="Z", errors=[0.5, 2.0, 0.0])
    assert made.errors.tolist() == [0.5, 2.0, 0.0]
    with pytest.raises(InputError, match="is a list without values"):
        signal_from_histogram(search, [1, 2, 3], model="Z")


def test_root_grid(search: Search, tmp_path: Path) -> None:
    """RIMP-3: one signal per histogram, with its masses, and its variations."""
    path = tmp_path / "grid.root"
    expected = {}
    with uproot.recreate(path) as file:
        file["other"] = np.histogram([1.0])
        for mother in (1000, 1200):
            for lsp in (1, 100):
                h = filled()
                h.view().value[:] = [mother, lsp, 1]
                file[f"sig/T1_{mother}_{lsp}"] = h
                file[f"sig/T1_{mother}_{lsp}_jesUp"] = h * 1.5
                file[f"sig/T1_{mother}_{lsp}_jesDown"] = h * 0.5
                expected[mother, lsp] = np.array([mother, lsp, 1.0])
    signals = signals_from_root(path, search, pattern=r"sig/T1_(\d+)_(\d+)", scale=2)
    found = {tuple(s.parameters.values()): s for s in signals}
    assert found.keys() == expected.keys()
    for point, values in expected.items():
        made = found[point]
        assert made.model == "T1"
        assert list(made.parameters) == ["m_mother", "m_lsp"]
        np.testing.assert_allclose(made.yields, 2 * values)
        np.testing.assert_allclose(made.errors, 2 * np.sqrt([5, 0.25, 16]))
        np.testing.assert_allclose(made.variations["jes"], [3 * values, values])


def test_root_faults(search: Search, tmp_path: Path) -> None:
    """RIMP-3: one-sided variations, wrong bins and bad patterns are refused."""
    path = tmp_path / "grid.root"
    with uproot.recreate(path) as file:
        file["a_1"] = filled()
        file["a_1_jesUp"] = filled()
        file["b_1"] = np.histogram([1.0])
        file["c_1_jesUp"] = filled()
        file["c_1_jesDown"] = filled()
    with pytest.raises(InputError, match="'a_1' is varied by jes up only"):
        signals_from_root(path, search, pattern=r"a_(\d+)")
    with pytest.raises(InputError, match="'b_1' has 10 bins; search 's' has 3"):
        signals_from_root(path, search, pattern=r"b_(\d+)")
    with pytest.raises(InputError, match="c_1 has systematic variations and no nominal"):
        signals_from_root(path, search, pattern=r"c_(\d+)")
    with pytest.raises(InputError, match="no histogram's name matches 'x'; there are a_1"):
        signals_from_root(path, search, pattern="x")
    with pytest.raises(InputError, match="is not a regular expression"):
        signals_from_root(path, search, pattern="(")


TABLE = """m,bin,yield,error,jes_up,jes_down
500,low,1.5,0.1,2,1
500,3,2.5,0.2,3,2
# a comment
600,2,4,0.4,5,3
"""


def check_table(path: Path, search: Search) -> None:
    first, second = signals_from_table(path, search, model="Z", parameters=["m"])
    assert (first.label, second.label) == ("Z(500)", "Z(600)")
    assert first.yields.tolist() == [1.5, 0, 2.5]
    assert first.errors.tolist() == [0.1, 0, 0.2]
    assert first.variations["jes"][1].tolist() == [1, 0, 2]
    assert second.yields.tolist() == [0, 4, 0]


def test_tables(search: Search, tmp_path: Path) -> None:
    """RIMP-4: CSV and Parquet give the same."""
    (tmp_path / "t.csv").write_text(TABLE)
    check_table(tmp_path / "t.csv", search)
    columns = {
        "m": [500, 500, 600], "bin": ["low", "3", "2"], "yield": [1.5, 2.5, 4.0], "error": [0.1, 0.2, 0.4],
        "jes_up": [2.0, 3.0, 5.0], "jes_down": [1.0, 2.0, 3.0],
    }  # fmt: skip
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    check_table(tmp_path / "t.parquet", search)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bin,yield\n1,2\n1,3\n", "row 2: low of Z comes twice"),
        ("bin,yield\n4,2\n", "row 1: bin '4' does not exist; search 's' has bins 1 to 3, named 'low'"),
        ("bin,yield\n1,x\n", "row 1: yield 'x' is not a finite number"),
        ("bin,yield\n1,nan\n", "row 1: yield 'nan' is not a finite number"),
        ("bin,yield\n1,-2\n", "in bin 1 is -2"),
        ("bin,yield\n1\n", "row 1: 1 cell for 2 columns"),
        ("bin,yield,extra\n1,2,3\n", "unknown column 'extra'"),
        ("bin,yield,jes_up\n1,2,3\n", "'jes_up' lacks its other side"),
        ("bin,value\n1,2\n", "no column 'yield'"),
        ("bin,yield\n", "has no rows"),
        ("bin,bin\n1,2\n", "two columns have the same name"),
    ],
)
def test_faulty_tables(text: str, message: str, search: Search, tmp_path: Path) -> None:
    """RIMP-4: a faulty CSV table is refused with its row or column."""
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DocumentError, match=message):
        signals_from_table(tmp_path / "t.csv", search, model="Z")


def test_faulty_parquet(search: Search, tmp_path: Path) -> None:
    """RIMP-4: a missing, broken or incomplete Parquet file is refused."""
    path = tmp_path / "t.parquet"
    with pytest.raises(InputError, match="there is no such file"):
        signals_from_table(path, search, model="Z")
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(DocumentError, match="not a readable Parquet file"):
        signals_from_table(path, search, model="Z")
    pq.write_table(pa.table({"bin": [1], "yield": [None]}), path)
    with pytest.raises(DocumentError, match="row 1: yield"):
        signals_from_table(path, search, model="Z")


@pytest.mark.parametrize("bomb", ["rows", "text", "lists"])
def test_parquet_bombs(bomb: str, search: Search, tmp_path: Path) -> None:
    """RIMP-4: a table that is small on disk and unpacks to gigabytes is refused before it does."""
    path = tmp_path / "t.parquet"
    if bomb == "rows":
        many = 2_500_000
        table = pa.table(
            {"bin": pa.array(np.ones(many, dtype="i1")), "yield": pa.array(np.zeros(many, dtype="f4"))}
        )
        message = "5000000 cells"
    elif bomb == "text":
        table = pa.table({"bin": pa.array(["low" * 100_000] * 1000), "yield": pa.array(np.zeros(1000))})
        message = "'bin' has a text of 300000 bytes"
    else:
        table = pa.table({"bin": [1], "yield": [[1.0] * 1000]})
        message = "'yield' is of type list"
    pq.write_table(table, path, compression="zstd")
    assert path.stat().st_size < 100_000
    with pytest.raises(DocumentError, match=message):
        signals_from_table(path, search, model="Z")


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.root"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_signals_of_no_file(name: str, kind: str, search: Search, tmp_path: Path) -> None:
    """RIMP-4, RIMP-3: a pipe or a device is refused, and not waited for."""
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(DocumentError, match="a device, a pipe or a socket; name a file"):
        if name.endswith("root"):
            signals_from_root(path, search, pattern=r"Z(\d+)_(\d+)")
        else:
            signals_from_table(path, search, model="Z")


def test_efficiencies(search: Search) -> None:
    """RIMP-5: 0.1 x 0.02 pb x 1000 x 10 fb^-1 = 20 events."""
    one, two = signals_from_efficiencies(
        search,
        [(1000, 1), (1100, 1)],
        [[0.1, 0.0, 0.2], [0.1, 0.1, 0.1]],
        [0.02, 0.01],
        model="T1",
        errors=[[0.01, 0.0, 0.0], [0.0, 0.0, 0.0]],
        relative_error=0.15,
    )
    np.testing.assert_allclose(one.yields, [20, 0, 40])
    np.testing.assert_allclose(one.errors, [2, 0, 0])
    np.testing.assert_allclose(two.yields, [10, 10, 10])
    assert (one.cross_section_pb, one.relative_error, two.label) == (0.02, 0.15, "T1(1100, 1)")
    with pytest.raises(InputError, match=r"efficiency of T1\(1000, 1\) in bin 2 is 1.5"):
        signals_from_efficiencies(search, [(1000, 1)], [[0, 1.5, 0]], 1.0, model="T1")
    with pytest.raises(InputError, match="efficiencies have shape"):
        signals_from_efficiencies(search, [(1000, 1)], [[0, 0]], 1.0, model="T1")
