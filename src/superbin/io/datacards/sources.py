"""The `shapes` lines of a card: which histogram each process of each channel has.

    shapes process channel file nominal [variation]
    shapes process channel FAKE

``*`` stands for every process or channel without a line of its own; the channel is looked up first, as by Combine. In the
names ``$PROCESS``, ``$CHANNEL``, ``$MASS`` and, for variations, ``$SYSTEMATIC`` are replaced, as are the words for which the reader is given a value.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from superbin.errors import DocumentError
from superbin.io.datacards.model import Template
from superbin.io.datacards.records import Record

__all__ = ["DATA", "Sources"]

DATA = "data_obs"
"""The process that stands for what was counted."""

PARAMETRIC = (
    "{what} is an object of a RooFit workspace; parametric shapes are not read. Give binned histograms (TH1) of it, such as those "
    "that text2workspace and FitDiagnostics write, or fit the card with Combine"
)

_TABLES = (".csv", ".json", ".html", ".pkl", ".xlsx", ".h5", ".parquet")


class Sources:
    """The `shapes` lines.

    Parameters
    ----------
    records : sequence of Record
        The lines.
    card : str
        The card, from whose folder files are sought.
    outside : bool
        Whether files may be outside that folder.
    keywords : mapping of str to str
        Values of further words, replaced before the others.

    Raises
    ------
    DocumentError
        If a line is malformed or given twice.
    """

    def __init__(
        self, records: Sequence[Record], card: str, *, outside: bool, keywords: Mapping[str, str]
    ) -> None:
        self._folder = Path(card).parent
        self._outside = outside
        self._keywords = keywords
        self._lines: dict[tuple[str, str], Record] = {}
        self._parametric = False
        for written in records:
            record = replace(written, tokens=tuple(self._filled(token) for token in written.tokens))
            if len(record.tokens) < 4 or (len(record.tokens) == 4 and record.tokens[3] != "FAKE"):
                raise record.error(
                    "a shapes line is 'shapes process channel file histogram [histogram of variations]', or 'shapes process channel FAKE'"
                )
            key = record.tokens[2], record.tokens[1]
            earlier = self._lines.setdefault(key, record)
            if earlier is not record:
                raise record.error(
                    f"process {key[1]!r} in channel {key[0]!r} has a shapes line already, line {earlier.place.line}; keep one"
                )

    def template(self, channel: str, process: str, *, needed: bool = True) -> Template | None:
        """Return where a histogram is, None for a counting experiment.

        Raises
        ------
        DocumentError
            If no line is for this process, its histogram is no TH1 or TH2 in a ROOT file, or the file is outside the card's folder.
        """
        if not self._lines:
            return None
        record = self._line(channel, process)
        if record is None:
            if not needed:
                return None
            first = next(iter(self._lines.values()))
            raise DocumentError(
                f"{first.place}: no shapes line is for process {process!r} in channel {channel!r}; add one, or 'shapes {process} {channel} FAKE' in a counting experiment"
            )
        _, _, _, file, *names = record.tokens
        if file == "FAKE":
            return None
        file, name, *more = (
            text.replace("$PROCESS", process).replace("$CHANNEL", channel) for text in (file, *names)
        )
        variation = more[0] if more else None
        if needed:
            self._check(record, file, name)
        return Template(str(self._folder / file), name, variation, record.place)

    def _filled(self, text: str) -> str:
        for word, value in self._keywords.items():
            text = text.replace(f"${word}", value)
        return text

    def _line(self, channel: str, process: str) -> Record | None:
        own = channel if any(key[0] == channel for key in self._lines) else "*"
        for key in ((own, process), (own, "*"), ("*", process), ("*", "*")):
            if key in self._lines:
                return self._lines[key]
        return None

    def _check(self, record: Record, file: str, name: str) -> None:
        if Path(file).suffix.lower() in _TABLES:
            raise record.error(
                f"the shapes are in {file!r}, which is not a ROOT file; write them as TH1 into a ROOT file"
            )
        if ":" in name:
            again, self._parametric = self._parametric, True
            raise record.error(f"{name!r} is one as well" if again else PARAMETRIC.format(what=repr(name)))
        left = re.sub(r"\$MASS", "", file + name)
        if "$" in left:
            raise record.error(
                f"{record.tokens[3]!r} or {record.tokens[4]!r} has a word with $ that is none of $PROCESS, $CHANNEL, $MASS and $SYSTEMATIC; write what it stands for, "
                "or say it with --keyword-value WORD=VALUE (keywords={'WORD': 'VALUE'} in Python)"
            )
        try:
            folder = self._folder.resolve()
            inside = (folder / file).resolve().is_relative_to(folder)
        except (OSError, ValueError, RuntimeError) as error:
            raise record.error(f"{file!r} is not a name of a file ({error}); name a ROOT file") from error
        if not (inside or self._outside):
            raise record.error(
                f"{file!r} is outside the card's folder; move it there, or allow files outside the folder (--outside, outside=True in Python)"
            )
