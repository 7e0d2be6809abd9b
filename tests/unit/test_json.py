"""The one reader and writer of JSON."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superbin._support import files
from superbin._support import json as _json
from superbin._support.files import read_limited
from superbin._support.json import MAX_DEPTH, json_text, parse_json
from superbin.errors import DocumentError, InputError
from superbin.likelihood.packed import read
from superbin.results import load_result

TEXT = st.text(st.characters(codec="utf-8"))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**300), 10**300)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(DOCUMENTS)
def test_round_trip(document: Any) -> None:
    """RES-6: what is written reads back equal, and as the standard library reads it."""
    text = json_text(document, "x")
    assert parse_json(text, "x") == document == json.loads(text)


REFUSED = {
    # What follows the breach without a break is not looked at.
    "[1e9991.0]": "x:1: $[0]: 1e9991 is too large",
    '{"a": NaNs}': "x:1: $.a: NaN is not a finite number",
    '{"a": [1, NaN]}': "x:1: $.a[1]: NaN is not a finite number",
    '{"a": Infinity}': "x:1: $.a: Infinity is not a finite number",
    '[\n0,\n{"b c": -Infinity}]': "x:3: $[1]['b c']: -Infinity is not a finite number",
    '{"a": 1,\n "a": 1}': "x:2: $.a: the key comes twice",
    '{"a": {"b": 1, "\\u0062": 2}}': "x:1: $.a.b: the key comes twice",
    '{"a": {"b": 1}, "b": {"b": 1}, "c": [{"b": 1}, {"b": 1, "c": 2, "b": 0}]}': "x:1: $.c[1].b: the key comes twice",
    "[1, 1e999]": "x:1: $[1]: 1e999 is too large",
    "[-1e309]": "x:1: $[0]: -1e309 is too large",
    "[1e-400]": "x:1: $[0]: 1e-400 is too small",
    "[1" + 400 * "0" + "]": "is too large",
    "[0." + 500 * "3" + "]": "a number of 502 characters; at most 400",
    "[" * 200 + "]" * 200: "nested too deeply; at most 64 levels",
    "[" * 200_000: "nested too deeply; at most 64 levels",
    '{"a":' * 65 + "0" + "}" * 65: "nested too deeply",
    '["\\ud800"]': "x:1: $[0]: half a surrogate pair",
    '{"\\udc00x": 1}': "half a surrogate pair",
    '{"a" 1}': "x:1: not JSON at column 6",
    "[1]\n]": "x:2: not JSON at column 1",
    "": "x:1: not JSON at column 1",
    "[01]": "not JSON",
    '["\t"]': "not JSON",
    "[1,]": "not JSON",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:20])
def test_refused(text: str) -> None:
    """RES-6: what can mean two things or nothing, with its line, its JSON path and the rule."""
    with pytest.raises(DocumentError) as caught:
        parse_json(text, "x")
    assert REFUSED[text] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_taken() -> None:
    """RES-6: the bounds themselves, and what only looks like a breach."""
    assert parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH, "x")
    assert parse_json('["\\ud83d\\ude00", "NaN", "a", "a"]', "x") == ["😀", "NaN", "a", "a"]
    assert parse_json("[0.0e-999, -0, 1.7976931348623157e308, 5e-324]", "x") == [
        0,
        0,
        1.7976931348623157e308,
        5e-324,
    ]


def test_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """RES-6: a document is bounded, and so is what a small compressed one becomes."""
    plain, packed = tmp_path / "a.json", tmp_path / "likelihood.json.gz"
    plain.write_bytes(b" " * 2000)
    packed.write_bytes(gzip.compress(b" " * 2_000_000))
    assert packed.stat().st_size < 2500
    for module in (files, _json):
        monkeypatch.setattr(module, "MAX_BYTES", 1500)
    with pytest.raises(DocumentError, match="at most 1500 are read"):
        parse_json(" " * 2000, "x")
    for path in (plain, packed):
        with pytest.raises(DocumentError, match="more than any document of superbin"):
            read_limited(path)
    with pytest.raises(DocumentError, match="not a packed likelihood"):
        read(packed)
    with pytest.raises(DocumentError, match="more than any document of superbin"):
        load_result(plain)


@pytest.mark.parametrize(
    "content", ['{"format": NaN}', '{"format": 1, "format": 2}', "[" * 100_000, "", "[1]"]
)
def test_packed_likelihood(tmp_path: Path, content: str) -> None:
    """RES-6: the packed likelihood is read as strictly."""
    path = tmp_path / "l.json.gz"
    path.write_bytes(gzip.compress(content.encode()))
    with pytest.raises(InputError, match=r"l\.json\.gz: not a"):
        read(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_not_written(value: float) -> None:
    """RES-6: nothing that is not a number is written; None is null."""
    with pytest.raises(DocumentError, match=r"^x cannot be written: \$\.a\[1\]\.b is -?(nan|inf)"):
        json_text({"a": [None, {"b": value}]}, "x")
    assert json_text({"a": None}, "x") == '{"a": null}'


def test_nothing_else_reads_json() -> None:
    """RES-6: no other module calls the standard library's reader."""
    package = Path(_json.__file__).parents[1]
    others = [path for path in package.rglob("*.py") if "json.load" in path.read_text(encoding="utf-8")]
    assert [path.relative_to(package).as_posix() for path in sorted(others)] == ["_support/json.py"]
