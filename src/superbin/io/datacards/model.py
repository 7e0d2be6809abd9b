"""The content of counting datacards as frozen values: what was written, and where.

`Datacards` is what `superbin.io.datacards.read_datacards` returns. Nothing in it is interpreted beyond the
format: placeholders stay placeholders, inert entries stay entries, so that `lint` can report them and `repair`
can list every change it makes. Where Combine itself ignores something, the reader does too and leaves a `Remark`. Terms are numbered by their position in `Datacards.terms`, and every effect
(a kappa, an alpha, a rate parameter) points at the terms it acts on.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Alpha",
    "Channel",
    "Comment",
    "Datacards",
    "GammaNuisance",
    "Group",
    "Kappa",
    "LogNuisance",
    "Place",
    "Placeholder",
    "RateParameter",
    "Remark",
    "Term",
]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file, counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Comment:
    """A whole-line comment, without its ``#``."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A rate that is a word, such as ``SIGNAL``: to be filled in by whoever uses the card."""

    text: str


@dataclass(frozen=True, slots=True)
class Channel:
    """One counting experiment.

    Parameters
    ----------
    name : str
        As the ``bin`` line writes it.
    observed : float
        Observed events, >= 0; not a whole number in a card made for Asimov data.
    place : Place
        The ``observation`` line.
    """

    name: str
    observed: float
    place: Place


@dataclass(frozen=True, slots=True)
class Term:
    """One column of a card: the expected events of a process in a channel.

    Parameters
    ----------
    channel, process : str
        Names.
    number : int
        The process number of the card; 0 and below are signals.
    rate : float or Placeholder
        Expected events, finite and >= 0, or the word that stands for them.
    place : Place
        The ``rate`` line.
    """

    channel: str
    process: str
    number: int
    rate: float | Placeholder
    place: Place

    @property
    def is_signal(self) -> bool:
        """Whether the process is a signal, by the convention number <= 0."""
        return self.number <= 0


@dataclass(frozen=True, slots=True)
class Kappa:
    """What one log-normal or log-uniform nuisance does to one term: a factor at -1 and one at +1.

    Parameters
    ----------
    term : int
        Position in `Datacards.terms`.
    down, up : float
        The factors, > 0. A single ``kappa`` in the card means ``down = 1 / kappa``, ``up = kappa``.
    symmetric : bool
        Whether the card gave a single number.
    place : Place
        The nuisance's line.
    """

    term: int
    down: float
    up: float
    symmetric: bool
    place: Place

    @property
    def is_inert(self) -> bool:
        """Whether it changes nothing."""
        return self.down == 1.0 == self.up


@dataclass(frozen=True, slots=True)
class LogNuisance:
    """A nuisance parameter of kind ``lnN`` (unit Gaussian) or ``lnU`` (flat), shared by name across cards.

    Parameters
    ----------
    name : str
        Its name in all the cards.
    kind : {"lnN", "lnU"}
        ``lnN`` has a unit Gaussian constraint; ``lnU`` is flat between its two factors.
    entries : tuple of Kappa
        In the order of the cards; empty when every column holds a dash.
    lines : tuple of Place
        Every line that declares it.
    """

    name: str
    kind: Literal["lnN", "lnU"]
    entries: tuple[Kappa, ...]
    lines: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Alpha:
    """The ratio > 0 that carries the count of a `GammaNuisance` to one term: rate = count * alpha."""

    term: int
    alpha: float
    place: Place


@dataclass(frozen=True, slots=True)
class GammaNuisance:
    """A ``gmN`` nuisance: a count of events in a sideband or simulation, Poisson distributed.

    Parameters
    ----------
    name : str
        Its name in all the cards.
    count : int
        Events counted, >= 0.
    entries : tuple of Alpha
        Events in the channel per event counted.
    lines : tuple of Place
        Every line that declares it.
    """

    name: str
    count: int
    entries: tuple[Alpha, ...]
    lines: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class RateParameter:
    """A free factor on the rate of some terms (``rateParam`` with a number).

    Parameters
    ----------
    name : str
        Its name in all the cards.
    initial : float
        Where a fit starts, >= 0.
    lower, upper : float or None
        Its range, if the card gives one.
    terms : tuple of int
        Positions in `Datacards.terms`.
    lines : tuple of Place
        Every line that declares it.
    """

    name: str
    initial: float
    lower: float | None
    upper: float | None
    terms: tuple[int, ...]
    lines: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Nuisances that go by a common name."""

    name: str
    members: tuple[str, ...]
    lines: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Remark:
    """What reading left out or took from another place than the obvious one, as Combine does.

    Parameters
    ----------
    place : Place
        The line.
    code : str
        One of `superbin.io.datacards.CODES`.
    message : str
        What is written, and what it was read as.
    """

    place: Place
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Datacards:
    """One likelihood, from one card or from many combined.

    Parameters
    ----------
    files : tuple of str
        The cards in the order they were read.
    channels : tuple of Channel
        In the order of the cards; names differ.
    terms : tuple of Term
        In the order of the cards; (channel, process) pairs differ.
    nuisances : tuple of LogNuisance
        In the order of first mention; names differ.
    gammas : tuple of GammaNuisance
        In the order of first mention.
    rate_parameters : tuple of RateParameter
        In the order of first mention.
    groups : tuple of Group
        In the order of first mention.
    comments : tuple of Comment
        Whole-line comments: some analyses tag their bins there.
    remarks : tuple of Remark
        What was not read as it is written.
    """

    files: tuple[str, ...]
    channels: tuple[Channel, ...]
    terms: tuple[Term, ...]
    nuisances: tuple[LogNuisance, ...]
    gammas: tuple[GammaNuisance, ...] = ()
    rate_parameters: tuple[RateParameter, ...] = ()
    groups: tuple[Group, ...] = ()
    comments: tuple[Comment, ...] = ()
    remarks: tuple[Remark, ...] = ()
