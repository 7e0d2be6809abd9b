"""Published likelihoods of any form, each read as the engine that suits its size."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from superbin._support.files import first_bytes
from superbin._support.json import parse_json
from superbin.errors import DocumentError, InputError, UnknownNameError
from superbin.io.datacards import Datacards, describe, read_datacards, repeated
from superbin.io.datacards.lint import same_channels
from superbin.io.workspaces import model_from_workspace, read_workspace, with_known_poi
from superbin.likelihood.counting import CountingLikelihood, counting_model
from superbin.likelihood.dense import Likelihood
from superbin.likelihood.engine import Engine
from superbin.statistical_model import StatisticalModel
from superbin.statistical_model.effects import FactorCode, MorphCode

__all__ = [
    "engine_of",
    "engine_of_cards",
    "model_of_files",
    "model_of_workspace",
    "read",
    "read_cards",
    "read_files",
]

LARGE = 300
"""Parameters above which a purely counting model is fitted by the sparse engine: dense Hessians cost their cube."""


def engine_of(model: StatisticalModel) -> Engine:
    """Return a description with the engine that suits it: sparse for large counting models, dense for the others.

    Parameters
    ----------
    model : StatisticalModel
        The description.
    """
    counting = counting_model(model) if len(model.parameters) > LARGE else None
    if counting is None:
        return Likelihood(model)
    return CountingLikelihood(counting, name=model.name, strength=model.signal_strengths[0])


def read(
    path: str | Path,
    *,
    mass: float | None = None,
    outside: bool = False,
    keywords: Mapping[str, str] | None = None,
    patch: str | Path | None = None,
    patch_name: str | None = None,
    measurement: str | None = None,
    factors: FactorCode = "code4",
    morphs: MorphCode = "code4p",
) -> Engine:
    """Read a published likelihood: a Combine datacard, a folder of datacards, or a HistFactory JSON workspace.

    A file is a workspace if its name ends in ``.json`` or ``.json.gz``, or its text begins with a brace; else it is a card.

    Parameters
    ----------
    path : str or Path
        The file or folder.
    mass : float, optional
        Of a card: what ``$MASS`` and ``MH`` stand for.
    outside : bool
        Of a card: whether it may name ROOT files outside its folder.
    keywords : mapping of str to str, optional
        Of a card: what ``$WORD`` stands for in its shapes lines.
    patch : str or Path, optional
        Of a workspace: a JSON Patch, or a patch set, that adds the signal.
    patch_name : str, optional
        Which patch of a patch set.
    measurement : str, optional
        Of a workspace: by default the first one.
    factors : {"code4", "code1"}
        Of a workspace: interpolation of normsys.
    morphs : {"code4p", "code0", "code2"}
        Of a workspace: interpolation of histosys.

    Returns
    -------
    Engine
        `Likelihood`, or `CountingLikelihood` for a counting model of more than 300 parameters; one can ask the same of both.

    Raises
    ------
    InputError, DocumentError
        As of `superbin.io.workspaces.read_workspace`, `superbin.io.datacards.read_datacards` and
        `superbin.io.datacards.describe`.
    """
    path = Path(path)
    if not _is_workspace(path):
        if patch is not None or patch_name is not None or measurement is not None:
            raise InputError(
                f"{path}: is not a workspace; patches and measurements belong to HistFactory JSON"
            )
        return read_cards(path, mass=mass, outside=outside, keywords=keywords)
    if mass is not None or keywords:
        raise InputError(f"{path}: is a workspace, which has no mass or keyword to fill in; leave them out")
    return engine_of(
        read_workspace(
            path,
            patch=None if patch is None else Path(patch),
            patch_name=patch_name,
            measurement=measurement,
            factors=factors,
            morphs=morphs,
        )
    )


def read_cards(
    paths: str | Path | Iterable[str | Path] | Mapping[str, str | Path],
    *,
    mass: float | None = None,
    outside: bool = False,
    keywords: Mapping[str, str] | None = None,
) -> Engine:
    """Read datacards, combined into one likelihood.

    Parameters
    ----------
    paths : path, iterable of paths, or mapping of labels to paths
        As of `superbin.io.datacards.read_datacards`: nuisances of one name are shared; with labels channels are renamed as Combine's
        combineCards.py does it.
    mass : float, optional
        What ``$MASS`` and ``MH`` stand for.
    outside : bool
        Whether cards may name ROOT files outside their folder.
    keywords : mapping of str to str, optional
        What ``$WORD`` stands for in their shapes lines.

    Raises
    ------
    InputError, DocumentError
        As of `superbin.io.datacards.read_datacards` and `superbin.io.datacards.describe`, or if the same channels are there twice.
    """
    return engine_of_cards(read_datacards(paths, outside=outside, keywords=keywords), mass=mass)


def read_files(files: Mapping[str, bytes], *, name: str = "", mass: float | None = None) -> Engine:
    """Read the likelihood among the files of a bundle: ``workspace.json``, or the cards in ``cards/``.

    Parameters
    ----------
    files : mapping of str to bytes
        As of `superbin.domain.bundle.Bundle`, or of the database.
    name : str
        Of the search, for messages.
    mass : float, optional
        Of cards: what ``$MASS`` and ``MH`` stand for.

    Raises
    ------
    UnknownNameError
        If there is none; the text names the search.
    InputError, DocumentError
        As of `read`.
    """
    return engine_of(model_of_files(files, name=name, mass=mass)[1])


def model_of_workspace(document: object, *, source: str, name: str = "") -> StatisticalModel:
    """The model of a parsed workspace, which may lack the parameter of interest that only patches bring.

    Raises
    ------
    DocumentError
        As of `superbin.io.workspaces.model_from_workspace`.
    """
    return model_from_workspace(with_known_poi(document), source=source, name=name)


def model_of_files(
    files: Mapping[str, bytes], *, name: str = "", mass: float | None = None
) -> tuple[Any, StatisticalModel]:
    """The model among the files of a bundle, with its parsed workspace or None for cards; arguments and errors as of `read_files`."""
    if "workspace.json" in files:
        place = f"{name}/workspace.json"
        document = parse_json(files["workspace.json"].decode("utf-8"), place)
        return document, model_of_workspace(document, source=place, name=name)
    inside = {
        file: content for file, content in files.items() if file.startswith("cards/") and ".." not in file
    }
    if not inside:
        raise UnknownNameError(f"search {name!r} has no workspace.json and no cards among its files")
    with TemporaryDirectory(prefix="superbin-") as folder:
        for file, content in inside.items():
            path = Path(folder) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        try:
            return None, _model_of_cards(read_datacards(Path(folder) / "cards"), mass=mass, name=name)
        except InputError as error:
            raise type(error)(str(error).replace(folder, name)) from error


def engine_of_cards(cards: Datacards, *, mass: float | None = None, name: str = "") -> Engine:
    """Return cards that are read with the engine that suits them.

    Parameters
    ----------
    cards : Datacards
        One card or several combined.
    mass, name
        As of `superbin.io.datacards.describe`.

    Raises
    ------
    DocumentError
        As of `superbin.io.datacards.describe`, or if several cards hold the same channels.
    """
    return engine_of(_model_of_cards(cards, mass=mass, name=name))


def _model_of_cards(cards: Datacards, *, mass: float | None, name: str) -> StatisticalModel:
    pairs = repeated(cards) if len(cards.files) > 1 else ()
    if pairs:
        raise DocumentError(f"{pairs[0][1].place}: {same_channels(pairs)}; leave one of each out")
    return describe(cards, mass=mass, name=name)


def _is_workspace(path: Path) -> bool:
    if path.name.endswith((".json", ".json.gz")):
        return True
    try:
        return first_bytes(path, 1024).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    except OSError:
        return False
