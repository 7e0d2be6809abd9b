"""Faults of one file, gathered so that all are reported at once."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from superbin._support.shown import MOST_OF_AN_ERROR, readable
from superbin.errors import DocumentError

__all__ = ["Faults"]


class _SeveralError(DocumentError):
    """Faults of one file, kept apart for a report that they become part of."""

    def __init__(self, text: str, faults: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.faults = faults


class Faults:
    """Faults of one file.

    Parameters
    ----------
    path : Path
        The file, or the folder; every report begins with it.
    unit : str
        What `add` counts: lines, rows, bins.
    """

    _SHOWN, _CHARACTERS = 20, MOST_OF_AN_ERROR - 50

    def __init__(self, path: str | Path, unit: str = "line") -> None:
        self.path, self.unit = path, unit
        self.found: list[str] = []
        self._known: set[str] = set()
        self._lines: set[str] = set()
        self._first: str | None = None

    def add(self, text: str, line: int | None = None) -> None:
        """Note one."""
        self._note(text if line is None else f"{self.unit} {line}: {text}")

    def _note(self, text: str, alone: str | None = None) -> None:
        """Note a fault, with the text that it has where it is the only one."""
        if text not in self._known:
            self._known.add(text)
            self._first = self._first or alone or f"{self.path}: {text}"
            self.found.append(text)

    @contextlib.contextmanager
    def gathering(self, *, once: bool = False) -> Iterator[None]:
        """Note what the body refuses as a fault, and go on after it.

        Parameters
        ----------
        once : bool
            Whether a second fault of the same line is left out, where many things ask for what one line says.
        """
        try:
            yield
        except _SeveralError as error:
            place = str(error).partition(f": {len(error.faults)} faults: ")[0]
            inside = place.removeprefix(f"{self.path}/")
            for text in error.faults:
                self._note(text if place == str(self.path) else f"{inside}: {text}")
        except DocumentError as error:
            self._gather(str(error), once=once)

    def _gather(self, text: str, *, once: bool) -> None:
        placed = re.match(rf"{re.escape(str(self.path))}:(\d+): ", text)
        if placed and once and placed[1] in self._lines:
            return
        if placed:
            self._lines.add(placed[1])
            self._note(f"line {placed[1]}: {text[placed.end() :]}", text)
        elif text.startswith(f"{self.path}: "):
            self._note(text.removeprefix(f"{self.path}: "))
        else:
            self._note(text.removeprefix(f"{self.path}/"), text)

    def check(self) -> None:
        """Raise if there are any.

        Raises
        ------
        DocumentError
        """
        if not self.found:
            return
        if len(self.found) == 1:
            raise DocumentError(self._first)
        shown: list[str] = []
        left = self._CHARACTERS - len(readable(str(self.path)))
        for text in map(readable, self.found[: self._SHOWN]):
            left -= len(text) + 2
            if shown and left < 0:
                break
            shown.append(text)
        more = len(self.found) - len(shown)
        raise _SeveralError(
            f"{self.path}: {len(self.found)} faults: {'; '.join(shown)}{f'; and {more} more' if more else ''}",
            tuple(self.found),
        )
