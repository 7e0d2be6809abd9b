"""CheckMATE's reference tables: ``NAME_ref.dat``, with the luminosity from ``NAME_var.j`` beside it.

The table has a row per signal region with observed events, background, its error, and limits on the number of signal
events. It does not say which regions exclude each other, so without a covariance none are merged.
"""

from pathlib import Path

from superbin._support.json import parse_json
from superbin.errors import DocumentError, InputError
from superbin.io.imports.base import Imported, Options, Source
from superbin.io.imports.draft import Draft
from superbin.io.imports.matrices import is_matrix_name, read_matrix
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
            raise InputError(f"{source.path}: {len(found)} tables *_ref.dat in it; name one of them")
        draft = table_draft(Source.at(found[0]), options)
        draft.exclusive = False
        draft.name = found[0].name.removesuffix("_ref.dat")
        _beside(draft, found[0])
        if source.is_folder:
            _covariance(draft, source, options)
        return draft.imported(self.name, options, source, keys=("columns", "decimal"))


IMPORTER = CheckMATEImporter()


def _tables(source: Source) -> list[Path]:
    return [path for path in source.files() if path.name.endswith("_ref.dat")]


def _covariance(draft: Draft, source: Source, options: Options) -> None:
    """The matrix of the folder; the table on its own has pointed it out as not used."""
    found = [path for path in source.files() if is_matrix_name(path.name)]
    if len(found) == 1 and not {"covariance", "correlations"} & options.mapping.keys():
        draft.notes = [note for note in draft.notes if not note.startswith(f"{found[0].name}: not used")]
        draft.matrix = read_matrix(found[0])


def _beside(draft: Draft, table: Path) -> None:
    path = table.with_name(f"{draft.name}_var.j")
    if not path.exists():
        draft.notes.append(f"{path.name}: not there, so the table does not say its luminosity")
        return
    content = parse_json(Source.at(path).text(), path)
    if not isinstance(content, dict):
        raise DocumentError(f"{path}: must be an object with lumi")
    for key, said in (("luminosity_fb", "lumi"), ("sqrt_s_tev", "ecm")):
        if said in content and getattr(draft, key) is None:
            try:
                setattr(draft, key, quantity(key, str(content[said])))
            except InputError as error:
                raise DocumentError(f"{path}: {error}") from error
    about = content.get("long_info")
    title = " ".join(map(str, about)) if isinstance(about, list) else ""
    draft.texts = {
        "title": title,
        "source": f"CheckMATE analysis {draft.name}, implemented by {content.get('author', 'not stated')}",
    } | dict(draft.texts)
    draft.notes.append(
        f"{path.name}: luminosity {content.get('lumi')} fb^-1, energy {content.get('ecm')} TeV"
    )
