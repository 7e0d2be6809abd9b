"""MadAnalysis 5 ``.info`` files: signal regions in XML, with covariances between them.

``nobs``, ``nb`` and ``deltanb``, or ``deltanb_stat`` with ``deltanb_syst``; ``covariance`` elements with the name of the other
region. Regions without covariances are not said to exclude each other, so none are merged.
Format: MadAnalysis 5 PAD, E. Conte and B. Fuks, arXiv:1808.00480.
"""

import math
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

import numpy as np

from superbin._support.shown import counted
from superbin.domain.search import Estimate, Process
from superbin.errors import DocumentError, InputError
from superbin.io._text import parse_number
from superbin.io.imports.base import Faults, Imported, Options, Source
from superbin.io.imports.draft import Draft, check_names, whole_counts
from superbin.io.imports.matrices import as_matrix

__all__ = ["IMPORTER", "MadAnalysisImporter"]

_DEEPEST = 16


@dataclass(slots=True)
class _Region:
    name: str
    line: int
    subset: str
    numbers: dict[str, float] = field(default_factory=dict)
    covariances: dict[str, float] = field(default_factory=dict)


class MadAnalysisImporter:
    """An ``.info`` file."""

    name = "madanalysis"
    title = "MadAnalysis 5 region file (NAME.info)"

    def recognises(self, source: Source) -> bool:
        """A file ``.info`` with an ``analysis`` element."""
        return source.suffix == ".info" and b"<analysis" in source.head()

    def read(self, source: Source, options: Options) -> Imported:
        """Read the regions; with ``{"subset": NAME}`` in the mapping those of one ``cov_subset``."""
        faults = Faults(source.path)
        info = _Info(source, faults)
        if not info.regions:
            faults.check()
        regions, notes = _subset(info.regions, options, source)
        for region in regions:
            _check(region, faults)
        names = tuple(region.name for region in regions)
        with faults.gathering():
            check_names(names, str(source.path))
        counts = [r.numbers["nobs"] for r in regions if not math.isnan(r.numbers.get("nobs", math.nan))]
        labels = [r.name for r in regions if not math.isnan(r.numbers.get("nobs", math.nan))]
        with faults.gathering():
            observed = whole_counts(counts, labels, str(source.path))
        matrix = None
        with faults.gathering():
            if any(r.covariances for r in regions):
                matrix = as_matrix(_matrix(regions, faults), str(source.path), names=names)
        faults.check()
        none = np.zeros(len(regions))
        stat = np.array([r.numbers.get("deltanb_stat", 0.0) for r in regions])
        syst = np.array([r.numbers.get("deltanb", r.numbers.get("deltanb_syst", 0.0)) for r in regions])
        nominal = np.array([r.numbers["nb"] for r in regions]) + none
        draft = Draft(
            place=str(source.path),
            name=info.name or source.path.stem,
            observed=observed,
            processes=(Process("background", "Background", Estimate(nominal, stat, stat, syst, syst)),),
            names=names,
            notes=[
                f"MadAnalysis: {counted(len(info.regions), 'region')}, {len(regions)} of them taken",
                *notes,
            ],
            luminosity_fb=info.luminosity,
            texts={"source": f"MadAnalysis 5 analysis {info.name or source.path.stem}"},
            exclusive=False,
            matrix=matrix,
        )
        return draft.imported(self.name, options, source, keys=("subset",))


IMPORTER = MadAnalysisImporter()


class _Info:
    """What the XML says; declarations of documents and entities are refused, so nothing expands."""

    _NUMBERS = ("nobs", "nb", "deltanb", "deltanb_stat", "deltanb_syst")

    def __init__(self, source: Source, faults: Faults) -> None:
        self.path, self.faults = source.path, faults
        self.name = ""
        self.luminosity: float | None = None
        self.regions: list[_Region] = []
        self._region: _Region | None = None
        self._other = ""
        self._open: list[str] = []
        self._text = ""
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        self._parser = parser
        try:
            parser.Parse(source.text().encode(), True)
        except expat.ExpatError as error:
            hint = "; write < in an attribute as &lt;" if "not well-formed" in str(error) else ""
            raise DocumentError(
                f"{source.path}:{error.lineno}: is not valid XML ({expat.ErrorString(error.code)}){hint}"
            ) from error

    def _refuse(self, *_: Any) -> None:
        raise DocumentError(
            f"{self.path}:{self._parser.CurrentLineNumber}: declares a document type or an entity; leave it out"
        )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= _DEEPEST:
            raise DocumentError(f"{self.path}: elements lie more than {_DEEPEST} deep in one another")
        self._open.append(tag)
        self._text = ""
        line = self._parser.CurrentLineNumber
        if tag == "analysis":
            self.name = attributes.get("id", "")
        elif tag == "region":
            self._region = _Region(attributes.get("id", ""), line, attributes.get("cov_subset", ""))
            if attributes.get("type", "signal") == "signal":
                self.regions.append(self._region)
        elif tag == "covariance":
            self._other = attributes.get("region", "")

    def _characters(self, text: str) -> None:
        self._text += text

    def _end(self, tag: str) -> None:
        self._open.pop()
        text = self._text.strip()
        self._text = ""
        if tag == "region":
            self._region = None
        elif tag == "lumi":
            self.luminosity = self._number(tag, text)
        elif self._region is not None and tag in self._NUMBERS:
            self._region.numbers[tag] = self._number(tag, text)
        elif self._region is not None and tag == "covariance":
            self._region.covariances[self._other] = self._number(tag, text)

    def _number(self, tag: str, text: str) -> float:
        try:
            return parse_number(text)
        except InputError as error:
            self.faults.add(f"{tag} {error}", self._parser.CurrentLineNumber)
            return math.nan


def _check(region: _Region, faults: Faults) -> None:
    numbers = region.numbers
    for tag in ("nobs", "nb"):
        if tag not in numbers:
            faults.add(f"region {region.name!r} has no {tag}", region.line)
    for tag, value in numbers.items():
        if tag != "nobs" and value < 0:
            faults.add(f"region {region.name!r}: {tag} is {value:g}; it must be >= 0", region.line)
    if "deltanb" in numbers and {"deltanb_stat", "deltanb_syst"} & numbers.keys():
        faults.add(
            f"region {region.name!r} has deltanb and its parts deltanb_stat, deltanb_syst; keep one of the two",
            region.line,
        )
    elif not {"deltanb", "deltanb_stat", "deltanb_syst"} & numbers.keys():
        faults.add(f"region {region.name!r} has no deltanb", region.line)


def _subset(regions: list[_Region], options: Options, source: Source) -> tuple[list[_Region], list[str]]:
    """Regions of one ``cov_subset``; those of different ones have no covariances with each other."""
    if not regions:
        raise DocumentError(f"{source.path}: has no region of type signal; at least one is needed")
    subsets = sorted({r.subset for r in regions if r.covariances} - {""})
    wanted = options.mapping.get("subset")
    if wanted is not None and wanted not in subsets:
        raise InputError(f"mapping: subset is {wanted!r}; {source.path} has {', '.join(subsets) or 'none'}")
    if wanted is None and len(subsets) > 1:
        raise InputError(
            f"{source.path}: has the covariances of {len(subsets)} subsets ({', '.join(subsets)}); say which with a mapping, "
            f'{{"subset": "{subsets[0]}"}}'
        )
    if not any(r.covariances for r in regions):
        return regions, []
    chosen = [r for r in regions if r.covariances and (wanted is None or r.subset == wanted)]
    left = [r.name for r in regions if r not in chosen]
    return chosen, [f"regions without covariances: {', '.join(left)}; not used"] if left else []


def _matrix(regions: list[_Region], faults: Faults) -> Any:
    places = {r.name: i for i, r in enumerate(regions)}
    matrix = np.full((len(regions), len(regions)), np.nan)
    for i, region in enumerate(regions):
        for other, value in region.covariances.items():
            if other not in places:
                faults.add(
                    f"region {region.name!r} has a covariance with {other!r}, which is not a region of the file",
                    region.line,
                )
                continue
            # A number that is none is a fault already.
            matrix[i, places[other]] = 0.0 if math.isnan(value) else value
    both = np.where(np.isnan(matrix), matrix.T, matrix)
    # What no element states is not correlated; a variance must be stated.
    off = ~np.eye(len(regions), dtype=np.bool_)
    both[off & np.isnan(both)] = 0.0
    missing = np.flatnonzero(np.isnan(np.diag(both)))
    for k in missing:
        faults.add(f"region {regions[k].name!r} has no covariance with itself", regions[k].line)
        both[k, k] = 0.0
    return both
