"""YAML of HEPData's tables: parsed to texts, lists and mappings, with long columns of plain values taken by a pattern.

A covariance of 1000 bins is three columns of a million entries, for which the YAML parser needs a minute and a half. Entries that say nothing
but a number or a range come as hundreds of lines of one form; each such run of lines is cut out, one entry that names it is left in
its place, and the parser reads the rest. The run becomes a `Run` in the list. If that fails in any way, the whole text goes
through the parser, whose errors name the right line.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from superbin.errors import DocumentError

__all__ = ["Run", "documents"]

MOST_ENTRIES = 10_000_000
"""Entries that aliases may stand for; a few lines can stand for more than any memory holds."""
_ALIAS = re.compile(r"(?:^|[\s\[{,])\*\w")

SHORTEST = 64
"""Entries that a run has at least."""

# A scalar whose text is its value: no quotes, no characters that mean something in YAML.
_SCALAR = r"(?!-\s)[-+.\w]++"
_FORMS = (
    f"value: {_SCALAR}",
    f"{{value: {_SCALAR}}}",
    f"high: {_SCALAR}\n\\1  low: {_SCALAR}",
    f"low: {_SCALAR}\n\\1  high: {_SCALAR}",
    f"{{high: {_SCALAR}, low: {_SCALAR}}}",
    f"{{low: {_SCALAR}, high: {_SCALAR}}}",
)
_RUN = re.compile(
    "^( *+)(?=- )(?:" + "|".join(f"- {form}\n(?:\\1- {form}\n){{{SHORTEST},}}+" for form in _FORMS) + ")",
    re.MULTILINE | re.ASCII,
)
_CELL = re.compile(rf"(?:value|high|low): ({_SCALAR})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Run:
    """Entries of a list that have a value only, or a range only.

    Attributes
    ----------
    texts : sequence of str
        The values, or the lower edges.
    high : sequence of str
        The upper edges; empty for values.
    """

    texts: Sequence[str]
    high: Sequence[str] = ()


class _Loader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]
    """A base loader, which constructs texts, lists and mappings only; the C one is about ten times faster."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        if len(found) != len(node.value):
            seen: set[str] = set()
            for key, _ in node.value:
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value[:40]!r} comes twice in one mapping", key.start_mark
                    )
                seen.add(key.value)
        return found


def documents(text: str, path: Path) -> list[Any]:
    """Parse the documents of a YAML text.

    Returns
    -------
    list
        Texts, lists and mappings; a list may have a `Run` among its entries.

    Raises
    ------
    DocumentError
        If it is not YAML, or has a key twice in one mapping, the text names the line; or if its aliases stand for more than
        `MOST_ENTRIES`.
    """
    short, runs = _without_runs(text)
    if runs and not _ALIAS.search(short):
        try:
            found = _loaded(short)
        except (yaml.YAMLError, RecursionError, ValueError):
            pass
        else:
            if _put_back(found, runs) == set(runs):
                return found
    try:
        found = _loaded(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = "" if mark is None else f":{mark.line + 1}"
        raise DocumentError(
            f"{path}{line}: is not valid YAML ({error.problem}); correct the file, mostly its indentation"
        ) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DocumentError(f"{path}: is not valid YAML ({' '.join(str(error).split())[:100]})") from error
    if _ALIAS.search(text) and _size(found) > MOST_ENTRIES:
        raise DocumentError(
            f"{path}: its aliases (*name) stand for more than {MOST_ENTRIES} entries; write the table without aliases"
        )
    return found


def _size(found: list[Any]) -> float:
    """Entries with all aliases written out; infinite where one stands for what it is in."""
    sizes: dict[int, float] = {}
    waiting: list[Any] = [found]
    while waiting:
        node = waiting[-1]
        inside = [
            c for c in (node.values() if isinstance(node, dict) else node) if isinstance(c, dict | list)
        ]
        begun = sizes.setdefault(id(node), math.inf)  # infinite until all that is in it is counted
        fresh = [c for c in inside if id(c) not in sizes]
        if math.isinf(begun) and fresh:
            waiting += fresh
            continue
        waiting.pop()
        sizes[id(node)] = len(node) + sum(sizes[id(c)] for c in inside)
    return sizes[id(found)]


MOST_LEVELS = 100
"""Lists and mappings in each other; tables have about six. The loader recurses without a bound of its own."""


def _check_levels(text: str) -> None:
    """Refuse what is nested too deeply.

    Raises
    ------
    yaml.YAMLError
    """
    if not _may_be_deep(text):
        return
    levels = 0
    for event in yaml.parse(text, Loader=_Loader):
        levels += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if levels > MOST_LEVELS:
            raise yaml.YAMLError(f"it is nested more than {MOST_LEVELS} levels deep")


def _may_be_deep(text: str) -> bool:
    """Whether brackets, those in texts too, or the beginnings of lines could be nested more deeply than is read."""
    characters = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    steps = np.isin(characters, [*b"[{"]).astype(np.int32) - np.isin(characters, [*b"]}"])
    levels = np.cumsum(steps)
    if levels.size and (levels - np.minimum.accumulate(levels)).max() > MOST_LEVELS - 10:
        return True
    return re.search(rf"^[ ?:-]{{{MOST_LEVELS}}}", text, re.MULTILINE) is not None


def _loaded(text: str) -> list[Any]:
    _check_levels(text)
    # No tag is resolved or constructed by a base loader.
    return list(yaml.load_all(text, Loader=_Loader))


def _without_runs(text: str) -> tuple[str, dict[str, Run]]:
    """The text with one entry in the place of every run, and the runs by the value of that entry."""
    name = "run"
    while name in text:
        name += "_"
    runs: dict[str, Run] = {}
    parts: list[str] = []
    start = 0
    for match in _RUN.finditer(text):
        # The last entry stays, because the lines after it may belong to it.
        stop = text.rindex(f"\n{match[1]}- ", 0, match.end() - 1) + 1
        parts += [text[start : match.start()], f"{match[1]}- value: {name}{len(runs)}\n"]
        cells = _CELL.findall(text, match.start(), stop)
        runs[f"{name}{len(runs)}"] = _run(cells, text[match.start() : match.start() + len(match[1]) + 8])
        start = stop
    return "".join([*parts, text[start:]]), runs


def _run(cells: list[str], begin: str) -> Run:
    if "value" in begin:
        return Run(cells)
    low, high = cells[::2], cells[1::2]
    return Run(high, low) if "high" in begin else Run(low, high)


def _put_back(content: Iterable[Any], runs: dict[str, Run]) -> set[str]:
    """Put runs in the place of the entries that name them, in the columns of tables; gives those that were found."""
    found: set[str] = set()
    for cells in _columns(content):
        for i, cell in enumerate(cells):
            name = cell.get("value") if isinstance(cell, dict) and len(cell) == 1 else None
            if isinstance(name, str) and name in runs:
                cells[i] = runs[name]
                found.add(name)
    return found


def _columns(content: Iterable[Any]) -> Iterator[list[Any]]:
    for document in content:
        for key in ("independent_variables", "dependent_variables"):
            columns = document.get(key) if isinstance(document, dict) else None
            for column in columns if isinstance(columns, list) else ():
                cells = column.get("values") if isinstance(column, dict) else None
                if isinstance(cells, list):
                    yield cells
