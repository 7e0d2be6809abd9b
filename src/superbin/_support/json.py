"""JSON as superbin reads and writes it: every document passes here.

`parse_json` takes JSON as RFC 8259 has it, where a document can mean only one thing: finite numbers, each key once, and
within bounds. `json_text` writes what `parse_json` reads. Specified in ``specs/results.md``.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from superbin._support.files import MAX_BYTES
from superbin.errors import DocumentError

__all__ = ["MAX_DEPTH", "json_text", "parse_json"]

MAX_DEPTH = 64
"""Levels of lists and objects in each other."""

MAX_NUMBER = 400
"""Characters of a number; a double has at most 309 digits before the point."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_CONSTANTS = ("NaN", "Infinity", "-Infinity")
_BEGUN = re.compile(r"NaN|-?Infinity|-?\d+(\.\d+)?([eE][-+]?\d+)?", re.ASCII)
# The beginning of an escape that needs a second one.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SHOWN = 40


def parse_json(text: str, place: str | Path, *, first_line: int = 1) -> Any:
    """Parse a JSON document.

    Parameters
    ----------
    text : str
        The document.
    place : str or Path
        The file, or what else to call it in an error text.
    first_line : int
        The line of the file in which it begins.

    Returns
    -------
    object
        None, bool, int, float, str, list and dict in each other.

    Raises
    ------
    DocumentError
        If it is not JSON, or has NaN, an infinity, a number that a double cannot hold, a key twice in one object, half
        a surrogate pair, more than `MAX_DEPTH` levels or more than `superbin._support.files.MAX_BYTES` characters. The text
        names the line and the JSON path.

    Examples
    --------
    >>> parse_json('{"a": [1, 0.5, null]}', "x.json")
    {'a': [1, 0.5, None]}
    >>> parse_json('{"a": NaN}', "x.json")
    Traceback (most recent call last):
    superbin.errors.DocumentError: x.json:1: $.a: NaN is not a finite number; write null where there is no value
    """
    if len(text) > MAX_BYTES:
        raise DocumentError(f"{place}: {len(text)} characters of JSON; at most {MAX_BYTES} are read")
    try:
        found = json.loads(
            text, parse_constant=_refuse, parse_float=_float, parse_int=_int, object_pairs_hook=_object
        )
        if _depth(found) > MAX_DEPTH or _SURROGATE.search(text):
            _explain(text, place, first_line)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise DocumentError(f"{place}:{line}: not JSON at column {error.colno}: {error.msg}") from error
    except (_BreachError, RecursionError):
        _explain(text, place, first_line)
        raise
    return found


def json_text(document: Any, place: str, **layout: Any) -> str:
    """Write a JSON document, which has no NaN and no infinity; None becomes null.

    Parameters
    ----------
    document : object
        Plain values.
    place : str
        What to call it in an error text.
    **layout
        Of `json.dumps`: ``indent``, ``separators``, ``sort_keys``, ``ensure_ascii`` (here false by default).

    Raises
    ------
    DocumentError
        If a number is NaN or infinite; the text names the JSON path.
    """
    try:
        return json.dumps(document, allow_nan=False, **{"ensure_ascii": False, **layout})
    except ValueError as error:
        path, value = next(_not_finite(document, "$"), ("$", error))
        raise DocumentError(
            f"{place} cannot be written: {path} is {value}, and JSON has finite numbers only; null is for what has no "
            "value"
        ) from error


class _BreachError(Exception):
    """A rule is broken somewhere; where is looked for only then."""


def _refuse(constant: str) -> NoReturn:
    raise _BreachError(constant)


def _float(text: str) -> float:
    if _number_breach(text):
        raise _BreachError(text)
    return float(text)


def _int(text: str) -> int:
    if _number_breach(text):
        raise _BreachError(text)
    return int(text)


def _number_breach(text: str) -> str | None:
    """What is wrong with a number."""
    value = float(text)
    if math.isinf(value):
        return f"{_shown(text)} is too large for a floating-point number"
    if len(text) > MAX_NUMBER:
        return f"a number of {len(text)} characters; at most {MAX_NUMBER} are read"
    if value == 0 and re.search("[1-9]", re.split("[eE]", text)[0]):
        return f"{_shown(text)} is too small for a floating-point number"
    return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _BreachError("a key comes twice")
    return found


def _depth(document: Any) -> int:
    """Levels of lists and objects."""
    level, depth = [document], 0
    while level := [entry for entry in level if isinstance(entry, dict | list)]:
        level = [c for entry in level for c in (entry.values() if isinstance(entry, dict) else entry)]
        depth += 1
    return depth


@dataclass
class _Frame:
    """A list or an object that the search for a breach is in."""

    opened: str
    at: int | str = 0
    keys: set[str] = field(default_factory=set)
    wants_key: bool = True


def _explain(text: str, place: str | Path, first_line: int) -> None:
    """Say where the first breach is."""
    frames: list[_Frame] = []
    for match in _TOKEN.finditer(text):
        breach = _step(frames, match.group())
        if breach is not None:
            line = first_line + text.count("\n", 0, match.start())
            raise DocumentError(f"{place}:{line}: {_path(frames)}: {breach}") from None


def _step(frames: list[_Frame], token: str) -> str | None:
    """Follow one token of a document that is JSON up to here; gives the rule it breaks."""
    top = frames[-1] if frames else None
    if token in ("{", "["):
        if len(frames) == MAX_DEPTH:
            return f"nested too deeply; at most {MAX_DEPTH} levels are read"
        frames.append(_Frame(token))
    elif token in ("}", "]"):
        frames.pop()
    elif token == ":":
        pass
    elif top is not None and token == ",":
        top.wants_key = True
        top.at = top.at + 1 if isinstance(top.at, int) else top.at
    elif top is not None and top.opened == "{" and top.wants_key:
        key = json.loads(token)
        top.at, top.wants_key = key, False
        if key in top.keys:
            return "the key comes twice; remove one of the two"
        top.keys.add(key)
        return _text_breach(key)
    else:
        return _value_breach(token)
    return None


def _value_breach(token: str) -> str | None:
    # The reader stops at the breach, so what follows without a break may be no JSON at all.
    if (begun := _BEGUN.match(token)) is not None:
        token = begun.group()
    if token in _CONSTANTS:
        return f"{token} is not a finite number; write null where there is no value"
    if token.startswith('"'):
        return _text_breach(json.loads(token))
    return None if token in ("true", "false", "null") else _number_breach(token)


def _text_breach(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return "half a surrogate pair is not a text"
    return None


def _path(frames: list[_Frame]) -> str:
    return "$" + "".join(_part(frame.at) for frame in frames)


def _part(at: int | str) -> str:
    """A step of a JSON path."""
    if isinstance(at, int):
        return f"[{at}]"
    return f".{at}" if at.isidentifier() and len(at) <= _SHOWN else f"[{_shown(ascii(at))}]"


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _not_finite(document: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(document, float) and not math.isfinite(document):
        yield path, document
    elif isinstance(document, dict):
        for key, entry in document.items():
            yield from _not_finite(entry, path + _part(str(key)))
    elif isinstance(document, list | tuple):
        for i, entry in enumerate(document):
            yield from _not_finite(entry, path + _part(i))
