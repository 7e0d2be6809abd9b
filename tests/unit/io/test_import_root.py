"""ROOT files of histograms as searches: clauses RIMP-13 and RIMP-14. The files are written here by uproot."""

from pathlib import Path
from typing import Any

import hist
import numpy as np
import pytest
import uproot

from superbin.errors import DocumentError, InputError
from superbin.io.imports import Imported, Options, read, recognise

EDGES = [200, 300, 500, 900]


def shape(values: Any, errors: Any = None, *, outside: float = 0.0, name: str = "met") -> Any:
    axis = hist.axis.Variable(EDGES, name=name, label=name)
    h: Any = hist.Hist(axis, storage=hist.storage.Weight())
    h.view().value[:] = values
    h.view().variance[:] = np.square(np.sqrt(np.abs(values)) if errors is None else errors)
    h.view(flow=True).value[-1] = outside
    return h


def matrix(values: Any) -> Any:
    n = len(values)
    return hist.Hist(
        hist.axis.Regular(n, 0, n), hist.axis.Regular(n, 0, n), data=np.array(values, dtype=float)
    )


def write(path: Path, **items: Any) -> Path:
    with uproot.recreate(path) as file:
        for name, item in items.items():
            file[name.replace("__", "/")] = item
    return path


def imported(path: Path, **mapping: Any) -> Imported:
    return read(path, options=Options(luminosity_fb=36.0, mapping=mapping))


def test_recognised_by_names(tmp_path: Path) -> None:
    """RIMP-13, RIMP-14: data, backgrounds with variations, covariance, and a grid of signals."""
    cov = [[4, 1, 0], [1, 2, 0], [0, 0, 1]]
    signals = {f"T1_{m}_{x}": shape([m / 1000, x, 1]) for m in (1000, 1200) for x in (1, 100)}
    path = write(
        tmp_path / "in.root",
        data_obs=shape([12, 5, 0], outside=3.0),
        zinv=shape([8, 3, 0.5], [0.4, 0.3, 0.1]),
        zinv_jesUp=shape([9, 3.5, 0.4]),
        zinv_jesDown=shape([7.5, 3.2, 0.7]),
        zinv_pdfUp=shape([8.3, 3, 0.5]),
        zinv_pdfDown=shape([7.6, 3, 0.5]),
        top=shape([2, 1, 0.25], [0.1, 0.1, 0.1]),
        total_background=shape([10, 4, 0.75]),
        covariance=matrix(cov),
        **signals,
    )
    kind = recognise(path)
    assert kind is not None
    assert kind.name == "root"
    got = imported(path)
    search = got.bundle.search
    assert search.observed.tolist() == [12, 5, 0]
    assert [o.name for o in search.observables] == ["met"]
    assert search.low[:, 0].tolist() == EDGES[:-1]
    assert search.high[:, 0].tolist() == EDGES[1:]
    found = {p.name: p.estimate for p in search.processes}
    assert found.keys() == {"zinv", "top"}
    zinv = found["zinv"]
    np.testing.assert_allclose(zinv.stat_up, [0.4, 0.3, 0.1])
    # Bin 1: jes +1 -0.5, pdf +0.3 -0.4. Bin 2: jes +0.5 +0.2, the larger counts. Bin 3: jes down is above.
    np.testing.assert_allclose(zinv.syst_up, [1.09**0.5, 0.5, 0.2])
    np.testing.assert_allclose(zinv.syst_down, [0.41**0.5, 0, 0.1])
    assert search.covariance is not None
    assert search.covariance.up.tolist() == cov
    assert {s.label: s.yields.tolist() for s in got.bundle.signals} == {
        f"T1({m}, {x})": [m / 1000, x, 1] for m in (1000, 1200) for x in (1, 100)
    }
    text = "\n".join(got.notes)
    assert "total_background: the sum of the other backgrounds, not counted again" in text
    assert "data_obs has 3 there" in text
    assert "zinv: a background, varied by jes, pdf" in text


def test_mapping(tmp_path: Path) -> None:
    """RIMP-13: names, errors and signals as the mapping says."""
    path = write(
        tmp_path / "in.root",
        a__N=shape([12, 5, 0]),
        a__b1=shape([8, 3, 1]),
        a__b2=shape([2, 1, 1]),
        a__b1_unc=shape([0.8, 0.3, 0.1]),
        a__M=matrix(np.eye(3)),
        a__sgn_3_10=shape([1, 1, 1]),
        a__zzz=shape([7, 7, 7]),
    )
    got = imported(
        path, folder="a", observed="N", backgrounds=["b1", "b2"], errors={"b1": "b1_unc"}, covariance="M",
        signals=r"sgn_(\d+)_(\d+)", model="stau", parameters=["m", "ctau"], observables=["HT [GeV]"],
    )  # fmt: skip
    search = got.bundle.search
    assert [p.name for p in search.processes] == ["b1", "b2"]
    np.testing.assert_allclose(search.processes[0].estimate.stat_up, [0.8, 0.3, 0.1])
    assert search.processes[1].estimate.stat_up.tolist() == [0, 0, 0]
    assert search.covariance is not None
    assert search.observables[0].name == "ht"
    (signal,) = got.bundle.signals
    assert (signal.label, dict(signal.parameters)) == ("stau(3, 10)", {"m": 3, "ctau": 10})
    assert "ignored: b1_unc, zzz" in got.notes
    assert [
        p.name for p in imported(path, folder="a", observed="N", backgrounds=r"b\d").bundle.search.processes
    ] == ["b1", "b2"]
    none = imported(path, folder="a", observed="N", backgrounds=["b1"], errors="none").bundle.search
    assert none.processes[0].estimate.stat_up.tolist() == [0, 0, 0]


def test_two_dimensions_and_counts(tmp_path: Path) -> None:
    """RIMP-14: the last axis runs fastest; [2, 3) and [3, 6) of a count are 2 and 3 to 5."""
    axes: Any = [hist.axis.Regular(2, 0, 100, label="met"), hist.axis.Variable([2, 3, 6], label="njet")]
    data: Any = hist.Hist(*axes, data=np.array([[1, 2], [3, 4]], dtype=float))
    path = write(tmp_path / "in.root", data=data, bkg=hist.Hist(*axes, data=np.full((2, 2), 2.5)))
    search = imported(path).bundle.search
    assert search.observed.tolist() == [1, 2, 3, 4]
    assert search.low.tolist() == [[0, 2], [0, 3], [50, 2], [50, 3]]
    assert search.high.tolist() == [[50, 2], [50, 5], [100, 2], [100, 5]]


def test_labels_and_correlations(tmp_path: Path) -> None:
    """RIMP-13, RIMP-14: a labelled axis gives names; correlations take the errors of the background."""
    axis = hist.axis.StrCategory(["SRa", "SRb"])
    data: Any = hist.Hist(axis)
    bkg: Any = hist.Hist(axis, storage=hist.storage.Weight())
    data.values()[...] = [3, 4]
    bkg.view().value[:], bkg.view().variance[:] = [2, 5], [4, 9]
    search = imported(
        write(tmp_path / "in.root", data=data, bkg=bkg, corr=matrix([[1, 0.5], [0.5, 1]]))
    ).bundle.search
    assert search.names == ("SRa", "SRb")
    assert search.observables == ()
    assert search.covariance is not None
    np.testing.assert_allclose(search.covariance.up, [[4, 3], [3, 9]])


@pytest.mark.parametrize(
    ("items", "mapping", "message"),
    [
        ({"data": shape([0.2, 0.5, 0.3]), "b": shape([1, 1, 1])}, {}, "3 faults: data is 0.2 in bin 1.*normalised"),
        ({"data": shape([1, -1, 2]), "b": shape([1, -2, 1])}, {}, "2 faults: .*-1 or the like marks a missing bin.*b is -2 in bin 2"),
        ({"b": shape([1, 1, 1]), "c": shape([1, 1, 1])}, {}, "no histogram is called data, data_obs or observed; there are b, c"),
        ({"T1_1000_1": shape([1, 1, 1])}, {}, "look like signals: read them with superbin.io.signals.signals_from_root"),
        ({"cov": matrix(np.eye(3))}, {}, "only TH2, covariances perhaps"),
        ({"a__data": shape([1, 1, 1]), "b__data": shape([1, 1, 1])}, {}, 'a/data, b/data may all be.*"folder"'),
        ({"data": shape([1, 1, 1])}, {}, "no background with the"),
        ({"data": shape([1, 1, 1]), "b": shape([1, 1, 1])}, {"backgrounds": ["x"]}, "no histogram 'x', which the mapping names"),
        ({"data": shape([1, 1, 1]), "b": shape([1, 1, 1])}, {"folder": "x"}, "no histogram in folder 'x'"),
        ({"data": shape([1, 1, 1]), "b": shape([1, 1, 1])}, {"bins": 3}, "nothing reads the key 'bins'"),
        ({"data": shape([1, 1, 1]), "b": shape([1, 1, 1])}, {"signals": "("}, "is not a regular expression"),
        (
            {"data": shape([1, 1, 1]), "b": shape([1, 1, 1]), "c": shape([1, 1, 1]), "total": shape([9, 9, 9])},
            {},
            "total looks like the total background and is not the sum of b, c",
        ),
        (
            {"data": shape([1, 1, 1]), "b": shape([1, 1, 1]), "cov": matrix([[1, 2, 0], [2, 1, 0], [0, 0, 1]])},
            {},
            "cov: the covariance up of bins",
        ),
    ],
)  # fmt: skip
def test_what_is_no_search(items: Any, mapping: Any, message: str, tmp_path: Path) -> None:
    """RIMP-13, RIMP-14: refused in one line, with advice."""
    path = write(tmp_path / "in.root", **items)
    with pytest.raises(InputError, match=message) as error:
        imported(path, **mapping)
    assert "\n" not in str(error.value)


def outcome(path: Path) -> str:
    try:
        imported(path)
    except (InputError, DocumentError) as error:
        return str(error)
    return "read"


def test_trees_and_damage(tmp_path: Path) -> None:
    """RIMP-14: a file of events is told what to do with them; a cut file is an error of one line."""
    path = tmp_path / "t.root"
    with uproot.recreate(path) as file:
        file.mktree("events", {"met": np.dtype("f8")}).extend({"met": np.array([1.0])})
    with pytest.raises(InputError, match=r"tree 'events' holds events: .*signal_from_tree"):
        imported(path)
    content = write(tmp_path / "in.root", data=shape([1, 1, 1]), b=shape([1, 1, 1])).read_bytes()
    outcomes = []
    for cut in range(4, len(content), len(content) // 60):
        path.write_bytes(content[:cut])
        outcomes.append(outcome(path))
    assert not any("\n" in text for text in outcomes)
    assert sum(text != "read" for text in outcomes) >= 5


def test_channels_in_names(tmp_path: Path) -> None:
    """RIMP-15: of several channels the one whose observed counts are named; names without it."""
    path = write(
        tmp_path / "in.root",
        SR_data=shape([12, 5, 0]),
        SR_zinv=shape([8, 3, -0.5]),
        SR_signal=shape([1, 1, 1]),
        CR_data=shape([120, 50, 3]),
        CR_zinv=shape([80, 30, 2]),
        covariance=matrix(np.diag([4.0, 1.0, 1.0])),
    )
    with pytest.raises(InputError, match=r"SR_data, CR_data may all be the observed counts"):
        imported(path)
    with pytest.raises(DocumentError, match=r'zinv is -0.5 in bin 3.*"negative"'):
        imported(path, observed="SR_data")
    bundle = imported(path, observed="SR_data", negative="zero").bundle
    assert [(p.name, p.estimate.nominal.tolist()) for p in bundle.search.processes] == [("zinv", [8, 3, 0])]
    assert bundle.search.covariance is not None
    assert [s.label for s in bundle.signals] == ["signal"]


def test_matrix_of_another_file(tmp_path: Path) -> None:
    """IMP-5, RIMP-13: a covariance in a ROOT file beside a table or histograms, by FILE.root:NAME."""
    write(tmp_path / "cov.root", a=matrix([[4, 1], [1, 9]]), corr=matrix([[1, 0.5], [0.5, 1]]))
    (tmp_path / "t.csv").write_text("bin,observed,background,error\n1,12,10,2\n2,3,4,3\n")
    for mapping, expected in (
        ({"covariance": "cov.root:a"}, [[4, 1], [1, 9]]),
        ({"correlations": "cov.root:corr"}, [[4, 3], [3, 9]]),
    ):
        covariance = imported(tmp_path / "t.csv", **mapping).bundle.search.covariance
        assert covariance is not None
        assert covariance.up.tolist() == expected
    with pytest.raises(InputError, match="no TH2 ''; there are a, corr; name one as FILE.root:NAME"):
        imported(tmp_path / "t.csv", covariance="cov.root")
    write(tmp_path / "three.root", m=matrix(np.diag([4, 9, 1])))
    path = write(tmp_path / "in.root", data=shape([1, 1, 0]), b=shape([1, 1, 1]))
    covariance = imported(path, covariance="three.root").bundle.search.covariance
    assert covariance is not None
    assert covariance.up.tolist() == [[4, 0, 0], [0, 9, 0], [0, 0, 1]]
    with pytest.raises(InputError, match="no histogram 'x'"):
        imported(path, covariance="x")


MANY_AXES = Path(__file__).parents[2] / "data" / "many_axes.root"
"""Written by ROOT 6.40: a THnSparseD without and a THnD and a THnSparseF with squared weights, of the events listed below."""


def test_many_axes() -> None:
    """RIMP-13, RIMP-14: THn and THnSparse, cell by cell, with the errors of their weights; the last axis runs fastest."""
    found = imported(MANY_AXES)
    search = found.bundle.search
    assert [(o.name, o.discrete) for o in search.observables] == [
        ("njet", True),
        ("met", False),
        ("nb", True),
    ]
    assert search.n_bins == 12
    # njet 2 to 3 or 4 to 9, three ranges of met, nb 0 or 1 to 4.
    place = {(a, b, c): 6 * a + 2 * b + c for a in range(2) for b in range(3) for c in range(2)}
    observed, top, zinv = np.zeros((3, 12))
    top_squares, zinv_squares = np.zeros((2, 12))
    observed[place[0, 0, 0]], observed[place[1, 2, 1]] = 2, 1
    top[place[0, 0, 0]], top[place[1, 1, 1]], top[place[1, 2, 1]] = 2.0, 2.0, 0.25
    top_squares[place[0, 0, 0]], top_squares[place[1, 1, 1]], top_squares[place[1, 2, 1]] = 2.5, 4.0, 0.0625
    zinv[place[0, 1, 0]], zinv[place[1, 2, 1]] = 0.75, 1.5
    zinv_squares[place[0, 1, 0]], zinv_squares[place[1, 2, 1]] = 0.5625, 1.25
    assert search.observed.tolist() == observed.tolist()
    by_name = {p.name: p.estimate for p in search.processes}
    np.testing.assert_allclose(by_name["top"].nominal, top)
    np.testing.assert_allclose(by_name["top"].stat_up, np.sqrt(top_squares))
    np.testing.assert_allclose(by_name["zinv"].nominal, zinv)
    np.testing.assert_allclose(by_name["zinv"].stat_up, np.sqrt(zinv_squares))
    assert search.low[0].tolist() == [2, 200, 0]
    assert search.high[-1].tolist() == [9, 900, 4]
    assert any("data has 1 there" in note and "zinv has 1 there" in note for note in found.notes)


def test_many_axes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """IMP-7: a THnSparse with few entries may stand for more cells than any memory holds."""
    monkeypatch.setattr("superbin.io.root._MOST_CELLS", 79)
    with pytest.raises(DocumentError, match="has 80 cells in 3 dimensions; at most 79 are read, project it"):
        imported(MANY_AXES)


def test_unreadable_backgrounds_are_named(tmp_path: Path) -> None:
    """RIMP-13: where every background is broken the refusal says which and how."""
    path = write(tmp_path / "t.root", data=shape([12, 3, 1]), top=shape([1, np.nan, 1], [1, 1, 1]))
    with pytest.raises(DocumentError, match=r"can be read; histogram 'top' in bin 2 is nan"):
        imported(path)
