"""The lines below the table of a card: nuisances, rate parameters and groups.

`read_effects` turns them into the values of `superbin.io.datacards.model`. The kinds known are `lnN`, `lnU`, `gmN`,
`rateParam` with a number, and `group`; every other kind is refused by name, since a likelihood without it would
be another likelihood.
"""

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from superbin.io.datacards.model import (
    Alpha,
    Channel,
    GammaNuisance,
    Group,
    Kappa,
    LogNuisance,
    Placeholder,
    RateParameter,
    Remark,
    Term,
)
from superbin.io.datacards.records import Record

__all__ = ["Effects", "read_effects"]

_DASH = re.compile(r"-+")
_NOFLOAT = "[nofloat]"
_SHAPE_KINDS = ("shape", "shapeN", "shapeN2", "shapeU", "shape?", "shapeN2?", "autoMCStats")


@dataclass(slots=True)
class Effects:
    """What the lines below the table said, by name in the order of first mention."""

    nuisances: dict[str, LogNuisance] = field(default_factory=dict)
    gammas: dict[str, GammaNuisance] = field(default_factory=dict)
    rate_parameters: dict[str, RateParameter] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    n_nuisance_lines: int = 0

    def remark(self, record: Record, code: str, message: str) -> None:
        """Note what was not read as it is written."""
        self.remarks.append(Remark(record.place, code, message))


def read_effects(
    records: Iterable[Record], channels: tuple[Channel, ...], terms: tuple[Term, ...]
) -> Effects:
    """Read every line below the table.

    Parameters
    ----------
    records : iterable of Record
        The lines after `rate`.
    channels, terms : tuple
        The table they refer to.

    Raises
    ------
    DocumentError
        If a line has an unknown kind, the wrong number of entries, a factor that is not > 0, or contradicts
        an earlier line.
    """
    effects = Effects()
    group_records: list[Record] = []
    for line in records:
        if len(line.tokens) < 2:
            raise line.error(
                f"{line.tokens[0]!r} stands alone; a nuisance line has a name, a kind and entries"
            )
        record = _plain(effects, line) if line.tokens[0].endswith(_NOFLOAT) else line
        kind = record.tokens[1]
        if kind in ("lnN", "lnU"):
            _add_log(effects, record, "lnN" if kind == "lnN" else "lnU", terms)
        elif kind == "gmN":
            _add_gamma(effects, record, terms)
        elif kind == "rateParam":
            _add_rate_parameter(effects, record, channels, terms)
        elif kind == "group":
            group_records.append(record)  # a group may come before its members
        else:
            raise _refusal(record, kind)
    for record in group_records:
        _add_group(effects, record)
    return effects


def _plain(effects: Effects, record: Record) -> Record:
    """Take the suffix [nofloat] from the name: it is the nuisance of the plain name, floated with it."""
    name = record.tokens[0].removesuffix(_NOFLOAT)
    if not name:
        raise record.error(f"{_NOFLOAT} has no name before it; write name{_NOFLOAT}")
    effects.remark(record, "nofloat", f"{record.tokens[0]!r} is the nuisance {name!r}, floated as any other")
    return replace(record, tokens=(name, *record.tokens[1:]))


def _refusal(record: Record, kind: str) -> Exception:
    if kind in _SHAPE_KINDS:
        return record.error(f"{kind} belongs to a shape analysis; only counting experiments can be read")
    return record.error(
        f"nuisance kind {kind!r} of {record.tokens[0]!r} is not known; lnN, lnU, gmN, rateParam and group are"
    )


def _cells(
    effects: Effects, record: Record, cells: tuple[str, ...], terms: tuple[Term, ...]
) -> list[tuple[int, str]]:
    """Return the entries that are not dashes, with the position of their column.

    As in Combine, words beyond the last column are no entries, and an entry of zero is none either.
    """
    name, kind = record.tokens[0], record.tokens[1]
    if len(cells) < len(terms):
        raise record.error(
            f"{kind} {name!r} has {len(cells)} entries for {len(terms)} columns; is the line truncated?"
        )
    if len(cells) > len(terms):
        words = " ".join(cells[len(terms) :])
        effects.remark(
            record, "ignored-words", f"{words!r} stands after the last column of {name!r} and is ignored"
        )
    found = [(i, cell) for i, cell in enumerate(cells[: len(terms)]) if not _DASH.fullmatch(cell)]
    zero = [(i, cell) for i, cell in found if _is_zero(cell)]
    for i, cell in zero if kind != "gmN" else ():  # under gmN it is the usual way to write a dash
        effects.remark(
            record,
            "zero-entry",
            f"{name!r} is {cell} on process {terms[i].process!r} in channel {terms[i].channel!r}, which is no effect",
        )
    return [entry for entry in found if entry not in zero]


def _is_zero(cell: str) -> bool:
    return re.fullmatch(r"\+?(0+\.?0*|\.0+)([eE][+-]?\d+)?", cell, re.ASCII) is not None


def _check_free(effects: Effects, record: Record, *, own: str) -> None:
    """Refuse a name that already belongs to a parameter of another kind."""
    name = record.tokens[0]
    kind = own
    if name in effects.nuisances:
        kind = effects.nuisances[name].kind
    elif name in effects.gammas:
        kind = "gmN"
    elif name in effects.rate_parameters:
        kind = "rateParam"
    if kind != own:
        raise record.error(f"{name!r} is {own} here but {kind} on an earlier line; one name is one parameter")


def _check_new(record: Record, taken: Iterable[int], new: Iterable[int], terms: tuple[Term, ...]) -> None:
    both = sorted(set(taken).intersection(new))
    if both:
        term = terms[both[0]]
        raise record.error(
            f"{record.tokens[0]!r} acts twice on process {term.process!r} in channel {term.channel!r}; "
            "remove one of the lines"
        )


def _add_log(effects: Effects, record: Record, kind: Literal["lnN", "lnU"], terms: tuple[Term, ...]) -> None:
    _check_free(effects, record, own=kind)
    name = record.tokens[0]
    entries = tuple(_kappa(record, i, cell) for i, cell in _cells(effects, record, record.tokens[2:], terms))
    old = effects.nuisances.get(name, LogNuisance(name, kind, (), ()))
    _check_new(record, (e.term for e in old.entries), (e.term for e in entries), terms)
    effects.nuisances[name] = replace(old, entries=old.entries + entries, lines=(*old.lines, record.place))
    effects.n_nuisance_lines += 1


def _kappa(record: Record, term: int, cell: str) -> Kappa:
    parts = cell.split("/")
    if len(parts) > 2:
        raise record.error(
            f"entry {cell!r} of {record.tokens[0]!r} has {len(parts)} factors; write kappa or down/up"
        )
    values = [record.number(part, f"factor of {record.tokens[0]!r}") for part in parts]
    for value in values:
        # 1 / value must be finite as well.
        if not 1e-300 < value < 1e300:
            raise record.error(
                f"entry {cell!r} of {record.tokens[0]!r} has a factor {value:g}; factors are > 0"
            )
    if len(values) == 1:
        return Kappa(term, 1 / values[0], values[0], symmetric=True, place=record.place)
    return Kappa(term, values[0], values[1], symmetric=False, place=record.place)


def _add_gamma(effects: Effects, record: Record, terms: tuple[Term, ...]) -> None:
    _check_free(effects, record, own="gmN")
    name, _, *cells = record.tokens
    if not cells or re.fullmatch(r"\d{1,15}", cells[0], re.ASCII) is None:
        raise record.error(f"gmN {name!r} needs a whole number of events after its kind, not {cells[:1]}")
    count = int(cells[0])
    old = effects.gammas.get(name, GammaNuisance(name, count, (), ()))
    if old.count != count:
        raise record.error(
            f"gmN {name!r} counts {count} events here and {old.count} on line {old.lines[0].line}"
        )
    entries = tuple(
        _alpha(effects, record, count, i, cell, terms)
        for i, cell in _cells(effects, record, tuple(cells[1:]), terms)
    )
    others = (e.term for g in effects.gammas.values() if g.name != name for e in g.entries)
    both = sorted({e.term for e in entries}.intersection(others))
    if both:
        term = terms[both[0]]
        raise record.error(
            f"process {term.process!r} in channel {term.channel!r} has a second gmN, {name!r}; one count can "
            "normalise it"
        )
    _check_new(record, (e.term for e in old.entries), (e.term for e in entries), terms)
    effects.gammas[name] = replace(old, entries=old.entries + entries, lines=(*old.lines, record.place))
    effects.n_nuisance_lines += 1


def _alpha(
    effects: Effects, record: Record, count: int, term: int, cell: str, terms: tuple[Term, ...]
) -> Alpha:
    name = record.tokens[0]
    alpha = record.number(cell, f"alpha of {name!r}")
    if alpha < 0:
        raise record.error(f"alpha {cell} of {name!r} is negative; it must be >= 0")
    rate, own = terms[term].rate, count * alpha
    if isinstance(rate, Placeholder):
        return Alpha(term, alpha, record.place)
    said = f"{name!r} gives {count} * {cell} = {own:g} events of {terms[term].process!r} in {terms[term].channel!r}"
    # Combine's tolerance; the card states the rate twice, and the count times alpha is what is used.
    if abs(own - rate) > max(0.05 * max(rate, 1.0), alpha):
        raise record.error(f"{said}, but its rate is {rate:g}; they must agree")
    if abs(own - rate) > 0.01 * max(rate, own):
        effects.remark(record, "gamma-rate", f"{said}, which stands for its rate {rate:g}")
    return Alpha(term, alpha, record.place)


def _add_rate_parameter(
    effects: Effects, record: Record, channels: tuple[Channel, ...], terms: tuple[Term, ...]
) -> None:
    _check_free(effects, record, own="rateParam")
    if len(record.tokens) not in (5, 6):
        raise record.error(
            f"rateParam {record.tokens[0]!r} needs a channel, a process, a number and perhaps a range [low,high]; "
            "formulas and files are not supported"
        )
    name, _, channel, process, start = record.tokens[:5]
    new = tuple(
        i
        for i, t in enumerate(terms)
        if fnmatch.fnmatchcase(t.channel, channel) and fnmatch.fnmatchcase(t.process, process)
    )
    if not new:
        raise record.error(
            f"rateParam {name!r} acts on process {process!r} in channel {channel!r}, but the card has no such column; "
            f"its channels begin with {[c.name for c in channels[:3]]}"
        )
    if any(character in start for character in "@(*:"):
        raise record.error(f"rateParam {name!r} is the formula {start!r}; only numbers are supported")
    initial = record.number(start, f"initial value of {name!r}")
    lower, upper = _range(record) if len(record.tokens) == 6 else (None, None)
    if initial < 0 or (lower is not None and upper is not None and not 0 <= lower <= initial <= upper):
        raise record.error(
            f"rateParam {name!r} starts at {start} outside its range; 0 <= low <= start <= high"
        )
    old = effects.rate_parameters.get(name, RateParameter(name, initial, lower, upper, (), ()))
    if (old.initial, old.lower, old.upper) != (initial, lower, upper):
        raise record.error(f"rateParam {name!r} has another start or range than on line {old.lines[0].line}")
    _check_new(record, old.terms, new, terms)
    effects.rate_parameters[name] = replace(old, terms=old.terms + new, lines=(*old.lines, record.place))


def _range(record: Record) -> tuple[float, float]:
    text = record.tokens[5]
    parts = text[1:-1].split(",")
    if not (text.startswith("[") and text.endswith("]") and len(parts) == 2):
        raise record.error(
            f"{text!r} after the value of rateParam {record.tokens[0]!r} is no range; write [low,high], or nothing "
            "(formulas are not supported)"
        )
    what = f"range of {record.tokens[0]!r}"
    return record.number(parts[0], what), record.number(parts[1], what)


def _add_group(effects: Effects, record: Record) -> None:
    name = record.tokens[0]
    if len(record.tokens) < 4 or record.tokens[2] not in ("=", "+="):
        raise record.error(f"group {name!r} must be written '{name} group = nuisance nuisance ...'")
    members = record.tokens[3:]
    for member in members:
        if not any(member in names for names in (effects.nuisances, effects.gammas, effects.rate_parameters)):
            raise record.error(f"group {name!r} names {member!r}, which is no nuisance of this card")
    old = effects.groups.get(name)
    if old is None and record.tokens[2] == "+=":
        raise record.error(f"group {name!r} is extended before it is defined; write '=' the first time")
    if old is not None and record.tokens[2] == "=":
        raise record.error(f"group {name!r} is defined again; the first time was line {old.lines[0].line}")
    before = old or Group(name, (), ())
    effects.groups[name] = Group(
        name, tuple(dict.fromkeys(before.members + members)), (*before.lines, record.place)
    )
