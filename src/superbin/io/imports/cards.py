"""Datacards of Combine as searches: one card, or a folder of cards with the files of their histograms.

The signal regions become the bins of the search (`superbin.io.imports.models`); the cards themselves and the files that they name go
into the bundle. Keys of the mapping: ``channels``, names of the channels that are bins; ``mass``, what ``$MASS`` stands for;
``negative``, ``"zero"`` to set negative backgrounds to zero; ``observed``, ``"round"`` to take the nearest whole numbers of events.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from superbin._support.files import MOST_FILES, files_within, first_bytes
from superbin._support.shown import counted
from superbin.errors import DocumentError, InputError
from superbin.io._text import read_text
from superbin.io.datacards import Datacards, describe, read_datacards, repeated
from superbin.io.datacards.lint import same_channels
from superbin.io.imports.base import LARGEST_FILE, Imported, Options, Source
from superbin.io.imports.models import model_draft, model_signals, signal_regions

__all__ = ["IMPORTER", "CardsImporter"]

_KEYS = ("channels", "mass", "negative", "observed")
_MOST_LOOKED_AT = 200
_MOST_PASSED = 5_000
"""Files and folders of any kind among which cards are looked for."""


class CardsImporter:
    """A datacard of Combine, or a folder of cards."""

    name = "combine"
    title = "Combine datacards (a card, or a folder of cards with the ROOT files they name)"

    def recognises(self, source: Source) -> bool:
        """A text file with the lines of a card, or a folder with one in any depth."""
        with suppress(DocumentError):  # too many files to look at them all
            return any(_is_card(Source(p)) for p in islice(_texts(source, _MOST_PASSED), _MOST_LOOKED_AT))
        return False

    def read(self, source: Source, options: Options) -> Imported:
        """Read the signal regions, and keep the cards."""
        mapping = options.mapping
        mass = mapping.get("mass")
        if mass is not None and (isinstance(mass, bool) or not isinstance(mass, int | float)):
            raise InputError(f"mapping: mass is {mass!r}; it must be a number")
        paths = [source.path]
        if source.is_folder:
            paths = sorted(p for p in _texts(source) if _is_card(Source(p)))
        cards = read_datacards(paths)
        pairs = repeated(cards)
        if pairs and len(cards.files) > 1:
            raise InputError(
                f"{pairs[0][1].place}: {same_channels(pairs)}; name one card instead of the folder"
            )
        try:
            model = describe(cards, mass=mass)
        except DocumentError as error:
            text = str(error).replace("(mass=125, --mass 125)", 'with a mapping, {"mass": 125}')
            raise DocumentError(text) from error
        notes: list[str] = []
        channels = signal_regions(model, mapping.get("channels"), notes)
        draft = model_draft(model, channels, str(source.path), source.path.name.split(".")[0], mapping)
        draft.signals = model_signals(model, channels, source.path.name, notes)
        if draft.signals:
            notes.append(
                f"signals: {len(draft.signals)}, from {draft.signals[0].name} to {draft.signals[-1].name}"
            )
        size = sum(c.observed.size for c in channels)
        draft.notes[:0] = [
            f"Combine datacards: {counted(len(paths), 'card')}, {counted(len(model.channels), 'channel')}, {len(channels)} of them with {counted(size, 'bin')} are the search",
            *notes,
        ]
        draft.texts = {"source": f"Combine datacards {source.path.name}"}
        files = _files(cards, source)
        search = draft.search(options, source, keys=_KEYS)
        draft.notes.append(f"the likelihood of all channels: kept in {', '.join(list(files)[:10])}")
        return draft.bundled(search, self.name, files=files)


IMPORTER = CardsImporter()


def _texts(source: Source, most: int = MOST_FILES) -> Iterator[Path]:
    """Text files that may be cards."""
    if not source.is_folder:
        yield source.path
        return
    for path in files_within(source.path, most=most):
        if path.name.endswith(".txt") and not path.name.startswith("."):
            yield path


def _is_card(source: Source) -> bool:
    if source.suffix not in (".txt", ".dat", ".card", ".datacard", ""):
        return False
    head = source.head(1 << 16)
    return (
        re.search(rb"^[ \t]*(imax|jmax|kmax|bin|shapes|observation)\s", head, re.MULTILINE) is not None
        and re.search(rb"^[ \t]*process\s", head, re.MULTILINE) is not None
        and re.search(rb"^[ \t]*rate\s", head, re.MULTILINE) is not None
    )


def _files(cards: Datacards, source: Source) -> dict[str, bytes]:
    """Cards and the files that they name, under their names in the folder."""
    folder = os.path.realpath(source.folder)
    named = [*cards.files]
    named += [t.template.file for t in cards.terms if t.template is not None]
    named += [c.template.file for c in cards.channels if c.template is not None]
    found: dict[str, bytes] = {}
    for name in dict.fromkeys(named):
        path = Path(os.path.realpath(name))
        if not path.is_relative_to(folder):
            raise DocumentError(f"{name}: lies outside of {source.folder}; copy it beside the card")
        inside = path.relative_to(folder).as_posix()
        if not re.fullmatch(r"[\w.+/-]+", inside, re.ASCII):
            raise DocumentError(
                f"{name}: has characters that a bundle's files may not have; rename it with letters, digits, . + - and _"
            )
        if path.stat().st_size > LARGEST_FILE:
            raise DocumentError(
                f"{name}: is larger than {LARGEST_FILE >> 20} MiB; a search holds no such file"
            )
        if name in cards.files:
            # Whatever a card was called, it is found again by its ending.
            inside = f"{inside.removesuffix('.gz').removesuffix('.txt')}.txt"
            found[f"cards/{inside}"] = read_text(path).encode()
        else:
            found[f"cards/{inside}"] = first_bytes(path, LARGEST_FILE)
    return found
