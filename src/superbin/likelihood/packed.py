"""The compact form in which a likelihood ships: one JSON document, compressed by gzip.

`read` and `write` move documents, `from_document` turns one into a `PublishedLikelihood`, `from_packed` a compressed one, and
`from_datacards` compiles cards on the spot. Layout of the document::

    format              "superbin-likelihood-2"
    name, source        of the search; notes: changes made and doubts, counted
    background_floor    background rates up to this stand for zero in predictions
    zero_count          processes of control regions that counted none
    global_systematics  nuisances that are the same for every signal
    branches            {parameter: [start, ...]} where several minima are known
    channels            [name, observed, bin or null]
    terms               [channel, process, rate or null for a word, 1 for signal]
    parameters          [name, kind, lower, upper, initial, entries]
    entries             [term] for free rates, [term, factor] or [term, factor at -1, factor at +1] for others
"""

import gzip
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.files import read_limited, unpacked, write_bytes
from superbin._support.json import json_text, parse_json
from superbin.errors import DocumentError, InputError
from superbin.io.datacards import Datacards, Recipe
from superbin.likelihood.cards import FORMAT, compile_cards
from superbin.likelihood.model import CountingModel, IntArray, Parameter, PublishedLikelihood

__all__ = ["from_datacards", "from_document", "from_packed", "read", "write"]


def write(document: Mapping[str, Any], path: str | Path) -> None:
    """Write a document; equal documents give equal bytes.

    Raises
    ------
    OutputError
        If the place cannot be written.
    """
    lines = []
    for key, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], list):
            rows = ",\n".join(_json(row, separators=(",", ":")) for row in value)
            lines.append(f"{_json(key)}:[\n{rows}\n]")
        else:
            lines.append(f"{_json(key)}:{_json(value)}")
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    write_bytes(path, gzip.compress(text.encode(), compresslevel=9, mtime=0))


_json = partial(json_text, place="the likelihood", ensure_ascii=True)


def read(path: str | Path) -> dict[str, Any]:
    """Read a document.

    Raises
    ------
    InputError
        If the file cannot be read.
    DocumentError
        If it is not such a document.
    """
    try:
        content = read_limited(path)
    except DocumentError as error:
        raise DocumentError(f"{path}: not a packed likelihood ({error}); make it again") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; name a packed likelihood") from error
    return _document(content, path)


def from_packed(content: bytes, place: str | Path) -> PublishedLikelihood:
    """Return the likelihood of a packed document's compressed content; `place` is what errors call it.

    Raises
    ------
    DocumentError
        If it is not such a document.
    """
    try:
        text = unpacked(content, place)
    except DocumentError as error:
        raise DocumentError(f"{place}: not a packed likelihood ({error}); make it again") from error
    return from_document(_document(text, place))


def _document(content: bytes, place: str | Path) -> dict[str, Any]:
    try:
        document = parse_json(content.decode(), place)
    except ValueError as error:
        raise DocumentError(f"{place}: not a packed likelihood ({error}); make it again") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DocumentError(f"{place}: not a document of format {FORMAT!r}; make it again")
    return document


def from_datacards(
    cards: Datacards,
    *,
    name: str = "datacards",
    recipe: Recipe | None = None,
    zero_count: Sequence[str] = (),
    global_systematics: Sequence[str] = (),
    branches: Mapping[str, Sequence[float]] | None = None,
) -> PublishedLikelihood:
    """Return the likelihood of cards that were just read; see `compile_cards` for parameters and errors."""
    source = f"{len(cards.files)} datacards"
    return from_document(
        compile_cards(
            cards,
            name=name,
            source=source,
            recipe=recipe,
            zero_count=zero_count,
            global_systematics=global_systematics,
            branches=branches,
        )
    )


def from_document(document: Mapping[str, Any]) -> PublishedLikelihood:
    """Turn a packed document into a likelihood.

    Raises
    ------
    DocumentError
        If a part is missing, has another shape, or points at nothing; the text names the part.
    """
    try:
        return PublishedLikelihood(
            name=str(document["name"]),
            source=str(document["source"]),
            template=_template(document),
            zero_count=tuple(document["zero_count"]),
            global_systematics=tuple(document["global_systematics"]),
            notes=tuple(document["notes"]),
            background_floor=float(document["background_floor"]),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError(
            f"likelihood {document.get('name')!r}: a part is missing or malformed ({error!r}); pack it again"
        ) from error


def _template(document: Mapping[str, Any]) -> CountingModel:
    channels, terms, parameters = (document[key] for key in ("channels", "terms", "parameters"))
    bins = np.array([-1 if row[2] is None else row[2] for row in channels], dtype=np.intp)
    order = sorted(range(len(terms)), key=lambda t: terms[t][0])
    position = {t: i for i, t in enumerate(order)}
    term_channel = np.array([terms[t][0] for t in order], dtype=np.intp)
    term, parameter, log_down, log_up = _entries(parameters, position)
    return CountingModel(
        channels=tuple(row[0] for row in channels),
        bins=bins,
        observed=np.array([row[1] for row in channels], dtype=np.float64),
        processes=tuple(terms[t][1] for t in order),
        term_channel=term_channel,
        term_bin=bins[term_channel],
        rates=np.array([np.nan if terms[t][2] is None else terms[t][2] for t in order], dtype=np.float64),
        signal=np.array([bool(terms[t][3]) for t in order]),
        parameters=tuple(_parameter(row) for row in parameters),
        entry_term=term,
        entry_parameter=parameter,
        log_down=log_down,
        log_up=log_up,
        branches={key: tuple(starts) for key, starts in document["branches"].items()},
    )


def _parameter(row: Sequence[Any]) -> Parameter:
    name, kind, lower, upper, initial, _ = row
    if kind not in ("normal", "flat", "free"):
        raise DocumentError(f"parameter {name!r} has kind {kind!r}; it must be normal, flat or free")
    return Parameter(
        name, kind, -np.inf if lower is None else lower, np.inf if upper is None else upper, float(initial)
    )


def _entries(
    parameters: Sequence[Any], position: Mapping[int, int]
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    rows = []
    for j, (*_, entries) in enumerate(parameters):
        for term, *factors in entries:
            down, up = (factors * 2)[:2] if factors else (1.0, 1.0)
            if len(factors) == 1:
                down = 1 / up
            rows.append((position[term], j, down, up))
    rows.sort(key=lambda row: row[:2])
    table = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return table[0].astype(np.intp), table[1].astype(np.intp), np.log(table[2]), np.log(table[3])
