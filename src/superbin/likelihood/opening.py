"""Opens a card, a folder of cards or a workspace, whichever a path or a text holds."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from superbin._support.files import first_bytes
from superbin._support.json import parse_json
from superbin._support.shown import counted
from superbin.errors import InputError
from superbin.io.datacards import read_datacards
from superbin.io.workspaces import read_workspace, workspace_from_document
from superbin.likelihood.cards import notes_of
from superbin.likelihood.counting import CountingLikelihood
from superbin.likelihood.dense import Likelihood
from superbin.likelihood.engine import Engine
from superbin.likelihood.packed import from_datacards
from superbin.likelihood.reading import engine_of_cards

__all__ = ["Opened", "open_file", "open_text"]

_FOR_CARDS = {"mass": "mass", "outside": "outside", "keywords": "keyword-value", "bins": "bins"}

_FOR_WORKSPACES = ("patch", "patch_name", "measurement")


@dataclass(frozen=True, slots=True)
class Opened:
    """A likelihood with where it came from.

    Attributes
    ----------
    engine : Engine
    source : str
        In words.
    notes : tuple of str
        What is doubtful in the files.
    """

    engine: Engine
    source: str
    notes: tuple[str, ...] = ()


def open_file(path: Path, **settings: Any) -> Opened:
    """Open a path.

    Parameters
    ----------
    path : Path
        A workspace (``.json``, ``.json.gz``) or a folder with one, a card, or a folder of cards.
    **settings
        ``patch``, ``patch_name``, ``measurement`` of a workspace; ``mass``, ``outside``, ``keywords`` and ``bins`` (to merge) of cards; ``interpolation`` of
        log-normal factors; None for what is not given.

    Raises
    ------
    InputError
        If a file cannot be read, or a setting does not belong to its form.
    DocumentError
        If a file breaks its format.
    """
    if path.is_dir():
        path = _workspace_in(path) or path
    if path.is_file() and is_workspace(path):
        factors = _for_workspace(str(path), settings)
        model = read_workspace(
            path,
            patch=settings.get("patch"),
            patch_name=settings.get("patch_name"),
            measurement=settings.get("measurement"),
            factors=factors,
        )
        return Opened(Likelihood(model), f"workspace {model.name}")
    return _cards(path, str(path), settings)


def open_text(text: str, *, source: str = "standard input", **settings: Any) -> Opened:
    """Open a text: JSON is a workspace, anything else a card.

    Parameters
    ----------
    text : str
        The content.
    source : str
        Where it came from, for messages.
    **settings
        As of `open_file`.
    """
    if text.lstrip()[:1] in {"{", "["}:
        factors = _for_workspace(source, settings)
        model = workspace_from_document(
            parse_json(text, source),
            source=source,
            patch=settings.get("patch"),
            patch_name=settings.get("patch_name"),
            measurement=settings.get("measurement"),
            factors=factors,
        )
        return Opened(Likelihood(model), f"workspace, {source}")
    # A card may name other files only in its folder; text has none.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "card.txt"
        path.write_text(text, encoding="utf-8")
        try:
            return _cards(path, source, settings)
        except InputError as error:
            raise type(error)(str(error).replace(str(path), source)) from error


def is_workspace(path: Path) -> bool:
    """Whether a file is HistFactory JSON: by its name, or else by its first character."""
    if path.name.endswith((".json", ".json.gz")):
        return True
    try:
        return first_bytes(path, 256).lstrip()[:1] == b"{"
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror or error}; name a card, a folder or a workspace"
        ) from error


def _workspace_in(folder: Path) -> Path | None:
    """The only workspace of a folder without cards, beside which patches may stand; None where there is none."""
    files = sorted(folder.iterdir())
    if any(file.suffix == ".txt" for file in files):
        return None
    found = [
        file for file in files if file.is_file() and file.suffix == ".json" and _begins_as_workspace(file)
    ]
    if len(found) > 1:
        raise InputError(
            f"{folder}: holds several workspaces, {', '.join(f.name for f in found[:5])}; name one of them"
        )
    return found[0] if found else None


def _begins_as_workspace(path: Path) -> bool:
    head = first_bytes(path, 1 << 18).lstrip()
    return (
        head[:1] == b"{"
        and b'"patches"' not in head
        and any(key in head for key in (b'"channels"', b'"measurements"'))
    )


def _for_workspace(source: str, settings: dict[str, Any]) -> Any:
    for name, option in _FOR_CARDS.items():
        if settings.get(name):
            raise InputError(f"{source}: is a workspace; leave out --{option}")
    return settings.get("interpolation") or "code4"


def _cards(path: Path, source: str, settings: dict[str, Any]) -> Opened:
    for name in _FOR_WORKSPACES:
        if settings.get(name) is not None:
            raise InputError(f"{source}: is not a workspace; leave out --{name.replace('_', '-')}")
    cards = read_datacards(path, outside=bool(settings.get("outside")), keywords=settings.get("keywords"))
    words = f"{counted(len(cards.files), 'datacard')}, {source}"
    bins, interpolation = settings.get("bins"), settings.get("interpolation")
    if bins or interpolation:  # what only the counting engine can do
        published = from_datacards(cards, name=path.name)
        filled = published.as_written(interpolation=interpolation or "combine")
        engine: Engine = CountingLikelihood(filled.merged(bins) if bins else filled, name=path.name)
        notes = published.notes
    else:
        engine = engine_of_cards(cards, mass=settings.get("mass"), name=path.name)
        notes = notes_of(cards)
    return Opened(engine, words, tuple(note.replace(str(path), source) for note in notes))
