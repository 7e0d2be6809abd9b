"""Results and searches as files that other tools load.

`entry_of` brings a result, a scan or a bundle into one form, `files_of` writes it in a format of `FORMATS`: a format is one function
from an `Entry` to files, in a module of its own. Specified in ``specs/export.md``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from superbin.errors import UnknownNameError
from superbin.export.entry import Entry, Point, Region, entry_of, with_likelihood_limits

__all__ = ["FORMATS", "Entry", "Format", "Point", "Region", "entry_of", "files_of", "with_likelihood_limits"]

Files = Mapping[str, bytes]
"""Contents by relative path."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format.

    Attributes
    ----------
    name : str
    title : str
        What it is, for help.
    module : str
        Whose ``files`` writes it; imported when it is used.
    """

    name: str
    title: str
    module: str

    def files(self, entry: Entry) -> Files:
        """The files of an entry, by relative path; one file alone can be piped.

        Raises
        ------
        InputError
            If the entry lacks what the format needs; the text says what and what to export in its place.
        """
        write: Callable[[Entry], Files] = import_module(f"superbin.export.{self.module}").files
        return write(entry)


FORMATS: Mapping[str, Format] = {
    found.name: found
    for found in (
        Format("combine", "counting datacard of CMS Combine", "combine"),
        Format("csv", "tables of regions and signals", "tables"),
        Format("hepdata", "submission for HEPData", "hepdata"),
        Format("hs3", "HS3 JSON, for RooFit", "hs3"),
        Format("madanalysis", "region file of MadAnalysis 5", "madanalysis"),
        Format("parquet", "table of signals for data frames", "parquet"),
        Format("pyhf", "HistFactory JSON workspace", "pyhf"),
        Format("smodels", "entry of a SModelS 3.2 text database", "smodels"),
        Format("spey", "input of spey's models of correlated backgrounds", "spey"),
    )
}
"""All formats, by name."""


def files_of(source: object, name: str) -> Files:
    """Write a result, scan or bundle in a format.

    Parameters
    ----------
    source : AnalysisResult, ScanResult or Bundle
    name : str
        One of `FORMATS`.

    Returns
    -------
    mapping of str to bytes
        Contents by relative path.

    Raises
    ------
    UnknownNameError
        If there is no such format.
    InputError
        If the source lacks what it needs.
    """
    if name not in FORMATS:
        raise UnknownNameError(f"format {name!r} is unknown; use one of {', '.join(FORMATS)}")
    return FORMATS[name].files(entry_of(source))
