"""Long tables in hepdata.net's JSON: taken by a pattern, and the same as parsed row by row."""

import json
from pathlib import Path
from typing import Any

import pytest

from superbin.errors import DocumentError
from superbin.io.imports import hepdata_json
from superbin.io.imports.base import Source
from superbin.io.imports.hepdata_json import without_rows
from superbin.io.imports.hepdata_tables import PlainValues, read_tables

Row = dict[str, Any]


def table(rows: list[Row], **layout: Any) -> str:
    headers = [{"colspan": 1, "name": name} for name in ("First", "Second", "Covariance")]
    return json.dumps({"headers": headers, "name": "t", "values": rows, "x_count": 2}, **layout)


def plain(i: int, j: int) -> Row:
    errors = [{"hide": True, "symerror": 0}]
    y = [{"errors": errors, "group": 0, "value": f"{i + 0.25 * j}"}]
    return {"x": [{"value": str(i)}, {"value": f"{j}.5"}], "y": y}


def ranges(i: int, j: int) -> Row:
    x = [{"high": str(i + 1), "low": str(i)}, {"value": f"{j} jets"[:1]}]
    return {"x": x, "y": [{"errors": [{"symerror": "10%"}], "value": f"{i}.{j}"}]}


@pytest.mark.parametrize("row", [plain, ranges])
@pytest.mark.parametrize("layout", [{}, {"indent": 1}, {"separators": (",", ":")}])
def test_the_same_as_row_by_row(
    row: Any, layout: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IMP-7, IMP-9: values, edges and errors are those of the parser."""
    path = tmp_path / "t.json"
    path.write_text(table([row(i, j) for i in range(9) for j in range(9)], **layout))
    assert without_rows(path.read_text())[1] is not None
    (fast,) = read_tables(Source.at(path))
    monkeypatch.setattr(hepdata_json, "SHORTEST", 1000)
    assert without_rows(path.read_text()) == (path.read_text(), None)
    (slow,) = read_tables(Source.at(path))
    for ours, theirs in zip(
        fast.independent + fast.dependent, slow.independent + slow.dependent, strict=True
    ):
        assert (ours.name, ours.units, len(ours.values)) == (theirs.name, theirs.units, 81)
        assert repr(list(ours.values)) == repr(list(theirs.values))
        assert ours.numbers.tobytes() == theirs.numbers.tobytes()
        assert list(ours.labels) == list(theirs.labels)
    assert isinstance(fast.dependent[0].values, PlainValues) == (row is plain)


def change(key: str, value: Any) -> Any:
    def changed(rows: list[Row]) -> None:
        rows[70]["y"][0][key] = value

    return changed


@pytest.mark.parametrize(
    "changed",
    [
        change("value", 'a "quoted" text'), change("value", "two words"), change("value", ""), change("value", 1.5),
        change("group", 1), change("errors", [{"symerror": 1}]), change("low", "2"), lambda rows: rows[70].pop("x"),
        lambda rows: rows.append({"x": [], "y": []}), lambda rows: rows.append("row"),
    ],
)  # fmt: skip
def test_rows_of_another_form_are_parsed(changed: Any) -> None:
    """IMP-7: one row that differs in more than plain texts, and the parser reads the table."""
    rows = [plain(i, j) for i in range(9) for j in range(9)]
    changed(rows)
    text = table(rows)
    assert without_rows(text) == (text, None)


def test_faults_keep_their_lines(tmp_path: Path) -> None:
    """IMP-7: what is no JSON after the rows is refused at its line in the whole file."""
    path = tmp_path / "t.json"
    text = table([plain(i, j) for i in range(9) for j in range(9)], indent=0)
    path.write_text(text.replace('"x_count": 2', '"x_count": NaN'))
    line = text[: text.index('"x_count"')].count("\n") + 1
    with pytest.raises(DocumentError, match=rf"t.json:{line}: \$.x_count: NaN is not a finite number"):
        read_tables(Source.at(path))
