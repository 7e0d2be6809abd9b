"""Entries of the SModelS text database: signal regions, covariance and efficiency maps.

Both layouts are read: 3.1 and earlier, with ``datasetOrder`` and ``covariance`` in ``globalInfo.txt``, and 3.2, with
``regionSets`` and ``statModels`` that name a file. The rows of a covariance follow the order that the entry gives, never that
of the folders. Regions outside that order are left out, because they overlap with those in it; an entry without
covariance does not say which regions exclude each other, so none of its regions are merged.
Format: C. K. Khosa et al., LHEP 2020 (2020) 158, arXiv:2005.00555, and the SModelS manual.
"""

import ast
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from superbin._support.arrays import FloatArray
from superbin._support.files import lies_in
from superbin._support.shown import counted
from superbin.domain import cross_sections
from superbin.domain.grid import SignalGrid
from superbin.domain.search import Estimate, Process, Search
from superbin.errors import DocumentError, InputError, UnknownNameError
from superbin.io._text import parse_number
from superbin.io.grids import grid_bytes
from superbin.io.imports.base import Faults, Imported, Options, Source
from superbin.io.imports.draft import Draft, check_names
from superbin.io.imports.matrices import as_matrix

__all__ = ["IMPORTER", "SModelSImporter"]

_TEV = {"TeV": 1.0, "GeV": 1e-3}
_LARGEST_LITERAL = 64 * 1024 * 1024


class SModelSImporter:
    """A folder with ``globalInfo.txt``."""

    name = "smodels"
    title = "an entry of the SModelS text database (folder with globalInfo.txt)"

    def recognises(self, source: Source) -> bool:
        """A folder that holds ``globalInfo.txt``."""
        return source.has("globalInfo.txt")

    def read(self, source: Source, options: Options) -> Imported:
        """Read the entry; see the module for what is taken and what is left out."""
        if not source.has("globalInfo.txt"):
            raise InputError(f"{source.path}: no globalInfo.txt in it; name the folder of an SModelS entry")
        head = _Tags.read(source, "globalInfo.txt")
        faults = Faults(source.path)
        identifier = ""
        luminosity = energy = None
        with faults.gathering():
            identifier = head.text("id")
        with faults.gathering():
            luminosity = head.quantity("lumi", {"fb": 1.0, "pb": 1e-3}, inverse=True)
        with faults.gathering():
            energy = head.quantity("sqrts", _TEV)
        regions, notes = _regions(source, faults)
        by_name = {region.name: region for region in regions}
        order, matrix, how = list(by_name), None, ""
        with faults.gathering():
            order, matrix, how = _order(source, head, list(by_name))
        with faults.gathering():
            check_names(order, str(source.path))
        maps = _maps(source, order, faults)
        faults.check()
        chosen = [by_name[name] for name in order]
        notes.insert(
            0, f"SModelS entry {identifier}: {len(chosen)} of {counted(len(regions), 'region')}, {how}"
        )
        names = tuple(order)
        none = np.zeros(len(chosen))
        error = np.array([region.error for region in chosen])
        nominal = np.array([region.background for region in chosen])
        draft = Draft(
            place=str(head.path),
            name=identifier,
            observed=np.array([region.observed for region in chosen]),
            processes=(Process("background", "Background", Estimate(nominal, none, none, error, error)),),
            names=names,
            notes=notes,
            texts={
                "title": head.get("prettyName") or identifier,
                "reference": ", ".join(
                    filter(None, [identifier, head.get("publication"), head.get("arxiv")])
                ),
                "source": f"SModelS database entry {identifier}, implemented by {head.get('implementedBy') or 'not stated'}",
                "citation": head.get("publicationDOI") or head.get("arxiv") or head.get("url") or "",
            },
            luminosity_fb=luminosity,
            sqrt_s_tev=energy,
            matrix=None if matrix is None else as_matrix(matrix, str(head.path), names=names),
            exclusive=False,
        )
        search = draft.search(options, source)
        files: dict[str, bytes] = {}
        moments = [region.third_moment for region in chosen]
        if any(moment is not None for moment in moments):
            files["third-moments.json"] = json.dumps(dict(zip(order, moments, strict=True))).encode()
            notes.append("third moments of the backgrounds: kept in third-moments.json, used by no p-value")
        for name, found in sorted(maps.items()):
            content, note = _grid(name, found, search)
            if content is not None:
                files[f"grids/{name}.csv.gz"] = content
            notes.append(note)
        return draft.bundled(search, self.name, files=files)


IMPORTER = SModelSImporter()


# --- files of ``tag: value`` lines ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Tags:
    """The lines ``tag: value`` of a file; a value may go on over several lines."""

    path: Path
    values: Mapping[str, str]

    @classmethod
    def read(cls, source: Source, name: str) -> "_Tags":
        values: dict[str, str] = {}
        tag = None
        for line in source.text(name).split("\n"):
            match = re.match(r"([A-Za-z]\w*)\s*:(?!//)\s*(.*)$", line)
            if match is not None:
                tag = match.group(1)
                values[tag] = match.group(2).strip()
            elif tag is not None and line.strip() and not line.lstrip().startswith("#"):
                values[tag] += " " + line.strip()
        return cls(source.path / name, values)

    def get(self, tag: str) -> str | None:
        """A value, or None where there is none; the database writes both nothing and ``None``."""
        value = self.values.get(tag, "").strip()
        if re.fullmatch(r"'[^']*'|\"[^\"]*\"", value):
            value = value[1:-1]
        return None if value in ("", "None", "N/A") else value

    def text(self, tag: str) -> str:
        """A value that must be there."""
        value = self.get(tag)
        if value is None:
            raise DocumentError(f"{self.path}: the line '{tag}: ...' is missing; add it")
        return value

    def number(self, tag: str) -> float:
        """A finite number that must be there."""
        try:
            return parse_number(self.text(tag))
        except DocumentError:
            raise
        except InputError as error:
            raise DocumentError(f"{self.path}: {tag} {error}") from error

    def count(self, tag: str, *, whole: bool = False) -> float:
        """A number of events that must be there."""
        value = self.number(tag)
        if value < 0 or (whole and abs(value - round(value)) > 1e-6):
            kind = "a whole number" if whole else "a number"
            raise DocumentError(f"{self.path}: {tag} is {value:g}; it must be {kind} >= 0")
        return float(round(value)) if whole else value

    def quantity(self, tag: str, units: Mapping[str, float], *, inverse: bool = False) -> float | None:
        """A number with its unit, such as ``137/fb`` or ``13.0*TeV``, in the first of `units`; None if not there."""
        value = self.get(tag)
        if value is None:
            return None
        match = re.fullmatch(r"([-+.\deE]++)\s*([*/])?\s*(\w+)?", value.replace(" ", ""))
        unit = next(iter(units)) if match is None or match[3] is None else str(match[3])
        if match is None or unit not in units or match[2] not in (None, "/" if inverse else "*"):
            sign = "/" if inverse else "*"
            raise DocumentError(f"{self.path}: {tag} is {value!r}; write such as 13{sign}{next(iter(units))}")
        number = parse_number(match[1])
        return number / units[unit] if inverse else number * units[unit]

    def literal(self, tag: str) -> Any:
        """A value in Python's syntax of numbers, texts and lists; units are left out."""
        return _literal(self.text(tag), f"{self.path}: {tag}")


def _literal(text: str, place: str) -> Any:
    if len(text) > _LARGEST_LITERAL:
        raise DocumentError(f"{place} is {len(text)} characters long; at most {_LARGEST_LITERAL} are read")
    plain = re.sub(r"(?<!\s)\s*+\*\s*(GeV|TeV|fb|pb)\b", "", text)
    if plain.lstrip().startswith(('"', "'")):
        plain = f"[{plain}]"
    try:
        return ast.literal_eval(plain.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise DocumentError(f"{place} is not a list of numbers and names ({type(error).__name__})") from error


# --- regions ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Region:
    name: str
    observed: float
    background: float
    error: float
    third_moment: float | None


def _regions(source: Source, faults: Faults) -> tuple[list[_Region], list[str]]:
    """Regions with counts; what is wrong with one is a fault, and its number is then NaN."""
    regions: list[_Region] = []
    notes: list[str] = []
    for path in sorted(source.path.glob("*/dataInfo.txt")):
        try:
            info = _Tags.read(source, f"{path.parent.name}/dataInfo.txt")
        except DocumentError as error:
            faults.add(str(error).removeprefix(f"{source.path}/"))
            continue
        if info.get("dataType") != "efficiencyMap":
            notes.append(
                f"{path.parent.name}: {info.get('dataType')}, not used; only efficiency maps have counts"
            )
            continue
        numbers = dict.fromkeys(("observedN", "expectedBG", "bgError"), math.nan)
        moment: float | None = None
        for tag in numbers:
            with faults.gathering():
                numbers[tag] = info.count(tag, whole=tag == "observedN")
        with faults.gathering():
            moment = None if info.get("thirdMoment") is None else info.number("thirdMoment")
        name = info.get("dataId") or path.parent.name
        regions.append(_Region(name, numbers["observedN"], numbers["expectedBG"], numbers["bgError"], moment))
    if not regions:
        faults.check()
        raise DocumentError(f"{source.path}: no region with counts in it; this entry has upper limits only")
    return regions, notes


def _order(source: Source, head: _Tags, known: Sequence[str]) -> tuple[list[str], FloatArray | None, str]:
    """Regions in the order of the covariance, the covariance, and a sentence on where the order is from."""
    rows: Any = None
    if head.get("datasetOrder") is not None:
        order, how = _names(head.literal("datasetOrder")), "in the order of datasetOrder"
        if head.get("covariance") is not None:
            rows = head.literal("covariance")
    elif head.get("statModels") is not None:
        order, rows, how = _stat_model(source, head)
    else:
        return list(known), None, "without covariance; they may overlap, so none are merged"
    missing = [name for name in order if name not in known]
    if missing:
        shown = ", ".join(map(repr, missing[:10]))
        raise DocumentError(
            f"{head.path}: {'region' if len(missing) == 1 else 'regions'} {shown} of its order "
            f"{'has' if len(missing) == 1 else 'have'} no folder with a dataInfo.txt"
        )
    if len(set(order)) != len(order):
        raise DocumentError(f"{head.path}: a region comes twice in the order of the regions")
    if rows is None:
        return order, None, f"{how}, without covariance"
    try:
        matrix = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DocumentError(f"{head.path}: the covariance is not a table of numbers: {error}") from error
    if matrix.shape != (len(order), len(order)):
        raise DocumentError(
            f"{head.path}: the covariance has shape {matrix.shape}; there are {counted(len(order), 'region')} in the order"
        )
    return order, matrix, how


def _stat_model(source: Source, head: _Tags) -> tuple[list[str], Any, str]:
    """Order and covariance of the first simplified likelihood of a 3.2 entry."""
    models, sets = head.literal("statModels"), head.literal("regionSets")
    mappings = head.literal("regionMappings") if head.get("regionMappings") is not None else {}
    if not isinstance(models, dict) or not isinstance(sets, dict):
        raise DocumentError(f"{head.path}: statModels and regionSets must be mappings from names of sets")
    for name, entries in models.items():
        for entry in entries if isinstance(entries, list | tuple) else ():
            if not isinstance(entry, list | tuple) or len(entry) != 2:
                raise DocumentError(f"{head.path}: statModels holds {entry!r}; a kind and a file are needed")
            kind, file = map(str, entry)
            if kind.lower() in ("sl", "slv1", "slv2") and name in sets:
                content = _literal(source.text(_inside(source, head, file)), str(source.path / file))
                rows = content.get("covariance") if isinstance(content, dict) else content
                order = [_mapped(mappings, region) for region in _names(sets[name])]
                return order, rows, f"in the order of region set {name!r}"
    raise DocumentError(f"{head.path}: statModels names no simplified likelihood ('sl') of a region set")


def _inside(source: Source, head: _Tags, file: str) -> str:
    if "/" in file or not lies_in(source.path / file, source.path):
        raise DocumentError(
            f"{head.path}: statModels names {file!r}; the file must lie in the entry's folder"
        )
    return file


def _mapped(mappings: Any, region: str) -> str:
    target = mappings.get(region, region) if isinstance(mappings, dict) else region
    return str(target.get("smodels", region)) if isinstance(target, dict) else str(target)


def _names(value: Any) -> list[str]:
    return [str(name) for name in (value if isinstance(value, list | tuple) else [value])]


# --- efficiency maps --------------------------------------------------------------------------------------


_Map: TypeAlias = dict[tuple[float, ...], float]
"""Efficiencies by masses."""


def _maps(source: Source, order: Sequence[str], faults: Faults) -> dict[str, list[_Map]]:
    """The efficiencies of every topology, one map per region in their order."""
    maps: dict[str, list[_Map]] = {}
    folders = {path.parent.name: path.parent for path in source.path.glob("*/dataInfo.txt")}
    for position, region in enumerate(order):
        folder = folders.get(region)
        for path in sorted(folder.glob("*.txt")) if folder is not None else ():
            if path.name == "dataInfo.txt":
                continue
            with faults.gathering():
                tags = _Tags.read(source, f"{path.parent.name}/{path.name}")
                if tags.get("efficiencyMap") is None:
                    continue
                name = tags.get("txName") or path.stem
                maps.setdefault(name, [{} for _ in order])[position] = _efficiencies(tags)
    return maps


def _efficiencies(tags: _Tags) -> dict[tuple[float, ...], float]:
    found: dict[tuple[float, ...], float] = {}
    for row in tags.literal("efficiencyMap"):
        try:
            masses, efficiency = row
            branches = masses if isinstance(masses[0], list | tuple) else [masses]
            values = tuple(float(m) for branch in branches for m in branch)
            half = len(values) // 2
            if len(branches) == 2 and values[:half] == values[half:]:
                values = values[:half]
            found[values] = float(efficiency)
        except (TypeError, ValueError, IndexError) as error:
            raise DocumentError(
                f"{tags.path}: a row of efficiencyMap is {str(row)[:80]}; masses and a number are needed"
            ) from error
    return found


def _grid(
    name: str, maps: Sequence[Mapping[tuple[float, ...], float]], search: Search
) -> tuple[bytes | None, str]:
    """A topology as the bytes of a grid, or None where it is none, and a note."""
    points = sorted({point for found in maps for point in found})
    distinct = {len(point) for point in points}
    label = f"topology {name}: {counted(len(points), 'mass point')}"
    if distinct == {3} and all(point[1] == point[2] for point in points):
        # A mediator that decays to a pair: the daughter's mass stands there twice.
        maps = [{point[:2]: value for point, value in found.items()} for found in maps]
        points = [point[:2] for point in points]
        distinct = {2}
        label += " with two equal daughters"
    if distinct != {2}:
        return (
            None,
            f"{label} of {'/'.join(map(str, sorted(distinct)))} masses; not used, a grid has two masses",
        )
    try:
        process = cross_sections.process_of(name)
    except (UnknownNameError, InputError):
        process = "unknown"
    efficiencies = np.array([[found.get(point, 0.0) for found in maps] for point in points])
    bad = ~(np.isfinite(efficiencies) & (efficiencies >= 0)).all(axis=1) | (
        efficiencies.sum(axis=1) > 1 + 1e-6
    )
    bad |= np.array([not (math.isfinite(m) and 0 <= x < m) for m, x in points])
    if bad.all():
        return None, f"{label}; not used, none has efficiencies from 0 to 1 at possible masses"
    kept = ~bad
    grid = SignalGrid(
        model=name,
        search=search.name,
        parameters=("m_mother", "m_lsp"),
        points=np.array(points)[kept],
        efficiencies=efficiencies[kept],
        errors=np.zeros_like(efficiencies[kept]),
        events=np.ones(int(kept.sum()), dtype=np.int64),
        process=process,
        source=f"efficiency map of SModelS entry {search.title}; Monte Carlo errors and numbers of events not stated",
    )
    left = f", {int(bad.sum())} left out" if bad.any() else ""
    return grid_bytes(grid), f"{label}{left}: kept as a grid, efficiencies without Monte Carlo errors"
