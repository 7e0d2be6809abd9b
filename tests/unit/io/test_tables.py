"""Searches and signals as text tables: clauses TAB-1 to TAB-7."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from superbin.domain.search import Estimate, Process, Search
from superbin.domain.signal import SignalModel
from superbin.errors import DocumentError, InputError, OutputError
from superbin.io.tables import read_search, read_signal, write_search, write_signal

EVENTS = st.floats(min_value=0.0, max_value=1e300, allow_subnormal=True)


def test_search_round_trip(small_search: Search, tmp_path: Path) -> None:
    """TAB-1, TAB-6: same content, to the last bit, and the text around it."""
    write_search(small_search, tmp_path / "new" / "folder")
    again = read_search(tmp_path / "new" / "folder")
    assert again.digest == small_search.digest
    for name in ("title", "reference", "source", "observables", "shared_stat"):
        assert getattr(again, name) == getattr(small_search, name)


def test_a_folder_of_format_1(small_search: Search, tmp_path: Path) -> None:
    """TAB-17: without names, licence, citation and pairs of bins, as they were before format 2, a search is read as before."""
    write_search(small_search, tmp_path)
    head = json.loads((tmp_path / "search.json").read_text("utf-8"))
    for key in ("covariance", "not_combinable", "licence", "citation", "accuracy"):
        del head[key]
    (tmp_path / "search.json").write_text(json.dumps(head | {"format": 1}))
    assert read_search(tmp_path).digest == small_search.digest
    (tmp_path / "search.json").write_text(json.dumps(head | {"format": 3}))
    with pytest.raises(DocumentError, match="format"):
        read_search(tmp_path)


def test_signal_round_trip(small_signal: SignalModel, tmp_path: Path) -> None:
    """TAB-6, TAB-7: a signal that is written reads back with the same digest and header."""
    write_signal(small_signal, tmp_path / "signal.csv")
    again = read_signal(tmp_path / "signal.csv")
    assert again.digest == small_signal.digest
    assert (again.source, again.cross_section_pb) == (small_signal.source, None)
    assert dict(again.parameters) == dict(small_signal.parameters)


@settings(max_examples=40, deadline=None)
@given(
    values=arrays(np.float64, (2, 5), elements=EVENTS),
    text=st.text(max_size=30),
    sigma=st.floats(1e-30, 1e30),
)
def test_any_signal_round_trips(
    tmp_path_factory: pytest.TempPathFactory,
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    text: str,
    sigma: float,
) -> None:
    """TAB-6: any numbers, any text (but lone surrogates, which no file can hold)."""
    text = text.encode("utf-8", "ignore").decode()
    signal = SignalModel(text, {text: 0.1, "m": -1e-300}, text, values[0], values[1], text, sigma)
    path = tmp_path_factory.mktemp("signal") / "s.csv"
    write_signal(signal, path)
    again = read_signal(path)
    assert again.digest == signal.digest
    assert (again.model, again.search, again.source, again.cross_section_pb) == (text, text, text, sigma)


@settings(max_examples=40, deadline=None)
@given(parts=arrays(np.float64, (5, 4), elements=EVENTS), label=st.text(max_size=20))
def test_any_estimate_round_trips(
    tmp_path_factory: pytest.TempPathFactory,
    parts: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    label: str,
) -> None:
    """TAB-6: any events."""
    label = label.encode("utf-8", "ignore").decode()
    folder = tmp_path_factory.mktemp("search")
    search = four_bins(Process("p, q", label, Estimate(*parts)))
    write_search(search, folder)
    assert read_search(folder).digest == search.digest


def four_bins(process: Process) -> Search:
    from superbin.domain.search import Observable

    edges = np.arange(5.0)
    return Search(
        "s",
        "t",
        "r",
        1.0,
        13.0,
        (Observable("x", "x"),),
        edges[:4, None],
        edges[1:, None],
        (process,),
        np.zeros(4),
    )


def test_writing_leaves_other_files(small_search: Search, tmp_path: Path) -> None:
    """TAB-1, TAB-6: the signals beside a search stay, and nothing temporary is left."""
    (tmp_path / "signals").mkdir()
    write_search(small_search, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "backgrounds.csv",
        "bins.csv",
        "search.json",
        "signals",
    ]


def test_unwritable(small_search: Search, small_signal: SignalModel, tmp_path: Path) -> None:
    """TAB-6: a file where the folder should be, a folder that is not there."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="file"):
        write_search(small_search, tmp_path / "file")
    with pytest.raises(OutputError, match="none"):
        write_signal(small_signal, tmp_path / "none" / "s.csv")


def test_process_name_no_table_can_hold(tmp_path: Path) -> None:
    """TAB-6: refused when written, so that reading cannot fail."""
    zeros = np.zeros(4)
    search = four_bins(Process("a\nb", "", Estimate(zeros, zeros, zeros, zeros, zeros)))
    with pytest.raises(InputError, match=r"process name 'a\\nb' cannot be written in a table"):
        write_search(search, tmp_path)


Change = Callable[[str], str]


def swap(old: str, new: str) -> Change:
    def change(text: str) -> str:
        assert old in text, f"{old!r} is not in the table"
        return text.replace(old, new, 1)

    return change


def in_json(key: str, value: object) -> Change:
    def change(text: str) -> str:
        content = json.loads(text)
        content[key] = value
        return json.dumps(content)

    return change


# name: (file, change, part of the message)
BAD_SEARCH: dict[str, tuple[str, Change, str]] = {
    "not JSON": ("search.json", lambda t: t[:40], "search.json:4: not JSON at column"),
    "JSON list": ("search.json", lambda _: "[]", "is not a JSON object"),
    "JSON NaN": ("search.json", swap("10.0", "NaN"), "NaN is not a finite number"),
    "JSON deep": ("search.json", lambda _: "[" * 200000, "nested too deeply"),
    "newer format": ("search.json", in_json("format", 3), "format is 3; this version of superbin reads 2"),
    "key missing": ("search.json", swap('"title"', '"titel"'), "the key 'title' is missing"),
    "title": ("search.json", in_json("title", 1), "title is 1; it must be a string"),
    "luminosity": ("search.json", in_json("luminosity_fb", "10"), "luminosity_fb is '10'; it must be a number"),
    "luminosity true": ("search.json", in_json("luminosity_fb", True), "luminosity_fb is True; it must be a number"),
    "luminosity huge": ("search.json", in_json("luminosity_fb", 10**400), "is too large for a floating-point number"),
    "luminosity zero": ("search.json", in_json("luminosity_fb", 0), "luminosity_fb of search 'small' is 0"),
    "observables": ("search.json", in_json("observables", {}), "observables is {}; it must be a list"),
    "observable": ("search.json", in_json("observables", [1]), "observables[0]: is not a JSON object"),
    "discrete": ("search.json", swap("true", '"yes"'), "observables[0]: discrete is 'yes'; it must be true or false"),
    "shared": ("search.json", in_json("shared_stat", ["a"]), "shared_stat is ['a']; it must be a list of lists"),
    "shared unknown": ("search.json", in_json("shared_stat", [["a", "x"]]), "shared_stat names 'x'"),
    "process twice": ("search.json", swap('"name": "b"', '"name": "a"'), "two processes have the same name"),
    "empty table": ("bins.csv", lambda _: "# nothing\n", "bins.csv: the table is empty; its first line must be bin,"),
    "no bins": ("bins.csv", lambda t: t[: t.index("\n1,") + 1], "bins.csv: the table has no bins"),
    "columns": ("bins.csv", swap("njet_low", "njets_low"), "bins.csv:5: the columns are bin,njets_low"),
    "bin order": ("bins.csv", swap("\n2,", "\n3,"), "bins.csv:7: bin is 3; the next bin is 2"),
    "truncated row": ("bins.csv", lambda t: t[:-8], "bins.csv:9: 4 cells for 6 columns; is the line truncated?"),
    "word": ("bins.csv", swap(",40\n", ",forty\n"), "bins.csv:6: observed 'forty' is not a finite number"),
    "fraction": ("bins.csv", swap(",40\n", ",40.5\n"), "observed in bin 1 is 40.5"),
    "infinite low": ("bins.csv", swap("2,3,300", "2,3,inf"), "bins.csv:6: mht_low 'inf' is not a finite number"),
    "edges": ("bins.csv", swap("300,500,40", "300,200,40"), "bin 1 has mht from 300 to 200"),
    "quote": ("bins.csv", swap(",40\n", ',"40\n'), "bins.csv:6: not a CSV row"),
    "unknown process": ("backgrounds.csv", swap("\n1,a,", "\n1,z,"), "backgrounds.csv:4: process 'z' is not in search.json"),
    "unknown bin": ("backgrounds.csv", swap("\n1,a,", "\n9,a,"), "backgrounds.csv:4: bin 9 does not exist"),
    "half a bin": ("backgrounds.csv", swap("\n1,a,", "\n1.5,a,"), "backgrounds.csv:4: bin 1.5 does not exist"),
    "row twice": ("backgrounds.csv", swap("\n2,a,", "\n1,a,"), "backgrounds.csv:7: bin 1 of process 'a' comes twice"),
    "row missing": ("backgrounds.csv", swap("\n1,a,10", "\n#1,a,10"), "backgrounds.csv: bin 1 of process 'a' is missing"),
    "negative": ("backgrounds.csv", swap("1,a,10,", "1,a,-10,"), "backgrounds.csv:4: nominal is -10; it must be >= 0"),
    "nan": ("backgrounds.csv", swap("1,a,10,", "1,a,nan,"), "backgrounds.csv:4: nominal 'nan' is not a finite number"),
    "huge": ("backgrounds.csv", swap("1,a,10,", "1,a,1e999,"), "backgrounds.csv:4: nominal '1e999' is too large"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_SEARCH)
def test_bad_search(small_search: Search, tmp_path: Path, case: str) -> None:
    """TAB-2 to TAB-5: one line that names the file."""
    file, change, message = BAD_SEARCH[case]
    write_search(small_search, tmp_path)
    path = tmp_path / file
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(DocumentError) as caught:
        read_search(tmp_path)
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


BAD_SIGNAL: dict[str, tuple[Change, str]] = {
    "key missing": (swap("# model: ", "# the model: "), "no line '# model: ...'"),
    "key unknown": (swap("# model: ", "# modell: "), "s.csv:3: unknown key 'modell'"),
    "key twice": (swap('# model: "T0"', '# model: "T0"\n# model: "T0"'), "s.csv:4: key 'model' comes twice"),
    "not JSON": (swap('"T0"', "T0"), "s.csv:3: not JSON at column 1"),
    "parameters": (swap('{"m_mother": 1000.0, "m_lsp": 100.0}', "[1000]"), "parameters is [1000]"),
    "parameter": (swap("1000.0", '"x"'), "parameters.m_mother is 'x'; it must be a number"),
    "cross section": (swap("cross_section_pb: null", "cross_section_pb: 0"), "cross_section_pb of signal"),
    "no rows": (lambda t: t[: t.index("\n1,") + 1], "the table has no bins"),
    "negative": (swap("\n1,1,", "\n1,-1,"), "s.csv:9: yield is -1; it must be >= 0"),
    "error nan": (swap("0.1\n", "nan\n"), "s.csv:9: error 'nan' is not a finite number"),
    "bin": (swap("\n1,1,", "\n0,1,"), "s.csv:9: bin is 0; the next bin is 1"),
}


@pytest.mark.parametrize("case", BAD_SIGNAL)
def test_bad_signal(small_signal: SignalModel, tmp_path: Path, case: str) -> None:
    """TAB-5, TAB-7: a faulty signal file is refused with its name and reason."""
    change, message = BAD_SIGNAL[case]
    path = tmp_path / "s.csv"
    write_signal(small_signal, path)
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(DocumentError) as caught:
        read_signal(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_and_undecodable_files(small_search: Search, tmp_path: Path) -> None:
    """TAB-5: a missing file and a byte that is not UTF-8 are refused."""
    with pytest.raises(InputError, match=r"search\.json: cannot be read"):
        read_search(tmp_path)
    write_search(small_search, tmp_path)
    (tmp_path / "bins.csv").write_bytes(b"# caf\xe9\n")
    with pytest.raises(DocumentError, match=r"bins\.csv:1: byte 0xe9 is not UTF-8"):
        read_search(tmp_path)


def test_spaces_and_line_ends_do_not_matter(small_search: Search, tmp_path: Path) -> None:
    """TAB-5: tables edited elsewhere."""
    write_search(small_search, tmp_path)
    for name in ("bins.csv", "backgrounds.csv"):
        path = tmp_path / name
        text = path.read_text(encoding="utf-8").replace(",", ", ").replace("\n", "\r\n") + "\r\n"
        path.write_bytes(text.encode("utf-8-sig"))
    assert read_search(tmp_path).digest == small_search.digest


def as_a_spreadsheet(text: str, columns: int) -> str:
    """Every cell in quotes, comments split at their commas, rows filled up with empty cells, one of them at the end."""
    lines = []
    for line in text.splitlines():
        cells = line.split(",")
        cells += [""] * (columns - len(cells))
        quoted = ('"' + cell.replace('"', '""') + '"' for cell in cells)
        lines.append(",".join(quoted))
    return "\r\n".join([*lines, "," * (columns - 1), ""])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["utf-8", "utf-8-sig"])
def test_quotes_marks_and_line_ends(
    small_search: Search, small_signal: SignalModel, tmp_path: Path, end: str, mark: str
) -> None:
    """TAB-5: what other programs make of a table is the same table."""
    write_search(small_search, tmp_path)
    write_signal(small_signal, tmp_path / "s.csv")
    for name in ("bins.csv", "backgrounds.csv", "s.csv"):
        path = tmp_path / name
        text = path.read_text(encoding="utf-8")
        columns = text.splitlines()[-1].count(",") + 1
        changed = as_a_spreadsheet(text, columns).replace("\r\n", end)
        path.write_bytes(changed.encode(mark))
    assert read_search(tmp_path).digest == small_search.digest
    again = read_signal(tmp_path / "s.csv")
    assert (again.digest, again.source) == (small_signal.digest, small_signal.source)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bin,yield,error", '"bin,yield,error', "s.csv:8: not a CSV row (unexpected end of data)"),
        (
            "bin,yield,error",
            "bin;yield;error",
            "s.csv:8: the columns are bin;yield;error; bin,yield,error is needed",
        ),
        ("\n1,1,", '\n1,"1"x,', "s.csv:9: not a CSV row"),
        (
            "\n1,1,",
            "\n1," + "1" * 200_000 + ",",
            "s.csv:9: the row has 200006 characters; a row has at most 100000",
        ),
    ],
)
def test_bad_quotes_and_endless_rows(
    small_signal: SignalModel, tmp_path: Path, old: str, new: str, message: str
) -> None:
    """TAB-5: the file and the line."""
    path = tmp_path / "s.csv"
    write_signal(small_signal, path)
    path.write_text(swap(old, new)(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(DocumentError) as caught:
        read_signal(path)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400
