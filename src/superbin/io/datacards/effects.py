"""The lines below the table of a card: nuisances, parameters, formulas, groups and instructions.

`read_effects` turns them into the values of `superbin.io.datacards.model`, after the edits that the card itself asks for. Kinds that are
not known are refused by name, since a likelihood without them would be another likelihood.
"""

import fnmatch
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from superbin._support.shown import counted
from superbin.errors import InputError
from superbin.io._faults import Faults
from superbin.io.datacards.edits import Edited, edit
from superbin.io.datacards.formulas import parse_formula
from superbin.io.datacards.lines import COLUMN_KINDS, Cell, Line, plain_kind, read_line
from superbin.io.datacards.model import (
    FROM_TEMPLATE,
    Alpha,
    AutoStatistics,
    Channel,
    FreeParameter,
    GammaNuisance,
    GammaWidth,
    Group,
    Kappa,
    LinearNuisance,
    LogNuisance,
    MeasuredParameter,
    Placeholder,
    RateFormula,
    RateParameter,
    Remark,
    ShapeEntry,
    ShapeNuisance,
    Slope,
    Term,
)
from superbin.io.datacards.records import Record
from superbin.statistical_model.expressions import Variable, replaced

__all__ = ["OTHER_NAMES", "Effects", "read_effects"]

_NOFLOAT = "[nofloat]"

OTHER_NAMES = ("r", "MH")
"""What a formula may name besides the parameters of the card: the signal strength and the mass."""

_REFUSED = {
    "discrete": "it chooses between shapes of a RooFit workspace, which are not read",
    "constr": "a constraint on a formula is not read; write a param line for each parameter",
    "dFD": "the double Fermi function is not read; use trG or unif",
    "dFD2": "the double Fermi function is not read; use trG or unif",
    "shapeL": "Combine has dropped this morphing; use shape",
}

T = TypeVar("T")


@dataclass(slots=True)
class Effects:
    """What the lines below the table said, by name in the order of first mention."""

    nuisances: dict[str, LogNuisance] = field(default_factory=dict)
    gammas: dict[str, GammaNuisance] = field(default_factory=dict)
    rate_parameters: dict[str, RateParameter] = field(default_factory=dict)
    formulas: dict[str, RateFormula] = field(default_factory=dict)
    shapes: dict[str, ShapeNuisance] = field(default_factory=dict)
    linear: dict[str, LinearNuisance] = field(default_factory=dict)
    widths: dict[str, GammaWidth] = field(default_factory=dict)
    measured: dict[str, MeasuredParameter] = field(default_factory=dict)
    free: dict[str, FreeParameter] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    statistics: dict[str, AutoStatistics] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    n_nuisance_lines: int | None = 0
    """None where edits change their number, so that kmax says nothing."""

    def remark(self, record: Record, code: str, message: str) -> None:
        """Note what was not read as it is written."""
        self.remarks.append(Remark(record.place, code, message))

    def kinds(self) -> dict[str, str]:
        """Kind of every parameter and formula by name."""
        tables: tuple[tuple[Mapping[str, Any], str | None], ...] = (
            (self.nuisances, None),
            (self.gammas, "gmN"),
            (self.rate_parameters, "rateParam"),
            (self.formulas, "rateParam"),
            (self.shapes, None),
            (self.linear, None),
            (self.widths, "gmM"),
            (self.measured, "param"),
            (self.free, "extArg"),
        )
        return {name: kind or value.kind for table, kind in tables for name, value in table.items()}


def read_effects(
    records: Iterable[Record], channels: tuple[Channel, ...], terms: tuple[Term, ...], faults: Faults
) -> Effects:
    """Read every line below the table.

    Parameters
    ----------
    records : iterable of Record
        The lines after `rate`.
    channels, terms : tuple
        The table they refer to.
    faults : Faults
        Is told of a line of unknown kind, with the wrong number of entries, with an entry without meaning, or that contradicts an earlier
        line. What depends on other lines (edits, groups) is not checked once there is a fault.
    """
    return _Reader(channels, terms, faults).read(records)


class _Reader:
    """Goes through the lines once, then makes the nuisances of those with entries."""

    def __init__(self, channels: tuple[Channel, ...], terms: tuple[Term, ...], faults: Faults) -> None:
        self.channels, self.terms, self.faults = channels, terms, faults
        self.effects = Effects()
        self.state = Edited()
        self.groups: list[Record] = []
        self.flat: list[Record] = []
        self.handlers: dict[str, Callable[[Record], None]] = {
            "rateParam": self.rate_parameter,
            "param": self.parameter,
            "extArg": self.external,
            "flatParam": self.flat_parameter,
            "autoMCStats": self.auto_statistics,
            "group": self.groups.append,  # a group may come before its members
            "edit": self.edit,
        }

    def read(self, records: Iterable[Record]) -> Effects:
        for line in records:
            with self.faults.gathering():
                self.line(line)
        self.finish()
        return self.effects

    def line(self, line: Record) -> None:
        if len(line.tokens) < 2:
            raise line.error(
                f"{line.tokens[0]!r} is alone on its line; a nuisance line has a name, a kind and entries"
            )
        record = self.plain(line) if line.tokens[0].endswith(_NOFLOAT) else line
        kind = record.tokens[1]
        if plain_kind(kind)[0] in COLUMN_KINDS:
            self.columns(record)
        elif kind in self.handlers:
            self.handlers[kind](record)
        else:
            why = _REFUSED.get(kind.removesuffix("?"))
            known = ", ".join([*COLUMN_KINDS, *self.handlers])
            raise record.error(
                f"nuisance kind {kind!r} of {record.tokens[0]!r} is not "
                + (f"read: {why}" if why else f"known; {known} are")
            )

    def plain(self, record: Record) -> Record:
        """Take the suffix [nofloat] from the name: it is the nuisance of the plain name, floated with it."""
        name = record.tokens[0].removesuffix(_NOFLOAT)
        if not name:
            raise record.error(f"{_NOFLOAT} has no name before it; write name{_NOFLOAT}")
        self.effects.remark(
            record, "nofloat", f"{record.tokens[0]!r} is the nuisance {name!r}, floated as any other"
        )
        return replace(record, tokens=(name, *record.tokens[1:]))

    # ------------------------------------------------------------------ lines with an entry per column

    def columns(self, record: Record) -> None:
        line = read_line(record, self.terms, self.effects.remark)
        self.check_kind(record, line.name, line.kind, optional=line.optional)
        self.state.lines.append(line)
        if self.effects.n_nuisance_lines is not None:
            self.effects.n_nuisance_lines += 1

    def check_kind(self, record: Record, name: str, kind: str, *, optional: bool = False) -> None:
        """Refuse a name that already belongs to a parameter of another kind."""
        if name in OTHER_NAMES:
            raise record.error(
                f"{name!r} is the {'signal strength' if name == 'r' else 'mass'}; choose another name"
            )
        lines = [line for line in self.state.lines if line.name == name]
        known = self.effects.kinds() | {line.name: line.kind for line in lines}
        other = known.get(name, kind)
        # All have a unit normal constraint; a measured parameter must have mean zero and error one, which is checked later.
        together = {"lnN", "shape", "shapeN", "param"}
        optional = optional or any(line.optional for line in lines)
        if other != kind and not ({other, kind} <= together and ("param" in {other, kind} or optional)):
            cure = (
                "; 'shape?' is a log-normal one where there are no histograms"
                if {other, kind} <= together
                else ""
            )
            raise record.error(
                f"{name!r} is {kind} here but {other} on an earlier line; one name is one parameter{cure}"
            )

    def edit(self, record: Record) -> None:
        self.effects.n_nuisance_lines = None
        if self.faults.found:
            return
        self.state.others = {*self.effects.kinds(), *(r.tokens[0] for r in self.flat)}
        edit(self.state, record, self.terms, self.effects.remark)

    # ------------------------------------------------------------------ lines without

    def rate_parameter(self, record: Record) -> None:
        name = record.tokens[0]
        if name not in self.values():
            self.check_kind(record, name, "rateParam")
        if len(record.tokens) not in (5, 6):
            raise record.error(
                f"rateParam {name!r} needs a channel, a process, and a number, perhaps with a range [low,high], or a formula with its arguments"
            )
        channel, process, start = record.tokens[2:5]
        new = tuple(
            i
            for i, t in enumerate(self.terms)
            if fnmatch.fnmatchcase(t.channel, channel) and fnmatch.fnmatchcase(t.process, process)
        )
        known = {t.process for t in self.terms} if not new else set()
        if (
            not new
            and "*" not in channel + process
            and process in known
            and channel in {c.name for c in self.channels}
        ):
            # As in Combine: both exist, but not together.
            self.effects.remark(
                record,
                "edit-nothing",
                f"rateParam {name!r} acts on process {process!r} in channel {channel!r}, which is no column",
            )
        elif not new:
            raise record.error(
                f"rateParam {name!r} acts on process {process!r} in channel {channel!r}, but the card has no such column; "
                f"its channels begin with {[c.name for c in self.channels[:3]]}"
            )
        if len(record.tokens) == 5 and ".root" in start and ":" in start:
            raise record.error(
                f"rateParam {name!r} is a function of the RooFit workspace {start!r}, which is not read; write its value, or a formula"
            )
        if len(record.tokens) == 6 and "[" not in record.tokens[5]:
            self.formula(record, new)
            return
        initial = record.number(start, f"initial value of {name!r}")
        lower, upper = _range(record, record.tokens[5]) if len(record.tokens) == 6 else (None, None)
        if lower is not None and upper is not None and not lower <= initial <= upper:
            raise record.error(
                f"rateParam {name!r} starts at {start} outside its range; low <= start <= high"
            )
        if name in self.effects.formulas:
            raise record.error(f"rateParam {name!r} is a number here and a formula on an earlier line")
        old = self.effects.rate_parameters.get(name, RateParameter(name, initial, lower, upper, (), ()))
        if (old.initial, old.lower, old.upper) != (initial, lower, upper):
            self.effects.remark(
                record,
                "first-start",
                f"rateParam {name!r} has another start or range than on line {old.lines[0].line}, whose are taken, as in Combine",
            )
        self.remark_twice(record, old.terms, new)
        self.effects.rate_parameters[name] = replace(
            old, terms=old.terms + new, lines=(*old.lines, record.place)
        )

    def formula(self, record: Record, terms: tuple[int, ...]) -> None:
        name, text = record.tokens[0], record.tokens[4]
        arguments = tuple(record.tokens[5].split(","))
        if not all(arguments):
            raise record.error(f"the arguments {record.tokens[5]!r} of formula {name!r} have an empty name")
        try:
            expression = parse_formula(text, arguments)
        except InputError as error:
            raise record.error(f"rateParam {name!r}: {error}") from None
        if name in self.effects.rate_parameters:
            raise record.error(f"rateParam {name!r} is a formula here and a number on an earlier line")
        old = self.effects.formulas.get(name, RateFormula(name, text, expression, arguments, (), ()))
        if (old.text, old.arguments) != (text, arguments):
            raise record.error(f"rateParam {name!r} is another formula than on line {old.lines[0].line}")
        self.remark_twice(record, old.terms, terms)
        self.effects.formulas[name] = replace(old, terms=old.terms + terms, lines=(*old.lines, record.place))

    def values(self) -> dict[str, MeasuredParameter | FreeParameter]:
        """Parameters that stand for a value, which a rateParam of the same name multiplies a rate with."""
        return {**self.effects.measured, **self.effects.free}

    def check_value(self, record: Record, kind: str) -> None:
        """Refuse the name of a parameter of another kind; a rateParam takes its value, range and constraint from here."""
        name = record.tokens[0]
        if name in self.effects.formulas:
            raise record.error(
                f"{name!r} is {kind} here and a rateParam with a formula on line {self.effects.formulas[name].lines[0].line}; "
                "only one with a number can be constrained"
            )
        if name not in self.effects.rate_parameters:
            self.check_kind(record, name, kind)

    def parameter(self, record: Record) -> None:
        name = record.tokens[0]
        self.check_value(record, "param")
        if len(record.tokens) < 4:
            raise record.error(f"param {name!r} needs a mean and an error, and perhaps a range [low,high]")
        mean = record.number(record.tokens[2], f"mean of {name!r}")
        down, up = _errors(record, record.tokens[3])
        lower, upper = mean - 4 * down, mean + 4 * up
        if len(record.tokens) > 4 and record.tokens[4].startswith("["):
            lower, upper = _range(record, record.tokens[4])
        if not lower <= mean <= upper:
            raise record.error(
                f"param {name!r} has the mean {mean:g} outside its range [{lower:g},{upper:g}]"
            )
        new = MeasuredParameter(name, mean, down, up, lower, upper, (record.place,))
        if name in self.effects.measured:
            raise record.error(
                f"param {name!r} is on line {self.effects.measured[name].lines[0].line} already"
            )
        self.effects.measured[name] = new
        if self.effects.n_nuisance_lines is not None:
            self.effects.n_nuisance_lines += 1

    def external(self, record: Record) -> None:
        name = record.tokens[0]
        self.check_value(record, "extArg")
        if len(record.tokens) < 3:
            raise record.error(f"extArg {name!r} needs a value, and perhaps a range [low,high] or [const]")
        if any(":" in token for token in record.tokens[2:]):
            raise record.error(
                f"extArg {name!r} is from the RooFit workspace {record.tokens[2]!r}, which is not read; write its value and range"
            )
        value = record.number(record.tokens[2], f"value of {name!r}")
        self.effects.free[name] = self.free(record, value, record.tokens[3:])

    def free(self, record: Record, value: float, rest: tuple[str, ...]) -> FreeParameter:
        fixed = bool(rest) and rest[0] == "[const]"
        lower, upper = -math.inf, math.inf
        if rest and not fixed:
            lower, upper = _range(record, rest[0])
        if not lower <= value <= upper:
            raise record.error(
                f"{record.tokens[0]!r} has the value {value:g} outside its range [{lower:g},{upper:g}]"
            )
        return FreeParameter(record.tokens[0], value, lower, upper, fixed, (record.place,))

    def flat_parameter(self, record: Record) -> None:
        self.flat.append(record)

    def auto_statistics(self, record: Record) -> None:
        pattern, words = record.tokens[0], record.tokens[2:]
        if not 1 <= len(words) <= 3:
            raise record.error(
                "autoMCStats is written 'channel autoMCStats threshold [include-signal] [hist-mode]'"
            )
        threshold = record.number(words[0], f"threshold of autoMCStats for {pattern!r}")
        flags = [words[1] if len(words) > 1 else "0", words[2] if len(words) > 2 else "1"]
        if flags[0] not in {"0", "1"} or flags[1] not in {"0", "1", "2"}:
            raise record.error(
                f"autoMCStats has include-signal {flags[0]!r} and hist-mode {flags[1]!r}; the first is 0 or 1, the second 1 or 2"
            )
        found = [c for c in self.channels if fnmatch.fnmatchcase(c.name, pattern)]
        if not found and "*" not in pattern:
            raise record.error(f"autoMCStats is for channel {pattern!r}, which the card does not have")
        if not found:
            self.effects.remark(record, "edit-nothing", f"autoMCStats {pattern!r} matches no channel")
        for channel in found:
            if channel.template is None:
                continue  # nothing to do in a counting experiment
            if flags[1] == "0" and threshold >= 0:
                self.effects.remark(
                    record,
                    "statistics-mode",
                    f"hist-mode 0 of autoMCStats is read as 1, the default, in channel {channel.name!r}",
                )
            mode: Literal[1, 2] = 2 if flags[1] == "2" else 1
            self.effects.statistics[channel.name] = AutoStatistics(
                channel.name, threshold, flags[0] == "1", mode, record.place
            )

    # ------------------------------------------------------------------ after the last line

    def finish(self) -> None:
        for line in self.state.lines:
            with self.faults.gathering():
                self.make(line)
        if self.faults.found:
            return
        for record in self.flat:
            with self.faults.gathering():
                self.finish_flat(record)
        self.rename_measured()
        self.effects.frozen = tuple(self.state.frozen)
        for record in self.groups:
            with self.faults.gathering():
                self.group(record)

    def make(self, line: Line) -> None:
        match line.kind:
            case "lnN":
                self.log(line, "lnN")
            case "lnU":
                self.log(line, "lnU")
            case "gmN":
                self.gamma(line)
            case "gmM":
                self.width(line)
            case "unif":
                self.linear(line, "unif")
            case "trG":
                self.linear(line, "trG")
            case "shapeN":
                self.shape(line, "shapeN")
            case "shapeU":
                self.shape(line, "shapeU")
            case _:
                self.shape(line, "shape")

    def check_new(self, record: Record, taken: Iterable[int], new: Iterable[int]) -> None:
        both = sorted(set(taken).intersection(new))
        if both:
            term = self.terms[both[0]]
            raise record.error(
                f"{record.tokens[0]!r} acts twice on process {term.process!r} in channel {term.channel!r}; "
                "remove one of the lines"
            )

    def log(self, line: Line, kind: Literal["lnN", "lnU"]) -> None:
        record = line.record
        entries = tuple(_kappa(i, cell, record) for i, cell in sorted(line.cells.items()))
        old = self.effects.nuisances.get(line.name, LogNuisance(line.name, kind, (), ()))
        if old.kind != kind:
            raise record.error(
                f"{line.name!r} is {kind} here but {old.kind} on an earlier line; one name is one parameter"
            )
        self.effects.nuisances[line.name] = replace(
            old, entries=self.joined(record, old.entries, entries), lines=(*old.lines, record.place)
        )

    def joined(self, record: Record, old: tuple[Kappa, ...], new: tuple[Kappa, ...]) -> tuple[Kappa, ...]:
        """Entries of one nuisance from several lines: on a column that has two both act, which is their product."""
        found = {entry.term: entry for entry in old}
        self.remark_twice(record, found, (entry.term for entry in new))
        for entry in new:
            before = found.get(entry.term)
            if before is not None:
                both = before.symmetric and entry.symmetric
                entry = Kappa(  # noqa: PLW2901  # the two as one
                    entry.term,
                    before.down * entry.down,
                    before.up * entry.up,
                    symmetric=both,
                    place=before.place,
                )
            found[entry.term] = entry
        return tuple(found.values())

    def remark_twice(self, record: Record, taken: Iterable[int], new: Iterable[int]) -> None:
        both = sorted(set(taken).intersection(new))
        if both:
            term = self.terms[both[0]]
            more = f" and {len(both) - 1} more" if len(both) > 1 else ""
            self.effects.remark(
                record,
                "acts-twice",
                f"{record.tokens[0]!r} acts twice on process {term.process!r} in channel {term.channel!r}{more}; both lines count, as in Combine",
            )

    def shape(self, line: Line, kind: Literal["shape", "shapeN", "shapeU"]) -> None:
        record, name = line.record, line.name
        entries = []
        for i, cell in sorted(line.cells.items()):
            term = self.terms[i]
            if term.template is None and term.rate != 0 and not line.optional:
                raise record.error(
                    f"{kind} {name!r} acts on process {term.process!r} in channel {term.channel!r}, which has no histogram; use lnN there"
                )
            kappa = _kappa(i, cell, record) if line.optional else None
            scale = cell[0] if len(cell) == 1 else math.nan
            entries.append(ShapeEntry(i, scale, kappa, line.sources.get(i, name), record.place))
        old = self.effects.shapes.get(name, ShapeNuisance(name, kind, line.optional, (), ()))
        if old.kind != kind:
            raise record.error(
                f"{name!r} is {kind} here but {old.kind} on an earlier line; one name is one parameter"
            )
        self.remark_twice(record, (e.term for e in old.entries), (e.term for e in entries))
        self.effects.shapes[name] = replace(
            old,
            optional=old.optional and line.optional,
            entries=(*old.entries, *entries),
            lines=(*old.lines, record.place),
        )

    def linear(self, line: Line, kind: Literal["unif", "trG"]) -> None:
        record, name = line.record, line.name
        lower, upper = -math.inf, math.inf
        if kind == "unif":
            lower, upper = (record.number(a, f"range of {name!r}") for a in line.arguments)
            if not lower < upper:
                raise record.error(f"unif {name!r} has the range {lower:g} to {upper:g}; low < high")
        entries = tuple(Slope(i, cell[0], record.place) for i, cell in sorted(line.cells.items()))
        old = self.effects.linear.get(name, LinearNuisance(name, kind, lower, upper, (), ()))
        if (old.kind, old.lower, old.upper) != (kind, lower, upper):
            raise record.error(
                f"{kind} {name!r} has another kind or range on line {old.lines[0].line}; one name is one parameter"
            )
        self.check_new(record, (e.term for e in old.entries), (e.term for e in entries))
        self.effects.linear[name] = replace(
            old, entries=(*old.entries, *entries), lines=(*old.lines, record.place)
        )

    def width(self, line: Line) -> None:
        record, name = line.record, line.name
        sizes = sorted({cell[0] for cell in line.cells.values()})
        if len(sizes) > 1:
            raise record.error(
                f"gmM {name!r} has the uncertainties {sizes[0]:g} and {sizes[1]:g}; it has one"
            )
        if sizes and not 1e-6 <= sizes[0] <= 1:
            raise record.error(
                f"gmM {name!r} has the uncertainty {sizes[0]:g}; 1e-6 to 1 are read, since a wider gamma distribution is infinite at zero"
            )
        if not sizes:
            return
        old = self.effects.widths.get(name, GammaWidth(name, sizes[0], (), ()))
        if old.width != sizes[0]:
            raise record.error(
                f"gmM {name!r} has the uncertainty {sizes[0]:g} here and {old.width:g} on line {old.lines[0].line}; it has one"
            )
        terms = tuple(sorted(line.cells))
        self.remark_twice(record, old.terms, terms)
        self.effects.widths[name] = replace(old, terms=(*old.terms, *terms), lines=(*old.lines, record.place))

    def gamma(self, line: Line) -> None:
        record, name, count = line.record, line.name, int(line.arguments[0])
        old = self.effects.gammas.get(name, GammaNuisance(name, count, (), ()))
        if old.count != count:
            raise record.error(
                f"gmN {name!r} counts {counted(count, 'event')} here and {old.count} on line {old.lines[0].line}"
            )
        entries = tuple(self.alpha(record, count, i, cell[0]) for i, cell in sorted(line.cells.items()))
        others = (e.term for g in self.effects.gammas.values() if g.name != name for e in g.entries)
        both = sorted({e.term for e in entries}.intersection(others))
        if both:
            term = self.terms[both[0]]
            raise record.error(
                f"process {term.process!r} in channel {term.channel!r} has a second gmN, {name!r}; one count can "
                "normalise it"
            )
        self.check_new(record, (e.term for e in old.entries), (e.term for e in entries))
        self.effects.gammas[name] = replace(
            old, entries=old.entries + entries, lines=(*old.lines, record.place)
        )

    def alpha(self, record: Record, count: int, term: int, alpha: float) -> Alpha:
        name = record.tokens[0]
        rate, own = self.terms[term].rate, count * alpha
        if isinstance(rate, Placeholder) or rate == FROM_TEMPLATE:
            return Alpha(term, alpha, record.place)
        said = f"{name!r} gives {count} * {alpha:g} = {own:g} events of {self.terms[term].process!r} in {self.terms[term].channel!r}"
        # Combine's tolerance; the card states the rate twice, and the count times alpha is what is used.
        if abs(own - rate) > max(0.05 * max(rate, 1.0), alpha):
            raise record.error(f"{said}, but its rate is {rate:g}; they must agree")
        if abs(own - rate) > 0.01 * max(rate, own):
            self.effects.remark(record, "gamma-rate", f"{said}, which stands for its rate {rate:g}")
        return Alpha(term, alpha, record.place)

    def finish_flat(self, record: Record) -> None:
        """A ``flatParam`` says that a parameter is free; with a value it makes one that only formulas use."""
        name = record.tokens[0]
        if name in self.effects.kinds():
            return
        used = any(name in f.arguments for f in self.effects.formulas.values())
        if len(record.tokens) > 2:
            value = record.number(record.tokens[2], f"value of {name!r}")
            self.effects.free[name] = self.free(record, value, record.tokens[3:])
        elif used:
            raise record.error(
                f"flatParam {name!r} has no value, and a formula uses it; write 'name flatParam value [low,high]'"
            )
        else:
            self.effects.remark(record, "unused-parameter", f"nothing uses flatParam {name!r}")

    def rename_measured(self) -> None:
        effects, names = self.effects, self.state.renamed
        if not names:
            return
        for old, new in names.items():
            if old in effects.measured:
                effects.measured[new] = replace(effects.measured.pop(old), name=new)
        for name, formula in effects.formulas.items():
            parts = tuple(names.get(a, a) for a in formula.arguments)
            if parts != formula.arguments:
                meant = {old: Variable(new) for old, new in names.items()}
                effects.formulas[name] = replace(
                    formula, arguments=parts, expression=replaced(formula.expression, meant)
                )

    def group(self, record: Record) -> None:
        effects, name = self.effects, record.tokens[0]
        if len(record.tokens) < 4 or record.tokens[2] not in ("=", "+="):
            raise record.error(f"group {name!r} must be written '{name} group = nuisance nuisance ...'")
        members = record.tokens[3:]
        known = {
            *effects.kinds(),
            *(line.name for line in self.state.lines),
            *(r.tokens[0] for r in self.flat),
        }
        for member in members:
            if member not in known:
                raise record.error(f"group {name!r} names {member!r}, which is not a nuisance of this card")
        old = effects.groups.get(name)
        if old is None and record.tokens[2] == "+=":
            raise record.error(f"group {name!r} is extended before it is defined; write '=' the first time")
        if old is not None and record.tokens[2] == "=":
            raise record.error(
                f"group {name!r} is defined again; the first time was line {old.lines[0].line}"
            )
        before = old or Group(name, (), ())
        effects.groups[name] = Group(
            name, tuple(dict.fromkeys(before.members + members)), (*before.lines, record.place)
        )


def _kappa(term: int, cell: Cell, record: Record) -> Kappa:
    if len(cell) == 1:
        return Kappa(term, 1 / cell[0], cell[0], symmetric=True, place=record.place)
    return Kappa(term, cell[0], cell[1], symmetric=False, place=record.place)


def _range(record: Record, text: str) -> tuple[float, float]:
    parts = text[1:-1].split(",")
    if not (text.startswith("[") and text.endswith("]") and len(parts) == 2):
        raise record.error(f"{text!r} of {record.tokens[0]!r} is not a range; write [low,high], or nothing")
    what = f"range of {record.tokens[0]!r}"
    low, high = record.number(parts[0].strip(), what), record.number(parts[1].strip(), what)
    if not low <= high:
        raise record.error(f"{what} is {text}; low <= high")
    return low, high


def _errors(record: Record, text: str) -> tuple[float, float]:
    """Read an error, or a pair -x/+y."""
    name, parts = record.tokens[0], text.split("/")
    if len(parts) == 2 and not (parts[0].startswith("-") and parts[1].startswith("+")):
        raise record.error(f"the errors {text!r} of param {name!r} are a pair; write -x/+y")
    if len(parts) > 2:
        raise record.error(f"the errors {text!r} of param {name!r} are {len(parts)}; write one, or -x/+y")
    values = [record.number(part, f"error of {name!r}") for part in parts]
    down, up = (-values[0], values[1]) if len(values) == 2 else (values[0], values[0])
    if not (down > 0 and up > 0):
        raise record.error(f"the error {text!r} of param {name!r} is not above zero")
    return down, up
