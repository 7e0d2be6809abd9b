"""Published likelihoods of any form, each read as the engine that suits its size."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from superbin.errors import DocumentError, InputError
from superbin.io.datacards import Datacards, describe, read_datacards, repeated
from superbin.io.datacards.lint import same_channels
from superbin.io.workspaces import read_workspace
from superbin.likelihood.counting import CountingLikelihood, counting_model
from superbin.likelihood.dense import Likelihood
from superbin.likelihood.engine import Engine
from superbin.statistical_model import StatisticalModel
from superbin.statistical_model.effects import FactorCode, MorphCode

__all__ = ["engine_of", "engine_of_cards", "read", "read_cards"]

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
            raise InputError(f"{path}: is no workspace; patches and measurements belong to HistFactory JSON")
        return read_cards(path, mass=mass, outside=outside)
    if mass is not None:
        raise InputError(f"{path}: is a workspace, which has no mass to fill in; leave the mass out")
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

    Raises
    ------
    InputError, DocumentError
        As of `superbin.io.datacards.read_datacards` and `superbin.io.datacards.describe`, or if the same channels are there twice.
    """
    return engine_of_cards(read_datacards(paths, outside=outside), mass=mass)


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
    pairs = repeated(cards) if len(cards.files) > 1 else ()
    if pairs:
        raise DocumentError(f"{pairs[0][1].place}: {same_channels(pairs)}; leave one of each out")
    return engine_of(describe(cards, mass=mass, name=name))


def _is_workspace(path: Path) -> bool:
    if path.name.endswith((".json", ".json.gz")):
        return True
    try:
        with path.open("rb") as file:
            return file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    except OSError:
        return False
