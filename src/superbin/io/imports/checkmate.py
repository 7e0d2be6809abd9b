"""CheckMATE's reference tables: ``NAME_ref.dat``, with the luminosity from ``NAME_var.j`` beside it.

The table has a row per signal region with observed events, background, its error, and limits on the number of signal
events. It does not say which regions exclude each other, so without a covariance none are merged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from superbin._support.json import parse_json
from superbin._support.shown import counted
from superbin.errors import DocumentError, InputError
from superbin.io.imports.base import Faults, Imported, Options, Source
from superbin.io.imports.draft import Draft
from superbin.io.imports.matrices import Matrix, is_matrix_name, read_matrix
from superbin.io.imports.table import quantity, table_draft

__all__ = ["IMPORTER", "CheckMATEImporter"]


class CheckMATEImporter:
    """``*_ref.dat``, alone or in its folder."""

    name = "checkmate"
    title = "CheckMATE reference table (NAME_ref.dat, with NAME_var.j beside it)"

    def recognises(self, source: Source) -> bool:
        """A file ``*_ref.dat``, or a folder with exactly one."""
        return len(_tables(source)) == 1

    def read(self, source: Source, options: Options) -> Imported:
        """Read the table, the luminosity beside it and, in a folder, the covariance."""
        found = _tables(source)
        if len(found) != 1:
            raise InputError(
                f"{source.path}: {counted(len(found), 'table')} *_ref.dat in it; name one of them"
            )
        name = found[0].name.removesuffix("_ref.dat")
        faults = Faults(found[0])
        about: _About | None = None
        matrix: Matrix | None = None
        path = _matrix_path(source, options)
        with faults.gathering():
            draft = table_draft(Source.at(found[0]), options)
        with faults.gathering():
            about = _beside(found[0].with_name(f"{name}_var.j"))
        with faults.gathering():
            matrix = None if path is None else read_matrix(path)
        faults.check()
        draft.exclusive = False
        draft.name = name
        _add(draft, about)
        if path is not None:
            # The table on its own has pointed it out as not used.
            draft.notes = [note for note in draft.notes if not note.startswith(f"{path.name}: not used")]
            draft.matrix = matrix
        return draft.imported(self.name, options, source, keys=("columns", "decimal", "lowest"))


IMPORTER = CheckMATEImporter()


def _tables(source: Source) -> list[Path]:
    return [path for path in source.files() if path.name.endswith("_ref.dat")]


def _matrix_path(source: Source, options: Options) -> Path | None:
    """The matrix of the folder, unless the mapping names one."""
    if not source.is_folder or {"covariance", "correlations"} & options.mapping.keys():
        return None
    found = [path for path in source.files() if is_matrix_name(path.name)]
    return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class _About:
    """What ``NAME_var.j`` says."""

    content: Mapping[str, Any]
    luminosity_fb: float | None
    sqrt_s_tev: float | None


def _beside(path: Path) -> _About | None:
    if not path.exists():
        return None
    content = parse_json(Source.at(path).text(), path)
    if not isinstance(content, dict):
        raise DocumentError(f"{path}: must be an object with lumi")
    found: dict[str, float | None] = {}
    faults = Faults(path)
    for key, said in (("luminosity_fb", "lumi"), ("sqrt_s_tev", "ecm")):
        try:
            found[key] = quantity(key, str(content[said])) if said in content else None
        except InputError as error:
            faults.add(str(error))
    faults.check()
    return _About(content, found["luminosity_fb"], found["sqrt_s_tev"])


def _add(draft: Draft, about: _About | None) -> None:
    """Add what the file beside the table says; the table's own comments come first."""
    file = f"{draft.name}_var.j"
    if about is None:
        draft.notes.append(f"{file}: missing, so the luminosity is not known")
        return
    content = about.content
    if draft.luminosity_fb is None:
        draft.luminosity_fb = about.luminosity_fb
    if draft.sqrt_s_tev is None:
        draft.sqrt_s_tev = about.sqrt_s_tev
    words = content.get("long_info")
    draft.texts = {
        "title": " ".join(map(str, words)) if isinstance(words, list) else "",
        "source": f"CheckMATE analysis {draft.name}, implemented by {content.get('author', 'not stated')}",
    } | dict(draft.texts)
    draft.notes.append(f"{file}: luminosity {content.get('lumi')} fb^-1, energy {content.get('ecm')} TeV")
