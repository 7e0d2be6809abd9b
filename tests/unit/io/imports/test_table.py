"""Tables with a row per bin, and the covariance beside them."""

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superbin.errors import DocumentError, InputError
from superbin.io.imports import Options, read, recognise
from superbin.io.imports.matrices import as_matrix, read_matrix

PLAIN = "bin,observed,background,error\n1,12,10.5,2.5\n2,3,4.25,1.5\n"


def imported(path: Path, text: str | bytes, **mapping: Any) -> Any:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, options=Options(luminosity_fb=10.0, mapping=mapping))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.csv", PLAIN),
        ("bom.csv", "\ufeff" + PLAIN),
        ("crlf.csv", PLAIN.replace("\n", "\r\n")),
        ("mac.csv", PLAIN.replace("\n", "\r")),
        ("quoted.csv", '"bin","observed","background","error"\n"1","12","10.5","2.5"\n2, 3, "4.25",1.5\n'),
        ("german.csv", "bin;observed;background;error\n1;12;10,5;2,5\n2;3;4,25;1,5\n"),
        ("points.csv", "bin;observed;background;error\n1;12;10.5;2.5\n2;3;4.25;1.5\n"),
        ("tabs.tsv", PLAIN.replace(",", "\t")),
        ("blanks.txt", "SR  obs  bkg  bkg_err\n1   12   10.5 2.5\n2   3    4.25 1.5\n"),
        ("comment.dat", "# bin obs bkg bkg_err\n1 12 10.5 2.5\n2 3 4.25 1.5\n"),
        ("order.csv", "Background,Error,Data\n10.5,2.5,12\n4.25,1.5,3\n"),
        ("stored.csv", PLAIN.replace("12", "12.000000238")),
    ],
)
def test_spellings(name: str, text: str, tmp_path: Path) -> None:
    """IMP-4: the same search however the table is written."""
    search = imported(tmp_path / name, text).bundle.search
    assert search.observed.tolist() == [12, 3]
    estimate = search.processes[0].estimate
    assert estimate.nominal.tolist() == [10.5, 4.25]
    assert estimate.syst_up.tolist() == estimate.syst_down.tolist() == [2.5, 1.5]
    assert search.names == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cells.csv", "region,Obs.,Bkg. (total)\nA,12,10.5 ± 2.5\nB,3,4.25 +2.0 -1.0\n"),
        ("latex.csv", "region,data (139 fb-1),background\nA,12,$10.5 \\pm 2.5$\nB,3,$4.25^{+2.0}_{-1.0}$\n"),
        ("down.csv", "region,observed,background\nA,12,10.5 +- 2.5\nB,3,$4.25_{-1.0}^{+2.0}$\n"),
        ("german.csv", "sep=;\nregion;observed;background\nA;12;10,5 ± 2,5\nB;3;4,25 +2,0/-1,0\n"),
        ("percent.csv", "region,observed,background,error up,error down\nA,12,10.5,2.5,2.5\nB,3,4.25,2,23.529411764705882%\n"),
        ("bars.txt", "| region | observed | background |\n|---|---:|---|\n| A | 12 | 10.5 +/- 2.5 |\n| B | 3 | 4.25 +2 -1 |\n"),
        ("comma.csv", "region,observed,background,error up,error down,\nA,12,10.5,2.5,2.5,\nB,3,4.25,2,1,\n"),
    ],
)  # fmt: skip
def test_values_with_errors(name: str, text: str, tmp_path: Path) -> None:
    """IMP-4: cells with a value and its errors, in plain text or LaTeX, per cent, tables with bars, remarks in names."""
    search = imported(tmp_path / name, text).bundle.search
    assert (search.names, search.observed.tolist()) == (("A", "B"), [12, 3])
    estimate = search.processes[0].estimate
    assert estimate.nominal.tolist() == [10.5, 4.25]
    np.testing.assert_allclose(estimate.syst_up, [2.5, 2], rtol=1e-12)
    np.testing.assert_allclose(estimate.syst_down, [2.5, 1], rtol=1e-12)


COLUMNS = {"region": ["A", "B"], "observed": [12, 3], "background": [10.5, 4.25], "error": [2.5, 1.5]}


def test_json(tmp_path: Path) -> None:
    """IMP-4: the same table as an object of columns or a list of objects, with what belongs to it."""
    more = {"luminosity": "139/fb", "title": "Mine", "covariance": [[4, 1], [1, 9]], "signal": [1, 2]}
    rows = [dict(zip(COLUMNS, values, strict=True)) for values in zip(*COLUMNS.values(), strict=True)]
    for content in (COLUMNS | more, rows):
        (tmp_path / "t.json").write_text(json.dumps(content))
        bundle = read(
            tmp_path / "t.json", options=Options(luminosity_fb=None if content is not rows else 139.0)
        ).bundle
        search = bundle.search
        assert (search.names, search.observed.tolist(), search.luminosity_fb) == (("A", "B"), [12, 3], 139)
        assert search.processes[0].estimate.syst_up.tolist() == [2.5, 1.5]
    assert search.covariance is None
    full = read_json(tmp_path, COLUMNS | more)
    assert full.bundle.search.covariance.up.tolist() == [[4, 1], [1, 9]]
    assert (full.bundle.search.title, full.bundle.signals[0].yields.tolist()) == ("Mine", [1, 2])


def read_json(folder: Path, content: Any) -> Any:
    return imported(folder / "t.json", json.dumps(content))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observed": [12, 3.5], "error": [-1, "x"]}, "3 faults: row 2: observed is 3.5.*row 1: error is -1.*row 2: error 'x'"),
        ({"observed": [12]}, "different numbers of values: 'region' 2, 'observed' 1"),
        ({"error": [[1], [2]]}, "column 'error' holds values that are neither numbers nor texts"),
        ({"covariance": [[1]]}, "matrix is of 1 bin and the table has 2"),
        ({"luminosity": "many"}, "luminosity_fb is 'many'"),
    ],
)  # fmt: skip
def test_wrong_json(changes: Any, message: str, tmp_path: Path) -> None:
    """IMP-2, IMP-4: refused with the row or the column."""
    with pytest.raises(DocumentError, match=message):
        read_json(tmp_path, COLUMNS | changes)


def test_csv_of_hepdata(tmp_path: Path) -> None:
    """IMP-2: what hepdata.net writes as CSV repeats names of columns; its YAML is asked for."""
    text = "#: name: Table 1\n#: data_file: t.yaml\nMET,MET LOW,MET HIGH,Data,stat +,stat -,Total SM,stat +,stat -\n1,0,2,3,1,-1,2,1,-1\n"
    with pytest.raises(DocumentError, match="hepdata.net's CSV, import the YAML or JSON of the table"):
        imported(tmp_path / "t.csv", text)


def test_gzip(tmp_path: Path) -> None:
    """IMP-4: packed by gzip, the ending before ``.gz`` counts."""
    result = imported(tmp_path / "mine.csv.gz", gzip.compress(PLAIN.encode()))
    assert (result.kind, result.bundle.search.name) == ("csv", "mine")


@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 10**6), st.floats(0, 1e6, allow_nan=False), st.floats(0, 1e5, allow_nan=False)
        ),
        min_size=1,
        max_size=6,
    ),
    separator=st.sampled_from([",", ";", "\t"]),
    comma=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_numbers_come_through(
    rows: list[tuple[int, float, float]],
    separator: str,
    comma: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """IMP-4: what is written in full digits is read to the last bit, with either decimal sign."""
    comma = comma and separator != ","
    cells = [(str(n), repr(b), repr(e)) for n, b, e in rows]
    text = "\n".join(separator.join(row) for row in [("observed", "background", "error"), *cells])
    if comma:
        text = text.replace(".", ",")
    path = tmp_path_factory.mktemp("table") / "t.csv"
    search = imported(path, text, **({"decimal": ","} if comma else {})).bundle.search
    assert search.observed.tolist() == [n for n, _, _ in rows]
    assert search.processes[0].estimate.nominal.tolist() == [b for _, b, _ in rows]
    assert search.processes[0].estimate.syst_up.tolist() == [e for _, _, e in rows]


def test_asymmetric_and_parts(tmp_path: Path) -> None:
    """IMP-4: columns of both sides and of kinds; a downward error may carry its sign."""
    text = "obs,bkg,bkg stat,bkg syst up,bkg syst down\n3,4,1,0.5,-0.25\n"
    estimate = imported(tmp_path / "t.csv", text).bundle.search.processes[0].estimate
    assert [float(getattr(estimate, k)[0]) for k in ("stat_up", "stat_down", "syst_up", "syst_down")] == [
        1,
        1,
        0.5,
        0.25,
    ]


def test_several_backgrounds(tmp_path: Path) -> None:
    """IMP-4: without a total every column with an error is a background; the mapping may name them."""
    text = "obs,top,top_err,w,w_err,note\n3,2,1,1.5,0.5,7\n"
    search = imported(tmp_path / "t.csv", text).bundle.search
    assert [p.name for p in search.processes] == ["top", "w"]
    one = imported(tmp_path / "t.csv", text, columns={"background": {"wjets": "w"}}).bundle.search
    assert [(p.name, p.estimate.syst_up.tolist()) for p in one.processes] == [("wjets", [0.5])]


def test_signals_are_no_backgrounds(tmp_path: Path) -> None:
    """IMP-4: columns named as signals are none of the backgrounds; a total beside its parts is not counted twice."""
    text = "obs;top;top_err;w;w_err;T1bbbb(1000,100);T1bbbb(1000,100)_err\n3;2;1;1.5;0.5;7;1\n"
    bundle = imported(tmp_path / "t.csv", text).bundle
    assert [p.name for p in bundle.search.processes] == ["top", "w"]
    assert [(s.label, s.yields.tolist(), s.errors.tolist()) for s in bundle.signals] == [
        ("T1bbbb(1000, 100)", [7], [1])
    ]
    twice = "obs,top,top_err,w,w_err,all,all_err\n3,2,1,1.5,0.5,3.5,1\n4,1,1,2,0.5,3,1\n"
    with pytest.raises(DocumentError, match="'all' is the sum of the others"):
        imported(tmp_path / "u.csv", twice)


SIGNALS = (
    "region,observed,background,error,T1_1500_100,T1_1500_100_error,T1_1500_100_jes_up,T1_1500_100_jes_down,"
    '"T1(1500, 1000)",signal,signal syst,signal stat,signal efficiency\n'
    "A,3,2,1,0.5,0.05,0.6,0.45,1,2,0.3,0.1,0.01\nB,4,2,1,1.5,0.15,1.6,1.25,4,0.2,0.3,0.1,0.02\n"
)


def test_columns_of_signals(tmp_path: Path) -> None:
    """IMP-11: events of signals beside the bins, with Monte Carlo errors and systematic variations."""
    result = imported(tmp_path / "t.csv", SIGNALS)
    found = {s.label: s for s in result.bundle.signals}
    assert found.keys() == {"T1(1500, 100)", "T1(1500, 1000)", "signal"}
    first = found["T1(1500, 100)"]
    assert dict(first.parameters) == {"m_mother": 1500, "m_lsp": 100}
    assert (first.yields.tolist(), first.errors.tolist()) == ([0.5, 1.5], [0.05, 0.15])
    assert [side.tolist() for side in first.variations["jes"]] == [[0.6, 1.6], [0.45, 1.25]]
    signal = found["signal"]
    assert signal.errors.tolist() == [0.1, 0.1]
    # Distances: 2 +- 0.3 and 0.2 +- 0.3, which is no less than nothing.
    np.testing.assert_allclose(signal.variations["syst"], [[2.3, 0.5], [1.7, 0.0]])
    assert "column 'signal efficiency': not used; looks like a signal" in result.notes
    (named,) = imported(
        tmp_path / "t.csv", SIGNALS, columns={"signals": {"stop 300": "signal"}}
    ).bundle.signals
    assert (named.label, dict(named.parameters)) == ("stop(300)", {"p1": 300})
    assert imported(tmp_path / "t.csv", SIGNALS, columns={"signals": []}).bundle.signals == ()


def test_faults_of_signals(tmp_path: Path) -> None:
    """IMP-11, IMP-2: all in one report; two columns of one point are refused."""
    text = SIGNALS.replace(",0.45,", ",-0.45,").replace(",1.5,0.15,", ",-1.5,0.15,")
    with pytest.raises(
        DocumentError, match="2 faults: line 3: T1_1500_100 is -1.5.*line 2: T1_1500_100_jes_down"
    ):
        imported(tmp_path / "t.csv", text)
    with pytest.raises(
        DocumentError, match="signal T1_1500_100 has a column jes up and none for the other side"
    ):
        imported(tmp_path / "t.csv", SIGNALS.replace("T1_1500_100_jes_down", "note"))
    with pytest.raises(DocumentError, match=r"signal T1\(1500, 100\) comes twice"):
        imported(tmp_path / "t.csv", SIGNALS.replace("1500, 1000", "1500, 100"))


def test_mapping_names_columns(tmp_path: Path) -> None:
    """IMP-3: columns of any name by a mapping; an unknown key or column is refused."""
    text = "N,B,dB,S95\n3,2,1,7\n"
    columns = {"observed": "N", "background": "B", "error": "dB", "ignore": ["S95"]}
    result = imported(tmp_path / "t.csv", text, columns=columns)
    assert result.bundle.search.processes[0].estimate.syst_down.tolist() == [1]
    assert "column 'S95': ignored, as the mapping says" in result.notes
    with pytest.raises(InputError, match="nothing reads columns.data"):
        imported(tmp_path / "t.csv", text, columns={"data": "N"})
    with pytest.raises(InputError, match="observed is column 'M'"):
        imported(tmp_path / "t.csv", text, columns={"observed": "M"})
    with pytest.raises(InputError, match="nothing reads the key 'colums'"):
        imported(tmp_path / "t.csv", PLAIN, colums={})


def test_ranges(tmp_path: Path) -> None:
    """IMP-4: pairs of columns, of one name too, cells with ranges, and open ends."""
    text = (
        "njet\tmet low\tmet high\tht\tht\tobs\tbkg\terr\n2-3\t200\t300\t0\t500\t1\t2\t1\n"
        ">= 4\t200\tinf\t500\tInf.\t1\t2\t1\n"
    )
    search = imported(tmp_path / "t.dat", text).bundle.search
    ranges = {
        o.name: (search.low[:, k].tolist(), search.high[:, k].tolist())
        for k, o in enumerate(search.observables)
    }
    assert ranges == {
        "njet": ([2, 4], [3, np.inf]),
        "met": ([200, 200], [300, np.inf]),
        "ht": ([0, 500], [500, np.inf]),
    }
    assert [o.discrete for o in search.observables if o.name == "njet"] == [True]


def test_whole_numbers_are_no_ranges(tmp_path: Path) -> None:
    """IMP-4: a column of whole numbers is a range only where its name counts something."""
    text = "region,obs,bkg,err,nb,S95\nA,3,2,1,0,5\nB,3,2,1,1,9\n"
    result = imported(tmp_path / "t.csv", text)
    assert [o.name for o in result.bundle.search.observables] == ["nb"]
    assert "column 'S95': not used" in result.notes


@pytest.mark.parametrize(
    ("comment", "value"),
    [
        ("luminosity: 137/fb", 137.0),
        ("lumi = 139.", 139.0),
        ("luminosity_fb: 35.9", 35.9),
        ("luminosity: 2300 /pb", 2.3),
        ("CMS, 36.1 fb^{-1} at 8 TeV", 36.1),
        ("137/fb of data with gluinos of 2 TeV", 137.0),
        ("Luminosity: 20.3 fb^-1", 20.3),
    ],
)
def test_luminosity(comment: str, value: float, tmp_path: Path) -> None:
    """IMP-4: the luminosity of a comment with its unit; none is refused."""
    path = tmp_path / "t.csv"
    path.write_text(f"# {comment}\n# sqrt_s: 8 TeV\n# licence: CC0\n{PLAIN}")
    search = read(path).bundle.search
    assert search.luminosity_fb == pytest.approx(value, rel=1e-12)
    assert (search.sqrt_s_tev, search.licence) == (8.0, "CC0")
    path.write_text(PLAIN)
    with pytest.raises(InputError, match="--luminosity"):
        read(path)


def test_documented_table(tmp_path: Path) -> None:
    """IMP-4: the table of the manual is one."""
    page = (Path(__file__).parents[4] / "docs" / "reference" / "imports.md").read_text("utf-8")
    found = re.search(r"```text\n(.*?)```", page, re.DOTALL)
    assert found is not None
    (tmp_path / "t.csv").write_text(found.group(1))
    search = read(tmp_path / "t.csv").bundle.search
    assert (search.luminosity_fb, search.names) == (137.0, ("SR1", "SR2", "SR3"))
    assert search.high[:, 0].tolist() == [300, 500, np.inf]
    assert search.processes[0].estimate.syst_down.tolist() == [8.5, 4.3, 1.0]


REGIONS = "region,observed,background,error\nA,12,10,2\nB,3,4,4\n"


def folder(tmp_path: Path, matrix: str, name: str = "covariance.csv") -> Path:
    place = tmp_path / "search"
    place.mkdir()
    (place / "regions.csv").write_text(REGIONS)
    (place / name).write_text(matrix)
    return place


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("covariance.csv", "4,1\n1,16\n"),
        ("cov.txt", "4 1\n1 16\n"),
        ("my-cov.dat", "# rows as in the table\n4\t1\n1\t16\n"),
        ("covariance.csv", "B,A\n16,1\n1,4\n"),
        ("covariance.csv", ",B,A\nB,16,1\nA,1,4\n"),
        ("covariance.json", "[[4, 1], [1, 16]]"),
        ("cov.json", '{"names": ["B", "A"], "covariance": [[16, 1], [1, 4]]}'),
        ("correlations.csv", "1,0.125\n0.125,1\n"),
        ("covariance.csv", ",0,1\n0,4,1\n1,1,16\n"),
        ("covariance.csv", "1,2\n4,1\n1,16\n"),
        ("covariance.csv", ",B,A\nA,1,4\nB,16,1\n"),
        ("covariance.csv", "4\n1,16\n"),
        ("covariance.csv", "4,1\n,16\n"),
        ("covariance.csv", "4,0;1,0\n1;16\n"),
        ("covariance.txt", "\ufeff4\t1,0\r\n1\t16\r\n"),
    ],
)
def test_covariance_beside(name: str, text: str, tmp_path: Path) -> None:
    """IMP-5: any spelling of the matrix; names decide its order, without them the rows of the table do."""
    result = read(folder(tmp_path, text, name), options=Options(luminosity_fb=10.0))
    covariance = result.bundle.search.covariance
    assert covariance is not None
    assert covariance.up.tolist() == [[4, 1], [1, 16]]
    order = "by the names of the bins" if "A" in text else "follow the table's rows"
    assert any(order in note for note in result.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4,1\n1\n", r"covariance.csv:2: 1 number; a matrix of 2 lines has 2 numbers in each"),
        ("4,nan\nnan,16\n", r"covariance.csv:1: 'nan' is not a finite number"),
        ("4,1,0\n1,16,0\n0,0,1\n", r"the matrix is of 3 bins and the table has 2"),
        ("4,1\n2,16\n", r"not symmetric"),
        ("A,C\n4,1\n1,16\n", r"does not name bin 'B'"),
    ],
)
def test_no_covariance(text: str, message: str, tmp_path: Path) -> None:
    """IMP-5: what is not square, finite, symmetric and of the table's bins is refused with the entry."""
    with pytest.raises(DocumentError, match=message):
        read(folder(tmp_path, text), options=Options(luminosity_fb=10.0))


def test_entries_are_finite() -> None:
    """IMP-5: an infinite entry, as a ROOT file may hold it, is refused with its place."""
    with pytest.raises(DocumentError, match="cov: the matrix is inf in line 2, column 1"):
        as_matrix([[4.0, 1.0], [np.inf, 16.0]], "cov")


def test_a_json_matrix_has_as_many_columns_as_rows(tmp_path: Path) -> None:
    """IMP-5: a list of rows with a column too many is refused with its shape."""
    with pytest.raises(DocumentError, match=r"the matrix has shape \(2, 3\)"):
        read(
            folder(tmp_path, "[[4, 1, 0], [1, 16, 0]]", "covariance.json"),
            options=Options(luminosity_fb=10.0),
        )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("relative_covariance.csv", "0.04,0\n0,0.04\n", "multiply every entry by the backgrounds"),
        ("covariance.csv", "1,0.1\n0.1,1\n", "every variance is 1 and the errors of the table are not"),
        ("covariance.csv", "A,A,4\nA,B,1\nB,C,1\nC,C,4\n", "the matrix has no entry for A and C"),
        ("covariance.csv", "4,\n,16\n", "the matrix has no entry in line 1, column 2"),
        (
            "covariance.csv",
            "1,200;0\n0;1,500\n",
            "'1,200' may be a number with a decimal comma or one in thousands",
        ),
        ("covariance.csv", "1,25;0\n0;1.5\n", r"holds numbers with commas \(1,25\) and with decimal points"),
    ],
)
def test_matrices_that_are_no_covariance(name: str, text: str, said: str, tmp_path: Path) -> None:
    """IMP-5: relative shifts, correlations under another name and lost entries are refused."""
    with pytest.raises(InputError, match=said):
        read(folder(tmp_path, text, name), options=Options(luminosity_fb=10.0))


def test_covariance_compared(tmp_path: Path) -> None:
    """IMP-5: how its standard deviations compare with the quoted errors, 2 and 4, is said."""
    result = read(folder(tmp_path, "9,0\n0,4\n"), options=Options(luminosity_fb=10.0))
    assert any("0.50 to 1.50 times the quoted errors" in note for note in result.notes)


def test_covariance_rescaled(tmp_path: Path) -> None:
    """IMP-5: the user may keep the correlations, here 1/4, with the quoted errors 2 and 4."""
    place = folder(tmp_path, "16,1\n1,1\n")
    result = read(place, options=Options(luminosity_fb=10.0, mapping={"rescale": True}))
    assert result.bundle.search.covariance is not None
    assert result.bundle.search.covariance.up.tolist() == [[4, 2], [2, 16]]
    assert "covariance: correlations times the quoted errors" in result.notes


def test_covariance_of_a_file_needs_a_word(tmp_path: Path) -> None:
    """IMP-5: beside a single file it is pointed out, and taken when the mapping names it."""
    place = folder(tmp_path, "4,1\n1,16\n") / "regions.csv"
    result = read(place, options=Options(luminosity_fb=10.0))
    assert result.bundle.search.covariance is None
    assert any(note.startswith("covariance.csv: not used") for note in result.notes)
    mapping = {"covariance": "covariance.csv"}
    given = read(place, options=Options(luminosity_fb=10.0, mapping=mapping))
    assert given.bundle.search.covariance is not None
    with pytest.raises(InputError, match="must lie in"):
        read(place, options=Options(luminosity_fb=10.0, mapping={"covariance": "../other.csv"}))


def test_covariance_repaired(tmp_path: Path) -> None:
    """IMP-5: on request the nearest covariance is taken; the size of the repair is exact for a 2 x 2 matrix."""
    place = folder(tmp_path, "4,5\n5,4\n")
    with pytest.raises(DocumentError, match="bins 1 and 2 is 5"):
        read(place, options=Options(luminosity_fb=10.0))
    result = read(place, options=Options(luminosity_fb=10.0, covariance="repair"))
    # Eigenvalues 9 and -1: dropping the second adds (1/2, -1/2), a change of 0.5 / 4 of the variance.
    assert result.bundle.search.covariance is not None
    np.testing.assert_allclose(result.bundle.search.covariance.up, [[4.5, 4.5], [4.5, 4.5]], rtol=1e-12)
    moved = [float(m.group(1)) for n in result.notes if (m := re.search(r"moved by at most (\S+)", n))]
    assert moved == [pytest.approx(0.125, abs=0.006)]


def test_thousand_bins(tmp_path: Path) -> None:
    """IMP-5: a covariance of a thousand bins is read exactly."""
    rng = np.random.default_rng(1)
    factor = rng.normal(size=(1000, 1000))
    matrix = factor @ factor.T
    matrix = (matrix + matrix.T) / 2
    path = tmp_path / "covariance.csv"
    path.write_text("\n".join(",".join(map(repr, row)) for row in matrix.tolist()))
    assert np.array_equal(read_matrix(path).values, matrix)


def test_overlapping_regions(tmp_path: Path) -> None:
    """IMP-6: regions that by their names contain others are merged with none; the mapping corrects it."""
    text = "region,observed,background,error\nSR1,1,2,1\nSR2,1,2,1\nSR_inc,2,4,1\nMT2_100_infty,3,4,1\nAR_aggr,3,4,1\n"
    result = imported(tmp_path / "t.csv", text)
    combinable = result.bundle.search.combinable
    assert combinable is not None
    assert combinable.astype(int).tolist() == [
        [1, 1, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1],
    ]
    assert any("SR_inc, MT2_100_infty, AR_aggr" in note for note in result.notes)
    every = imported(tmp_path / "t.csv", text, combinable="all").bundle.search
    assert every.combinable is None
    some = imported(tmp_path / "t.csv", text, combinable=["SR2", "SR_inc"]).bundle.search.combinable
    assert some is not None
    assert some[1, 2]
    assert not some[0, 1]
    with pytest.raises(InputError, match="combinable names 'SR9'"):
        imported(tmp_path / "t.csv", text, combinable=["SR9"])


@pytest.mark.parametrize("name", ["figure.pdf", "shapes.tex", "numbers.xlsx"])
def test_advice(name: str, tmp_path: Path) -> None:
    """IMP-1: a file of another kind is refused with advice for it."""
    (tmp_path / name).write_bytes(b"\0\1\2")
    assert recognise(tmp_path / name) is None
    with pytest.raises(InputError, match="this is"):
        read(tmp_path / name)


def test_checkmate(tmp_path: Path) -> None:
    """IMP-8: luminosity from the file beside the table, as text; nothing merges without a covariance."""
    table = tmp_path / "toy_ref.dat"
    table.write_text("SR obs bkg bkg_err S95_obs S95_exp\nA 3 2.5 1 7 6\nB 4 3.5 2 8 7.5\n")
    (tmp_path / "toy_var.j").write_text(json.dumps({"lumi": "139.0", "ecm": "13.0", "author": "x"}))
    result = read(table)
    search = result.bundle.search
    assert (result.kind, search.name, search.luminosity_fb) == ("checkmate", "toy", 139.0)
    assert search.combinable is not None
    assert not search.combinable[0, 1]
    (tmp_path / "toy.cov.json").write_text("[[1, 0.5], [0.5, 4]]")
    with_matrix = read(tmp_path).bundle.search
    assert with_matrix.covariance is not None
    assert with_matrix.combinable is None


@pytest.mark.parametrize("folder_name", ["device", "pipe"])
def test_no_device_is_read(folder_name: str, tmp_path: Path) -> None:
    """IMP-7: devices and pipes are refused, named directly or within a folder."""
    place = tmp_path / "x.csv"
    if folder_name == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("/dev/zero")
    with pytest.raises(InputError, match="devices and pipes are not imported"):
        read(place)
    (tmp_path / "entry").mkdir()
    (tmp_path / "entry" / "search.json").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="no form of a search is recognised"):
        read(tmp_path / "entry")


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("1,1,4\n1,2,1\n2,2,9\n", (), [[4, 1], [1, 9]]),
        ("0 0 4\n0 1 1\n1 0 1\n1 1 9\n", (), [[4, 1], [1, 9]]),
        ("bin 1,bin 2,covariance\n2,2,9\n1,2,1\n1,1,4\n", (), [[4, 1], [1, 9]]),
        ("SRb,SRb,9\nSRa,SRb,1\nSRa,SRa,4\n", ("SRb", "SRa"), [[9, 1], [1, 4]]),
        ("1,2,3\n2,4,5\n3,5,9\n", (), [[1, 2, 3], [2, 4, 5], [3, 5, 9]]),
    ],
)
def test_matrix_of_entries(
    text: str, names: tuple[str, ...], expected: list[list[float]], tmp_path: Path
) -> None:
    """IMP-5: a line of row, column and value per entry, full or one triangle; three symmetric lines are a matrix."""
    (tmp_path / "cov.csv").write_text(text)
    matrix = read_matrix(tmp_path / "cov.csv")
    assert (matrix.values.tolist(), matrix.names) == (expected, names)


def test_an_entry_twice(tmp_path: Path) -> None:
    """IMP-5: refused with its line."""
    (tmp_path / "cov.csv").write_text("1,1,4\n1,2,1\n1,2,9\n2,2,5\n")
    with pytest.raises(DocumentError, match="cov.csv:3: the entry of 1 and 2 comes twice"):
        read_matrix(tmp_path / "cov.csv")


def test_open_lower_ends(tmp_path: Path) -> None:
    """IMP-4: ``< 200`` of a momentum and ``< 3`` of a count begin at 0, of anything else where the mapping says."""
    path = tmp_path / "t.csv"
    path.write_text("met;njet;observed;background\n<200;<3;12;10\n>200;>3;3;4\n")
    search = read(path, options=Options(luminosity_fb=1.0)).bundle.search
    assert search.low.tolist() == [[0, 0], [200, 4]]
    assert search.high.tolist() == [[200, 2], [float("inf"), float("inf")]]
    path.write_text("bdt low,bdt high,observed,background\n-inf,0.5,12,10\n0.5,inf,3,4\n")
    with pytest.raises(DocumentError, match='begins at bdt of minus infinity; .*"lowest"'):
        read(path, options=Options(luminosity_fb=1.0))
    search = read(path, options=Options(luminosity_fb=1.0, mapping={"lowest": -1})).bundle.search
    assert search.low.tolist() == [[-1], [0.5]]


def test_tables_of_strangers(tmp_path: Path) -> None:
    """IMP-4: bars without a frame, ranges in brackets, and a luminosity other than the source's."""
    path = tmp_path / "t.txt"
    path.write_text(
        "# lumi 36.1/fb\nmet [GeV] | Obs. | Exp.\n--- | --- | ---\n[200-300) | 12 | 10.5 ± 2.5\n[300, inf) | 3 | 4.25 ± 1.5\n"
    )
    found = read(path, options=Options(luminosity_fb=10.0))
    search = found.bundle.search
    assert (search.low.tolist(), search.high.tolist()) == ([[200], [300]], [[300], [float("inf")]])
    assert search.processes[0].estimate.syst_up.tolist() == [2.5, 1.5]
    assert search.luminosity_fb == 10
    assert "luminosity: 10 fb^-1 as you say; the source says 36.1" in found.notes


def test_several_searches_beside_a_table(tmp_path: Path) -> None:
    """IMP-1: a loose table of HEPData is not preferred to a CSV table beside it."""
    (tmp_path / "a.csv").write_text("region,observed,background\nA,1,2\n")
    (tmp_path / "b.yaml").write_text(
        "independent_variables: []\ndependent_variables:\n- header: {name: Data}\n  values: [{value: 1}]\n"
    )
    with pytest.raises(
        InputError, match=r"the folder holds 2 searches, a.csv \(csv\), b.yaml \(hepdata\); name one of them"
    ):
        read(tmp_path, options=Options(luminosity_fb=1.0))


@pytest.mark.parametrize(
    ("columns", "cells", "up", "down"),
    [
        ("error (%)", "10", 2, 2),
        ("background error [%]", "10", 2, 2),
        ("relative error", "0.1", 2, 2),
        ("rel. unc.", "10 %", 2, 2),
        ("error up (%),error down (%)", "10,-5", 2, 1),
        ("error (events)", "2", 2, 2),
        ("background_hi,background_lo", "2,1", 2, 1),
        ("unc_sys_up,unc_sys_dn", "2,1", 2, 1),
        ("total error,stat,syst", "5,3,4", 5, 5),
        ("background stat,background total,background syst", "3,5,4", 5, 5),
        ("error,stat,syst", "5,3,4", 5, 5),
        ("total unc,stat", "5,3", 5, 5),
        ("total unc,stat,syst", "6,3,4", 6, 6),
    ],
)
def test_what_uncertainties_count_in(
    tmp_path: Path, columns: str, cells: str, up: float, down: float
) -> None:
    """IMP-4: per cent, parts and events; a total uncertainty is not counted again beside its parts."""
    text = f"bin,observed,background,{columns}\nA,10,20,{cells}\nB,12,20,{cells}\n"
    [process] = imported(tmp_path / "t.csv", text).bundle.search.processes
    one = process.estimate
    assert np.hypot(one.stat_up, one.syst_up).tolist() == pytest.approx([up, up])
    assert np.hypot(one.stat_down, one.syst_down).tolist() == pytest.approx([down, down])


@pytest.mark.parametrize(
    ("columns", "cells", "said"),
    [
        ("error^2", "25", r"'error\^2' looks like an uncertainty"),
        ("variance", "25", "'variance' looks like an uncertainty"),
        ("error (2 sigma)", "10", r"'error \(2 sigma\)' looks like an uncertainty"),
        ("dbkg", "1", "'dbkg' looks like an uncertainty"),
        ("error,unc", "1,2", "another column is that uncertainty, too"),
        ("rel. error", "10", "a relative uncertainty above 1"),
        ("error,stat", "5,3", "not clear whether it holds them"),
        ("error,stat,syst", "7,3,4", "not clear whether it holds them"),
    ],
)
def test_uncertainties_that_nobody_knows(tmp_path: Path, columns: str, cells: str, said: str) -> None:
    """IMP-4: an uncertainty that is not understood is never left out, nor read as something else, without a word."""
    text = f"bin,observed,background,{columns}\nA,10,20,{cells}\n"
    with pytest.raises(DocumentError, match=said):
        imported(tmp_path / "t.csv", text)


def test_backgrounds_that_would_be_forgotten(tmp_path: Path) -> None:
    """IMP-4: beside backgrounds with an uncertainty a column of numbers without one is refused; no uncertainty at all is said."""
    with pytest.raises(DocumentError, match="column 'QCD' has no uncertainty"):
        imported(tmp_path / "t.csv", "bin,observed,ttbar,ttbar error,QCD\nA,10,20,5,3\n")
    exact = imported(tmp_path / "u.csv", "bin,observed,background\nA,10,20\n")
    assert "background: no column says its uncertainty; it is taken to be known exactly" in exact.notes
    varied = imported(tmp_path / "v.csv", "bin,observed,exp,exp_up,exp_down\nA,10,20,25,18\nB,10,30,33,24\n")
    assert any("subtract where they are varied yields" in note for note in varied.notes)
    given = {"error": "whole"}
    text = "bin,observed,background,whole,stat\nA,10,20,5,3\n"
    [process] = imported(tmp_path / "w.csv", text, columns=given).bundle.search.processes
    assert (process.estimate.stat_up.tolist(), process.estimate.syst_up.tolist()) == ([0], [5])


@pytest.mark.parametrize(
    ("cell", "stat", "syst"),
    [
        ("5.0 ± 1.0 ± 0.5", (1, 1), (0.5, 0.5)),
        ("5.0 ± 0.5 (syst) ± 1.0 (stat)", (1, 1), (0.5, 0.5)),
        (r"$5.0^{+1.0}_{-0.8}\text{(stat)}^{+0.5}_{-0.4}\text{(syst)}$", (1, 0.8), (0.5, 0.4)),
        ("5.0 +1.0 −0.8", (0, 0), (1, 0.8)),
        ("5 ± 10%", (0, 0), (0.5, 0.5)),
        ("5 +- 1 (stat)", (1, 1), (0, 0)),
        ("5 ± 1 (Statistical) ± 0.5 (systematic)", (1, 1), (0.5, 0.5)),
        ("5 ± 1 (total)", (0, 0), (1, 1)),
    ],
)
def test_cells_with_several_errors(
    tmp_path: Path, cell: str, stat: tuple[float, float], syst: tuple[float, float]
) -> None:
    """IMP-4: a cell may hold a value with one error or two, labelled or in the order stat, syst."""
    one = (
        imported(tmp_path / "t.csv", f"bin,observed,background\nA,5,{cell}\n")
        .bundle.search.processes[0]
        .estimate
    )
    assert (one.nominal.item(), one.stat_up.item(), one.stat_down.item()) == pytest.approx((5, *stat))
    assert (one.syst_up.item(), one.syst_down.item()) == pytest.approx(syst)


def test_names_of_bins_are_no_values(tmp_path: Path) -> None:
    """IMP-4: names of bins that read like values with errors stay names."""
    text = "bin,observed,background,error\n1+2-3,5,5,1\n4+5-6,6,6,1\n"
    assert imported(tmp_path / "t.csv", text).bundle.search.names == ("1+2-3", "4+5-6")


def test_values_without_errors_among_others_are_noted(tmp_path: Path) -> None:
    """IMP-4: a yield without an uncertainty beside yields with one is said to be taken as exact."""
    notes = imported(tmp_path / "t.csv", "bin,observed,background\nA,5,5 ± 1\nB,6,6\n").notes
    assert any("1 row without an uncertainty" in note for note in notes)


def test_one_cell_without_a_value(tmp_path: Path) -> None:
    """IMP-2: among values with errors only the cell that is none is a fault."""
    with pytest.raises(DocumentError, match=r"line 4: background '<0.4' is not a finite number$"):
        imported(tmp_path / "t.csv", "bin,observed,background\nA,5,5 +1 -1\nB,3,4 +/- 1\nC,3,<0.4\n")


def test_decimal_commas_in_quotes_and_ranges(tmp_path: Path) -> None:
    """IMP-4: as spreadsheets of half of Europe write them; a semicolon in a name divides no cells."""
    text = 'met;observed;background;error\n"0,3-0,4";"3";"2,5";"1"\n"0,4-0,55";"3";"2,5";"1,5"\n'
    search = imported(tmp_path / "t.csv", text).bundle.search
    assert (search.low.tolist(), search.high.tolist()) == ([[0.3], [0.4]], [[0.4], [0.55]])
    assert search.processes[0].estimate.syst_up.tolist() == [1, 1.5]
    named = "bin,observed,b,b error,T1bbbb(1500;100)\nA,10,5,1,2\n"
    assert imported(tmp_path / "u.csv", named).bundle.signals[0].label == "T1bbbb(1500, 100)"


def test_merged_cells_and_headings(tmp_path: Path) -> None:
    """IMP-2: what spreadsheets leave of merged cells is refused with what to do."""
    text = "njets,met,observed,background,error\n3-4,300-400,1,2,1\n,400-500,1,2,1\n"
    with pytest.raises(DocumentError, match="line 3: njets is empty and a range elsewhere"):
        imported(tmp_path / "t.csv", text)
    heading = ",,,Background,,\nbin,met,observed,nominal,up,down\n1,300-400,10,20,10,9\n"
    with pytest.raises(DocumentError, match="delete a line of headings"):
        imported(tmp_path / "u.csv", heading)
