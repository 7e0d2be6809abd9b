"""Published likelihoods of any form, read as `Likelihood`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from superbin._support.json import parse_json
from superbin.errors import InputError, UnknownNameError
from superbin.io.datacards import Datacards, describe, read_datacards, repeated
from superbin.io.datacards.lint import same_channels
from superbin.io.workspaces import model_from_workspace, read_workspace
from superbin.likelihood.dense import Likelihood
from superbin.statistical_model.effects import FactorCode, MorphCode

__all__ = ["read", "read_cards", "read_files"]


def read(
    path: str | Path,
    *,
    mass: float | None = None,
    outside: bool = False,
    patch: str | Path | None = None,
    patch_name: str | None = None,
    measurement: str | None = None,
    factors: FactorCode = "code4",
    morphs: MorphCode = "code4p",
) -> Likelihood:
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
    Likelihood

    Raises
    ------
    InputError, DocumentError
        As of `superbin.io.workspaces.read_workspace`, `superbin.io.datacards.read_datacards` and
        `superbin.io.datacards.describe`.
    """
    path = Path(path)
    if not _is_workspace(path):
        if patch is not None or patch_name is not None or measurement is not None:
            raise InputError(f"{path}: is no workspace; patches and measurements belong to HistFactory JSON")
        return read_cards(path, mass=mass, outside=outside)
    if mass is not None:
        raise InputError(f"{path}: is a workspace, which has no mass to fill in; leave the mass out")
    return Likelihood(
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
) -> Likelihood:
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

    Raises
    ------
    InputError, DocumentError
        As of `superbin.io.datacards.read_datacards` and `superbin.io.datacards.describe`, or if the same channels are there twice.
    """
    cards = read_datacards(paths, outside=outside)
    _check_twice(cards)
    return Likelihood(describe(cards, mass=mass))


def read_files(files: Mapping[str, bytes], *, name: str = "", mass: float | None = None) -> Likelihood:
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
    if "workspace.json" in files:
        place = f"{name}/workspace.json"
        document = parse_json(files["workspace.json"].decode("utf-8"), place)
        return Likelihood(model_from_workspace(document, source=place, name=name))
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
            return read_cards(Path(folder) / "cards", mass=mass)
        except InputError as error:
            raise type(error)(str(error).replace(folder, name)) from error


def _check_twice(cards: Datacards) -> None:
    pairs = repeated(cards)
    if pairs and len(cards.files) > 1:
        raise InputError(f"{pairs[0][1].place}: {same_channels(pairs)}; leave one of each out")


def _is_workspace(path: Path) -> bool:
    if path.name.endswith((".json", ".json.gz")):
        return True
    try:
        with path.open("rb") as file:
            return file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    except OSError:
        return False
