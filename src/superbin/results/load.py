"""Any result from its document: which kind it is stands in the document."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from superbin._support.json import parse_json
from superbin._support.shown import shortened
from superbin.errors import DocumentError
from superbin.results.analysis import AnalysisResult, result_from_json
from superbin.results.chance import ChanceResult, chance_from_json
from superbin.results.documents import document_text
from superbin.results.likelihood import Correlations, Impacts, Scan, Surface, Yields, drawable
from superbin.results.scan import ScanResult, scan_from_json

__all__ = ["AnyResult", "Drawable", "drawable_of", "load_any", "load_drawable", "result_of"]

AnyResult: TypeAlias = AnalysisResult | ScanResult | ChanceResult

Drawable: TypeAlias = AnyResult | Scan | Surface | Impacts | Yields | Correlations
"""What figures are drawn of: results, and answers of ``superbin likelihood``."""

_READERS: Mapping[str, tuple[str, Callable[..., AnyResult]]] = {
    "result": ("superbin run", result_from_json),
    "scan": ("superbin scan", scan_from_json),
    "chance": ("superbin chance", chance_from_json),
}
"""By the kind in ``superbin/<kind>/<version>``: the command that writes such documents, and what reads them."""


_WRITTEN = "a document of " + ", ".join(verb for verb, _ in _READERS.values())


def load_drawable(path: str | Path) -> Drawable:
    """Read any document that figures are drawn of: as `load_any`, or what ``superbin likelihood`` printed with ``--json``."""
    path = Path(path)
    if path.is_dir():
        return load_any(path)
    return drawable_of(document_text(path, f"give {_WRITTEN}"), place=str(path))


def drawable_of(text: str, *, place: str = "the result") -> Drawable:
    """Read a document as `load_drawable` does, from its text."""
    try:
        document = parse_json(text, place)
    except DocumentError as error:
        raise DocumentError(f"{error}; give {_WRITTEN}") from error
    if isinstance(document, dict) and "schema" not in document:
        try:
            found = drawable(document)
        except Exception as error:  # cattrs has groups of any errors
            raise DocumentError(
                f"{place} is not a document of superbin likelihood: {_innermost(error)}; write it again with --json"
            ) from error
        if found is not None:
            return found
        raise DocumentError(
            f"{place} has no schema and is not an output of superbin likelihood scan, impacts, yields or covariance; give {_WRITTEN}"
        )
    return result_of(text, place=place)


def _innermost(error: BaseException) -> str:
    """The first error of a group of groups, which says what is wrong; those around it say where cattrs was."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return shortened(" ".join(str(error).split()), 200).strip("'\"")


def load_any(path: str | Path) -> AnyResult:
    """Read the document of any command.

    Parameters
    ----------
    path : str or Path
        A ``result.json``, ``scan.json`` or ``chance.json``, or a folder that holds one of the first two.

    Returns
    -------
    AnalysisResult, ScanResult or ChanceResult

    Raises
    ------
    InputError
        If it cannot be read.
    DocumentError
        If it is none of these documents, or breaks its schema.
    """
    path = Path(path)
    if path.is_dir():
        inside = [path / f"{kind}.json" for kind in _READERS if (path / f"{kind}.json").is_file()]
        if len(inside) != 1:
            names = ", ".join(f"{kind}.json" for kind in _READERS)
            found = "none" if not inside else "several"
            raise DocumentError(f"the folder {path} holds {found} of {names}; name the file")
        path = inside[0]
    return result_of(document_text(path, f"give {_WRITTEN}"), place=str(path))


def result_of(text: str, *, place: str = "the result") -> AnyResult:
    """Read a document, whichever command wrote it: as `load_any`, from its text."""
    try:
        document = parse_json(text, place)
    except DocumentError as error:
        raise DocumentError(f"{error}; give {_WRITTEN}") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    parts = schema.split("/") if isinstance(schema, str) else []
    if len(parts) != 3 or parts[0] != "superbin" or parts[1] not in _READERS:
        raise DocumentError(f"{place} has schema {schema!r}; give {_WRITTEN}")
    return _READERS[parts[1]][1](text, place=place)
