"""Cells of a table: what separates them, values with errors such as ``10.2 +2.0 -1.5``, and names of columns of uncertainties."""

import csv
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from superbin._support.shown import counted
from superbin.errors import DocumentError, InputError

__all__ = [
    "is_ruler",
    "looks_like_uncertainty",
    "may_be_thousands",
    "plain_number",
    "separator_of",
    "split_row",
    "uncertainty",
    "unit_of",
    "with_errors",
    "wrong_length",
]

# --- separators -------------------------------------------------------------------------------------------

_RULER = re.compile(r"sep=.|(?=[:=-]*[|+])[|+:=-]+|(?=.*--)(?=.*[|+])[|+:=\s-]+")
_COMMAS = re.compile(r"[-+]?\d+(,\d+)+([eE][-+]?\d+)?")
_POINTS = re.compile(r"[-+]?\d*\.\d+([eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+")


def may_be_thousands(commas: Sequence[str]) -> bool:
    """Whether numbers with commas, of which there are some, may all be ones whose thousands are separated."""
    return bool(commas) and all(_THOUSANDS.fullmatch(c) for c in commas)


def is_ruler(line: str) -> bool:
    """Whether a line has no cells: what spreadsheets write first (``sep=;``), and the rulers of tables drawn with bars."""
    return _RULER.fullmatch(line.strip()) is not None


def separator_of(lines: Sequence[str], decimal: object, path: Path) -> tuple[str, bool]:
    """The separator, and whether commas are decimal commas, which only a table with semicolons or tabs may have.

    Raises
    ------
    DocumentError
        If commas and points, or thousands, cannot be told apart.
    InputError
        If `decimal`, what the mapping says, is neither ``","`` nor ``"."``.
    """
    if decimal not in (None, ",", "."):
        raise InputError(f'mapping: decimal is {decimal!r}; it must be "," or "."')
    for separator in (";", "\t"):
        if separator not in lines[0] or not _divides(lines, separator):
            continue
        cells = [cell.strip().strip('"').strip() for line in lines[1:] for cell in line.split(separator)]
        body = [part for cell in cells for part in _numbers(cell)]
        commas = [c for c in body if _COMMAS.fullmatch(c)]
        points = [c for c in body if _POINTS.fullmatch(c)]
        if commas and points and decimal is None:
            raise DocumentError(
                f"{path}: holds numbers with a decimal comma ({commas[0]}) and with a decimal point ({points[0]}); use one of the two "
                "throughout"
            )
        if decimal is None and may_be_thousands(commas):
            raise DocumentError(
                f"{path}: {commas[0]!r} may be a number with a decimal comma or one in thousands; leave out separators of "
                'thousands, or say that commas are decimal with a mapping, {"decimal": ","}'
            )
        return separator, bool(commas) if decimal is None else decimal == ","
    bars = {line.strip().strip("|").count("|") for line in lines}
    if lines[0].strip().startswith("|") or (len(bars) == 1 and bars != {0} and "," not in lines[0]):
        return "|", False
    return ("," if "," in lines[0] else " "), False


def _divides(lines: Sequence[str], separator: str) -> bool:
    """Whether a separator of the first line is one: commas may be, where the other rows lack it (``T1bbbb(1500;100)``)."""
    return "," not in lines[0] or len(lines) == 1 or any(separator in line for line in lines[1:])


def split_row(text: str, separator: str) -> list[str]:
    """The cells of a line.

    Raises
    ------
    InputError
        If quotes are not closed or text follows them.
    """
    if separator == " ":
        return text.split()
    if separator == "|":
        return text.strip().strip("|").split("|")
    try:
        return next(csv.reader([text], delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise InputError(f"is not a row of a table ({error})") from error


def wrong_length(row: Sequence[str], columns: Sequence[str], separator: str) -> str:
    """What to say of a row with more or fewer cells than columns."""
    text = f"{counted(len(row), 'cell')} for {counted(len(columns), 'column')}; is a cell missing, or one too many?"
    if separator == "," and len(row) > len(columns):
        text += " Separate cells by semicolons where commas are decimal commas"
    return text


# --- values with errors -----------------------------------------------------------------------------------

_NUMBER = r"[-+]?(?:\d[\d.,]*|\.\d+)(?:[eE][-+]?\d+)?"
_UNSIGNED = rf"{_NUMBER.removeprefix('[-+]?')}\s*%?"
_LABEL = r"(?:\s*\(?\s*(?i:(statistical|systematic|total|stat|syst|sys|tot))\b\.?\s*\)?)?"
_SYMMETRIC = re.compile(rf"\s*(?:±|\+-|\+/-|\\pm)\s*({_UNSIGNED}){_LABEL}")
_UP_DOWN = re.compile(rf"\s*\^?\s*\+\s*({_UNSIGNED})\s*[,/_]?\s*-\s*({_UNSIGNED}){_LABEL}")
_DOWN_UP = re.compile(rf"\s*_?\s*-\s*({_UNSIGNED})\s*[,/^]?\s*\+\s*({_UNSIGNED}){_LABEL}")
_VALUE = re.compile(_NUMBER)
_KIND_OF = {"stat": "stat", "statistical": "stat", "tot": "total", "total": "total"}


def plain_number(cell: str, *, decimal_comma: bool = False) -> str:
    """A cell with a decimal point, the minus sign of a keyboard and no space that does not break."""
    plain = cell.replace("−", "-").strip("\u00a0\u2009\u202f ")
    return plain.replace(",", ".") if decimal_comma else plain


def _parsed(cell: str) -> tuple[str, dict[str, tuple[str, str]]] | None:
    """Value and errors (up, down) by kind of a cell such as ``10.2 ± 2.0``, ``$10.2^{+2.0}_{-1.5}$`` or ``5 ± 1 (stat) ± 2 (syst)``.

    Two errors without a label are, in this order, statistical and systematic, as papers write them.
    """
    plain = plain_number(re.sub(r"\\(?:text|mathrm|rm)(?![a-zA-Z])|\\[,;:! ]|[${}~]", "", cell))
    value = _VALUE.match(plain)
    if value is None:
        return None
    found: list[tuple[str, tuple[str, str]]] = []
    place = value.end()
    while place < len(plain):
        for form, up, down in ((_SYMMETRIC, 1, 1), (_UP_DOWN, 1, 2), (_DOWN_UP, 2, 1)):
            if match := form.match(plain, place):
                label = (match[form.groups] or "").lower()
                found.append((label, (match[up].replace(" ", ""), match[down].replace(" ", ""))))
                place = match.end()
                break
        else:
            return None
    kinds = [_KIND_OF.get(label, "syst") if label else "" for label, _ in found]
    if len(kinds) == 1:
        kinds = [kinds[0] or "error"]
    elif kinds == ["", ""]:
        kinds = ["stat", "syst"]
    if "" in kinds or len(set(kinds)) != len(kinds):
        return None
    return value[0], dict(zip(kinds, (pair for _, pair in found), strict=True))


def _numbers(cell: str) -> list[str]:
    """The numbers of a cell: a value with its errors, the ends of a range, or the cell itself."""
    parsed = _parsed(cell)
    if parsed is not None:
        return [parsed[0], *(side.rstrip("%") for pair in parsed[1].values() for side in pair)]
    ends = re.findall(_NUMBER, cell)
    return ends if ends and re.fullmatch(r"[\s\[\](){}<>=≥≤–—-]*", re.sub(_NUMBER, "", cell)) else [cell]


def with_errors(
    columns: list[str], rows: list[list[str]], *, names_of_bins: Collection[str] = ()
) -> tuple[list[str], list[list[str]]]:
    """Columns whose cells hold values with errors become several; a cell that is none stays, so that its fault is told.

    Columns that hold the names of bins, such as ``1+2-3``, stay as they are.
    """
    names: list[str] = []
    cells: list[list[str]] = []
    for i, name in enumerate(columns):
        column = [row[i] for row in rows]
        parsed = [_parsed(cell) for cell in column]
        kinds = sorted({kind for one in parsed if one is not None for kind in one[1]})
        is_name = " ".join(name.lower().replace("_", " ").split()) in names_of_bins
        if is_name or not kinds or 2 * sum(one is not None for one in parsed) < len(column):
            names.append(name)
            cells.append(column)
            continue
        bare = re.sub(r"\s*(±|\+-|\+/-|\\pm).*$", "", name)
        names.append(bare)
        cells.append([cell if one is None else one[0] for cell, one in zip(column, parsed, strict=True)])
        for kind in kinds:
            for k, side in enumerate(("up", "down")):
                names.append(f"{bare} {'error' if kind == 'error' else kind} {side}")
                cells.append(
                    ["0" if one is None or kind not in one[1] else one[1][kind][k] for one in parsed]
                )
    return names, [list(row) for row in zip(*cells, strict=True)]


# --- names of columns of uncertainties --------------------------------------------------------------------

_ERROR = {"error", "errors", "err", "unc", "uncert", "uncertainty", "sigma", "+-", "±", "delta", "d"}
_SIDES = {
    **dict.fromkeys(("up", "+", "high", "hi", "plus", "upper", "upward", "upwards"), "_up"),
    **dict.fromkeys(("down", "dn", "-", "low", "lo", "minus", "lower", "downward", "downwards"), "_down"),
}
_KINDS = {
    **dict.fromkeys(("stat", "statistical"), "stat"),
    **dict.fromkeys(("syst", "sys", "systematic"), "syst"),
    **dict.fromkeys(("total", "tot"), "total"),
}
_PER_CENT = {"%", "percent", "percentage"}
_RELATIVE = {"rel", "relative", "fractional", "frac"}
_NO_MEANING = {"events", "event", "evts", "per", "cent"}
_WORDS = re.compile(r"[a-z]+|\+-|[^\sa-z\[\](){}.,:]")


def _words(name: str) -> list[str]:
    return _WORDS.findall(name.lower().replace("+/-", "+-").replace("_", " ").replace("per cent", "%"))


def uncertainty(name: str) -> str | None:
    """What a column's name, without the name of what it belongs to, says of an uncertainty; None if it is none.

    Examples
    --------
    >>> uncertainty("err stat+"), uncertainty("unc. (%)"), uncertainty("total down"), uncertainty("variance")
    ('stat_up', 'error', 'total_down', None)
    """
    words = [w for w in _words(name) if w not in _PER_CENT | _RELATIVE | _NO_MEANING]
    if not words or not all(w in _ERROR or w in _SIDES or w in _KINDS for w in words):
        return None
    kinds = {_KINDS[w] for w in words if w in _KINDS}
    sides = {_SIDES[w] for w in words if w in _SIDES}
    if len(kinds) > 1 or len(sides) > 1:
        return None
    return (kinds or {"error"}).pop() + (sides or {""}).pop()


def unit_of(name: str) -> float | None:
    """Part of the value that a column of uncertainties counts in: 0.01 for per cent, 1 for relative ones, None for events."""
    words = set(_words(name))
    if words & _PER_CENT:
        return 0.01
    return 1.0 if words & _RELATIVE else None


def looks_like_uncertainty(name: str) -> bool:
    """Whether a name has a word that uncertainties have, though it is not understood."""
    words = re.findall(r"[a-z]+|[±%²]", name.lower().replace("_", " "))
    known = _ERROR | _PER_CENT | _RELATIVE | {"stat", "syst", "sys"}
    return any(
        w in known or re.fullmatch(r"(err|unc|sigma|delta|std|var|rms).*|d(n?b|bkg|bg)", w) for w in words
    )
