"""Points and grids as files: clauses SIG-11 to SIG-13."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superbin.domain.grid import SignalGrid, SignalPoint
from superbin.errors import DocumentError, InputError, OutputError
from superbin.io.grids import read_grid, read_point, read_points, write_grid, write_point

GRID = """\
# A table of two points.
# schema: "superbin/signal-grid/1"
# model: "T1bbbb"
# search: "small"
# parameters: ["m_mother", "m_lsp"]
# process: "gluino"
# n_bins: 3
# source: "made up"
# settings: {"tune": 14}
# points: [[1000.0, 1.0], [1200.0, 1.0]]
# events: [5000, 6000]
m_mother,m_lsp,bin,efficiency,error
1000,1,1,0.25,0.001
1000,1,3,0.5,0.002
1200,1,2,0,0.0001
"""
POINT: dict[str, Any] = {
    "schema": "superbin/signal-point/1",
    "model": "T1bbbb",
    "parameters": {"m_mother": 1000, "m_lsp": 100},
    "search": "small",
    "events": 5000,
    "seed": 3,
    "efficiencies": [0.1, 0, 0.2],
    "errors": [0.01, 0, 0.02],
    "settings": {"tune": 14},
}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Write a text to a file."""

    def write(text: str, name: str = "grid.csv") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_read_grid(written: Callable[[str], Path]) -> None:
    """SIG-12: as specified, by hand."""
    grid = read_grid(written(GRID))
    assert (grid.model, grid.search, grid.process, grid.source) == ("T1bbbb", "small", "gluino", "made up")
    assert grid.parameters == ("m_mother", "m_lsp")
    assert grid.points.tolist() == [[1000, 1], [1200, 1]]
    assert grid.efficiencies.tolist() == [[0.25, 0, 0.5], [0, 0, 0]]
    assert grid.errors.tolist() == [[0.001, 0, 0.002], [0, 0.0001, 0]]
    assert grid.events.tolist() == [5000, 6000]
    assert dict(grid.settings) == {"tune": 14}


@pytest.mark.parametrize("name", ["grid.csv", "grid.csv.gz"])
def test_grid_round_trip(name: str, written: Callable[[str], Path], tmp_path: Path) -> None:
    """SIG-13: equal content, and equal bytes when written again."""
    grid = read_grid(written(GRID))
    first, second = tmp_path / name, tmp_path / f"again-{name}"
    write_grid(grid, first)
    write_grid(read_grid(first), second)
    assert first.read_bytes() == second.read_bytes()
    content = gzip.decompress(first.read_bytes()) if name.endswith("gz") else first.read_bytes()
    assert content.decode().splitlines()[2:] == GRID.splitlines()[1:]


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("1000,1,3,0.5", "1000,1,1,0.5", ":14: bin 1 of the point (1000, 1) comes twice; remove one row"),
        ("1000,1,3,0.5", "1000,1,4,0.5", ":14: bin 4 does not exist; the header says n_bins is 3"),
        ("1000,1,3,0.5", "1000,1,0,0.5", ":14: bin 0 does not exist"),
        ("1000,1,3,0.5", "1000,1,1.5,0.5", ":14: bin 1.5 does not exist"),
        ("1000,1,3,0.5", "1100,1,3,0.5", ":14: the point (1100, 1) is not among those of the header"),
        ("1000,1,3,0.5", "1000,1,3,nan", ":14: efficiency 'nan' is not a finite number"),
        ("1000,1,3,0.5", "1000,1,3,-0.5", ":14: efficiency is -0.5; it must be >= 0"),
        ("1000,1,3,0.5", "1000,1,3,1.5", ":14: efficiency is 1.5; a fraction of events is at most 1"),
        ("1000,1,3,0.5", "1000,1,3,1e999", ":14: efficiency '1e999' is too large"),
        ("0.5,0.002", "0.5,-1", ":14: error is -1; it must be >= 0"),
        ("0.5,0.002", "0.5", ":14: 4 cells for 5 columns; is the line truncated?"),
        ("m_mother,m_lsp,bin", "m_gluino,m_lsp,bin", ":12: the columns are m_gluino,"),
        (
            "signal-grid/1",
            "signal-grid/2",
            ": schema is 'superbin/signal-grid/2'; this version of superbin reads",
        ),
        ("# events: [5000, 6000]\n", "", ": no line '# events: ...' in the header; add it"),
        ("# events", "# colour: 1\n# events", ":11: unknown key 'colour'"),
        ("# events", "# n_bins: 3\n# events", ":11: key 'n_bins' comes twice"),
        ("[5000, 6000]", "[5000, 6000", ":11: not JSON at column"),
        ("[5000, 6000]", "[5000]", ": events of the grid has shape (1,)"),
        ("[5000, 6000]", '[5000, "x"]', ": events[1] is 'x'; it must be a number"),
        ("[5000, 6000]", "[5000, 0.5]", ": events of the grid in bin 2 is 0.5"),
        ("n_bins: 3", "n_bins: 3.5", ": n_bins is 3.5; it must be a whole number"),
        ("n_bins: 3", "n_bins: 0", ": n_bins is 0; it must be from 1 to 100000"),
        ("n_bins: 3", "n_bins: 3000000000", ": n_bins is 3000000000; it must be from 1 to 100000"),
        ('{"tune": 14}', "[]", ": settings must be a JSON object"),
        (
            '["m_mother", "m_lsp"]',
            '["m_mother", 1]',
            ": parameters is ['m_mother', 1]; it must be a list of names",
        ),
        ("[[1000.0, 1.0], ", "[[1000.0, 1.0], [1000.0, 1.0], ", ": T1bbbb(1000, 1) comes twice in the grid"),
        ("[1200.0, 1.0]]", "[1200.0]]", ": points must be a list of lists of 2 numbers"),
        ("[1200.0, 1.0]]", "1200]", ": points[1] is 1200; it must be a list"),
        ("[1200.0, 1.0]]", "[1200.0, NaN]]", ": NaN is not a finite number"),
        ("[[1000.0, 1.0], [1200.0, 1.0]]", "[]", ": points must be a list of lists of 2 numbers"),
        ("[1200.0, 1.0]]", "[1.0, 1200.0]]", ": the point (1200, 1) is not among those"),
    ],
)
def test_bad_grid_files(old: str, new: str, text: str, written: Callable[[str], Path]) -> None:
    """SIG-12, SIG-13: refused with the file, the line where there is one, and the rule."""
    assert GRID.count(old) == 1
    path = written(GRID.replace(old, new))
    with pytest.raises(DocumentError, match=re.escape(text)) as caught:
        read_grid(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_impossible_point_in_a_file(written: Callable[[str], Path]) -> None:
    """SIG-2, SIG-13: a grid file with an impossible point is refused."""
    text = GRID.replace("[1200.0, 1.0]]", "[1.0, 1200.0]]").replace("1200,1,2,", "1,1200,2,")
    with pytest.raises(DocumentError, match=r"T1bbbb\(1, 1200\) is impossible"):
        read_grid(written(text))


@pytest.mark.parametrize("cut", [0, 10, 60, -1])
def test_cut_gzip(cut: int, tmp_path: Path) -> None:
    """SIG-13: a download that broke off."""
    path = tmp_path / "grid.csv.gz"
    path.write_bytes(gzip.compress(GRID.encode())[:cut])
    with pytest.raises(DocumentError, match=r"grid.csv.gz: (not a complete gzip file|no line)"):
        read_grid(path)


def test_not_gzip(tmp_path: Path) -> None:
    """SIG-13: text under a compressed name."""
    path = tmp_path / "grid.csv.gz"
    path.write_text(GRID)
    with pytest.raises(DocumentError, match="not a complete gzip file"):
        read_grid(path)


def test_missing_files(tmp_path: Path) -> None:
    """SIG-13: missing files, a folder without points and a missing target folder are refused."""
    for read in (read_grid, read_point):
        with pytest.raises(InputError, match="cannot be read"):
            read(tmp_path / "none.csv")
    with pytest.raises(InputError, match="holds no points"):
        read_points(tmp_path)
    with pytest.raises(OutputError, match="cannot write"):
        write_grid(
            SignalGrid.from_points([SignalPoint(**{k: v for k, v in POINT.items() if k != "schema"})]),
            tmp_path / "no" / "g.csv",
        )


# --- points -----------------------------------------------------------------------------------------------


def test_point_round_trip(written: Callable[..., Path], tmp_path: Path) -> None:
    """SIG-11, SIG-13: a point file reads back the same after it is written."""
    read = read_point(written(json.dumps(POINT), "p.json"))
    write_point(read, tmp_path / "q.json")
    assert json.loads((tmp_path / "q.json").read_text()) == POINT
    (again, same) = read_points(tmp_path)
    assert again.label == same.label == "T1bbbb(1000, 100)"
    np.testing.assert_array_equal(again.efficiencies, POINT["efficiencies"])
    np.testing.assert_array_equal(again.errors, POINT["errors"])
    assert (again.events, again.seed, dict(again.settings)) == (5000, 3, {"tune": 14})


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("schema", "superbin/signal-point/2", "schema is 'superbin/signal-point/2'"),
        ("schema", None, "schema is None"),
        ("model", 1, "model is 1; it must be a string"),
        ("events", 0, "events of T1bbbb(1000, 100) is 0"),
        ("events", "many", "events is 'many'; it must be a number"),
        ("events", 1.5, "events is 1.5; it must be a whole number"),
        ("seed", 1e400, "not a finite number"),
        ("efficiencies", [0.1, -0.1, 0.2], "in bin 2 is -0.1"),
        ("efficiencies", [0.1, None, 0.2], "efficiencies[1] is None; it must be a number"),
        ("efficiencies", {}, "efficiencies is {}; it must be a list"),
        ("errors", [0.1], "has shape (1,)"),
        ("parameters", {"m_mother": 1000}, "two are needed"),
        ("parameters", [1000, 1], "parameters is [1000, 1]; it must be an object of numbers"),
        ("parameters", {"m_mother": 100, "m_lsp": 200}, "is impossible"),
        ("settings", 3, "settings must be a JSON object"),
    ],
)
def test_bad_points(key: str, value: Any, text: str, written: Callable[..., Path]) -> None:
    """SIG-13: a point file with a bad value is refused with its name and the value."""
    path = written(json.dumps(POINT | {key: value}), "p.json")
    with pytest.raises(DocumentError, match=re.escape(text)) as caught:
        read_point(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("key", POINT)
def test_missing_keys(key: str, written: Callable[..., Path]) -> None:
    """SIG-13: a point file without one of its keys is refused with the key."""
    path = written(json.dumps({k: v for k, v in POINT.items() if k != key}), "p.json")
    with pytest.raises(DocumentError, match=f"the key '{key}' is missing"):
        read_point(path)
