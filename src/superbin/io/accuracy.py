"""What is known of the accuracy of simulated signals in a search: the file ``signal-accuracy.json`` of a bundle.

A list of objects with ``text``, and where it holds: ``models`` or ``except_models``, and the ranges ``mass`` and ``difference`` in GeV,
``[low, high]``, whose upper end may be null.
"""

import math
from pathlib import Path
from typing import Any

from superbin._support.json import parse_json
from superbin.domain.grid import AccuracyStatement
from superbin.errors import DocumentError

__all__ = ["parse_statements"]

_KEYS = {"text", "models", "except_models", "mass", "difference"}


def parse_statements(text: str, place: str | Path) -> tuple[AccuracyStatement, ...]:
    """Read the statements.

    Raises
    ------
    DocumentError
        If the text is not such a list; the error names the entry.
    """
    content = parse_json(text, place)
    if not isinstance(content, list):
        raise DocumentError(f'{place}: is not a list of statements; write [{{"text": "..."}}]')
    return tuple(_statement(entry, f"{place}, entry {i}") for i, entry in enumerate(content, start=1))


def _statement(entry: Any, place: str) -> AccuracyStatement:
    if not isinstance(entry, dict) or not isinstance(entry.get("text"), str) or set(entry) - _KEYS:
        raise DocumentError(
            f"{place}: a statement has a text, and of {', '.join(sorted(_KEYS - {'text'}))} what it needs"
        )
    for key in ("models", "except_models"):
        if not all(isinstance(name, str) for name in entry.get(key, ())):
            raise DocumentError(f"{place}: {key} must be a list of names")
    models = entry.get("models")
    return AccuracyStatement(
        text=entry["text"],
        models=None if models is None else tuple(models),
        except_models=tuple(entry.get("except_models", ())),
        mass=_range(entry.get("mass", [0, None]), place),
        difference=_range(entry.get("difference", [0, None]), place),
    )


def _range(ends: Any, place: str) -> tuple[float, float]:
    if not isinstance(ends, list) or len(ends) != 2 or not isinstance(ends[0], int | float):
        raise DocumentError(f"{place}: a range is [low, high] in GeV, high may be null")
    high = math.inf if ends[1] is None else ends[1]
    if not isinstance(high, int | float) or not ends[0] < high:
        raise DocumentError(
            f"{place}: the range {ends} is empty; its upper end must lie above the lower one, or be null"
        )
    return float(ends[0]), float(high)
