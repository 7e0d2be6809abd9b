"""The text of one datacard -> `Datacards`; every error names the file and the line.

The grammar is that of the CMS Combine tool: a header (`imax`, `jmax`, `kmax`, `shapes`, `bin`, `observation`), the table of
columns (`bin`, `process` twice, `rate`), then one line per nuisance, rate parameter, group or instruction. `parse_card` reads
the header here; which histograms the columns have is found by `superbin.io.datacards.sources`, and the lines below the table
are read by `superbin.io.datacards.effects`.

Nuisance lines are read as Combine reads them: words beyond the last column are ignored, and zero is no effect; where
that may not be what was meant there is a remark. One difference is on the strict side: an unknown header line is an
error after the first keyword. All faults of a card are reported together, but those that may follow from earlier ones.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from superbin._support.shown import counted
from superbin.errors import DocumentError
from superbin.io._faults import Faults
from superbin.io.datacards.effects import Effects, read_effects
from superbin.io.datacards.model import (
    FROM_TEMPLATE,
    Channel,
    Comment,
    Datacards,
    Place,
    Placeholder,
    Template,
    Term,
)
from superbin.io.datacards.records import Record
from superbin.io.datacards.sources import DATA, Sources

__all__ = ["parse_card"]

_COUNTS = ("imax", "jmax", "kmax")
_HEADER = (*_COUNTS, "shapes", "bin", "observation", "Observation", "process", "rate")
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
# Words that C and Python read as numbers: as a rate they are a failed calculation, not a placeholder.
_NOT_A_NUMBER = re.compile(r"[+-]?(nan|inf|infinity)(\(.*\))?|[+-]?1\.#.*", re.IGNORECASE)


def parse_card(
    text: str, file: str, *, outside: bool = False, keywords: Mapping[str, str] | None = None
) -> Datacards:
    """Read one card.

    Parameters
    ----------
    text : str
        The card's content.
    file : str
        Its name, for the places; the files it names are sought from its folder.
    outside : bool
        Whether it may name files outside that folder.
    keywords : mapping of str to str, optional
        What ``$WORD`` stands for in the shapes lines.

    Returns
    -------
    Datacards
        With `file` as its only file.

    Raises
    ------
    DocumentError
        If the text is no datacard, is truncated, contradicts itself or asks for something that is not read, such as a shape in a
        RooFit workspace.
    """
    comments: list[Comment] = []
    faults = Faults(file)
    records = _records(text, file, comments)
    header, rate = _read_header(records, file, faults)
    faults.check()  # the table makes no sense without its header
    sources = Sources(header.shapes, file, outside=outside, keywords=keywords or {})
    with faults.gathering():
        channels, terms = _columns(header, rate, sources, faults)
        effects = read_effects(records, channels, terms, faults)
        if not faults.found:
            _check_count(header, "kmax", effects.n_nuisance_lines, "nuisance lines")
    faults.check()
    return _assemble(file, channels, terms, effects, comments)


def _assemble(
    file: str,
    channels: tuple[Channel, ...],
    terms: tuple[Term, ...],
    effects: Effects,
    comments: list[Comment],
) -> Datacards:
    return Datacards(
        files=(file,),
        channels=channels,
        terms=terms,
        nuisances=tuple(effects.nuisances.values()),
        gammas=tuple(effects.gammas.values()),
        rate_parameters=tuple(effects.rate_parameters.values()),
        groups=tuple(effects.groups.values()),
        comments=tuple(comments),
        remarks=tuple(effects.remarks),
        formulas=tuple(effects.formulas.values()),
        shapes=tuple(effects.shapes.values()),
        linear=tuple(effects.linear.values()),
        widths=tuple(effects.widths.values()),
        measured=tuple(effects.measured.values()),
        free=tuple(effects.free.values()),
        frozen=effects.frozen,
        statistics=tuple(effects.statistics.values()),
    )


def _records(text: str, file: str, comments: list[Comment]) -> Iterator[Record]:
    # Split at newlines only: str.splitlines also breaks at characters no editor counts as a line.
    below = False
    for line, content in enumerate(text.split("\n"), start=1):
        place = Place(file, line)
        stripped = content.strip()
        if stripped.startswith("#"):
            comments.append(Comment(stripped.lstrip("#").strip(), place))
            continue
        # Below the table, as in Combine, a comment needs no blank before it; above it, names of histograms may have a #.
        tokens = tuple(re.sub(r"#.*" if below else r"(^|\s)#.*", "", stripped).split())
        if tokens and not stripped.startswith("--"):
            below = below or tokens[0] == "rate"
            yield Record(place, tokens)


@dataclass(slots=True)
class _Header:
    file: str
    counts: dict[str, Record] = field(default_factory=dict)
    bins: list[Record] = field(default_factory=list)
    processes: list[Record] = field(default_factory=list)
    observation: Record | None = None
    shapes: list[Record] = field(default_factory=list)

    @property
    def columns(self) -> Record:
        """The `bin` line of the table: the last one."""
        return self.bins[-1]


def _read_header(records: Iterator[Record], file: str, faults: Faults) -> tuple[_Header, Record]:
    header = _Header(file)
    started = False
    for record in records:
        keyword = record.tokens[0]
        if not started and keyword not in _HEADER:
            continue  # combineCards.py and people write a title there
        started = True
        if keyword == "rate":
            return header, record
        with faults.gathering():
            _take(header, keyword, record)
    faults.check()
    if not started:
        raise DocumentError(f"{file}:1: no imax, bin or rate line; this is not a datacard")
    raise DocumentError(f"{file}: the card ends before its rate line; it is truncated")


def _take(header: _Header, keyword: str, record: Record) -> None:
    if keyword in _COUNTS:
        _once(header.counts.get(keyword), record)
        _count(record)
        header.counts[keyword] = record
    elif keyword == "shapes":
        header.shapes.append(record)
    elif keyword in ("bin", "process"):
        seen = header.bins if keyword == "bin" else header.processes
        if len(seen) == 2:
            raise record.error(
                f"a third {keyword} line; two are allowed, the first at line {seen[0].place.line}"
            )
        seen.append(record)
    elif keyword in _HEADER:
        _once(header.observation, record)
        header.observation = record
    else:
        raise record.error(f"{keyword!r} is not a header line; {', '.join(_HEADER[:5])}, ... are")


def _once(earlier: Record | None, record: Record) -> None:
    if earlier is not None:
        raise record.error(f"a second {record.tokens[0]} line; the first is line {earlier.place.line}")


def _count(record: Record) -> int | None:
    if len(record.tokens) < 2:
        raise record.error(f"{record.tokens[0]} has no value; write a whole number or *")
    value = record.tokens[1]
    if value == "*":
        return None
    if re.fullmatch(r"\d{1,9}", value, re.ASCII) is None:
        raise record.error(f"{record.tokens[0]} is {value!r}; it must be a whole number or *")
    return int(value)


def _check_count(header: _Header, keyword: str, found: int | None, what: str) -> None:
    record = header.counts.get(keyword)
    declared = None if record is None else _count(record)
    if record is not None and declared is not None and found is not None and declared != found:
        raise record.error(f"{keyword} is {declared} but the card has {found} {what}; is the card truncated?")


def _columns(
    header: _Header, rate: Record, sources: Sources, faults: Faults
) -> tuple[tuple[Channel, ...], tuple[Term, ...]]:
    """The table: its channels, and a term for every column, with something in place of those that are faulty."""
    if not header.bins or len(header.processes) != 2:
        raise rate.error(
            f"the rate line comes after {len(header.bins)} bin and {len(header.processes)} process lines; "
            "one or two bin lines and two process lines (names and numbers) must come before it"
        )
    names, numbers = _names_and_numbers(header.processes)
    columns = header.columns.tokens[1:]
    if not columns:
        raise header.columns.error(
            "the bin line of the table is empty; it must name the channel of every column"
        )
    for record in (names, numbers, rate):
        if len(record.tokens) - 1 != len(columns):
            raise record.error(
                f"{len(record.tokens) - 1} entries after {record.tokens[0]!r}, but the bin line "
                f"(line {header.columns.place.line}) has {counted(len(columns), 'column')}"
            )
    terms: list[Term] = []
    for channel, process, text, value in zip(
        columns, names.tokens[1:], numbers.tokens[1:], rate.tokens[1:], strict=True
    ):
        number = 1
        events: float | Placeholder = FROM_TEMPLATE
        template: Template | None = Template("", "", None, rate.place)
        with faults.gathering():
            number = _process_number(numbers, text)
        with faults.gathering():
            events = _rate(rate, value)
            with faults.gathering(once=True):
                template = sources.template(channel, process, needed=events != 0)
            if events == FROM_TEMPLATE and template is None:
                raise rate.error(
                    f"rate -1 of process {process!r} in channel {channel!r} means the integral of its histogram, but it has none; write the expected events"
                )
        terms.append(Term(channel, process, number, events, rate.place, template))
    with faults.gathering():
        _check_terms(terms, names, numbers)
    channels = _channels(header, tuple(dict.fromkeys(columns)), sources, faults)
    if not faults.found:
        _check_table(header, channels, terms, faults)
    return channels, tuple(terms)


def _check_table(
    header: _Header, channels: tuple[Channel, ...], terms: Sequence[Term], faults: Faults
) -> None:
    counting = {c.name for c in channels if c.template is None}
    for term in terms:
        if term.rate != 0 and (term.channel in counting) != (term.template is None):
            with_histogram = term.template or next(c.template for c in channels if c.name == term.channel)
            place = term.place if with_histogram is None else with_histogram.place
            with faults.gathering():
                raise DocumentError(
                    f"{place}: in channel {term.channel!r} process {term.process!r} and the data do not both have a histogram; "
                    "give both one, or FAKE to both"
                )
    with faults.gathering():
        _check_count(header, "imax", len(channels), "channels")
    with faults.gathering():
        _check_count(header, "jmax", len({t.process for t in terms}) - 1, "processes beside the first")


def _names_and_numbers(processes: list[Record]) -> tuple[Record, Record]:
    first, second = processes
    integer = re.compile(r"[+-]?\d+", re.ASCII)
    if first.tokens[1:] and all(integer.fullmatch(token) for token in first.tokens[1:]):
        return second, first
    return first, second


def _process_number(record: Record, text: str) -> int:
    if re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII) is None:
        raise record.error(
            f"process number {text!r} is not a whole number; signals have <= 0, backgrounds > 0"
        )
    return int(text)


def _rate(record: Record, text: str) -> float | Placeholder:
    if _WORD.fullmatch(text) and not _NOT_A_NUMBER.fullmatch(text):
        return Placeholder(text)
    value = record.number(text, "rate")
    if value < 0 and value != FROM_TEMPLATE:
        raise record.error(f"rate {text} is negative; expected events are >= 0")
    return value


def _check_terms(terms: Sequence[Term], names: Record, numbers: Record) -> None:
    seen: set[tuple[str, str]] = set()
    signal: dict[str, bool] = {}
    for term in terms:
        if (term.channel, term.process) in seen:
            raise names.error(
                f"process {term.process!r} is twice in channel {term.channel!r}; merge the columns"
            )
        seen.add((term.channel, term.process))
        if signal.setdefault(term.process, term.is_signal) != term.is_signal:
            raise numbers.error(
                f"process {term.process!r} is a signal in one column and a background in another; "
                "its numbers must all be <= 0 or all > 0"
            )


def _channels(
    header: _Header, columns: tuple[str, ...], sources: Sources, faults: Faults
) -> tuple[Channel, ...]:
    record = header.observation
    if record is None:
        raise DocumentError(f"{header.file}: no observation line before the rate line; the card needs one")
    declared = header.bins[0].tokens[1:] if len(header.bins) == 2 else columns
    if len(set(declared)) != len(declared):
        raise header.bins[0].error(
            "the same channel twice in one bin line; every channel has one observation"
        )
    if len(record.tokens) - 1 != len(declared):
        raise record.error(f"{len(record.tokens) - 1} observations for {counted(len(declared), 'channel')}")
    missing = [name for name in columns if name not in declared]
    empty = [name for name in declared if name not in columns]
    if missing:
        raise header.columns.error(
            f"channel {missing[0]!r} is not among the declared ones (line {header.bins[0].place.line})"
        )
    if empty:
        raise header.columns.error(
            f"channel {empty[0]!r} is declared but has no column, so nothing is expected in it"
        )
    channels = []
    for name, text in zip(declared, record.tokens[1:], strict=True):
        observed: float = FROM_TEMPLATE
        template: Template | None = Template("", "", None, record.place)
        with faults.gathering(once=True):
            template = sources.template(name, DATA)
        with faults.gathering():
            observed = record.number(text, "observation")
            if observed < 0 and (observed != FROM_TEMPLATE or template is None):
                raise record.error(f"observation {text} of channel {name!r} is negative; counts are >= 0")
        channels.append(Channel(name, observed, record.place, template))
    return tuple(channels)
