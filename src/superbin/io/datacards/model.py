"""The content of datacards as frozen values: what was written, and where.

`Datacards` is what `superbin.io.datacards.read_datacards` returns. Nothing in it is interpreted beyond the
format: placeholders stay placeholders, inert entries stay entries, so that `lint` can report them and `repair`
can list every change it makes. Where Combine itself ignores something, the reader does too and leaves a `Remark`. Terms are numbered by their position in `Datacards.terms`, and every effect
(a kappa, an alpha, a rate parameter) points at the terms it acts on.
"""

from dataclasses import dataclass
from typing import Literal

from superbin._support.shown import Shown
from superbin.statistical_model.expressions import Expression

__all__ = [
    "FROM_TEMPLATE",
    "Alpha",
    "AutoStatistics",
    "Channel",
    "Comment",
    "Datacards",
    "FreeParameter",
    "GammaNuisance",
    "GammaWidth",
    "Group",
    "Kappa",
    "LinearNuisance",
    "LogNuisance",
    "MeasuredParameter",
    "Place",
    "Placeholder",
    "RateFormula",
    "RateParameter",
    "Remark",
    "ShapeEntry",
    "ShapeNuisance",
    "Slope",
    "Template",
    "Term",
]

FROM_TEMPLATE = -1.0
"""A rate, or an observation, that is the integral of its histogram."""


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
class Template:
    """Where the histogram of a process, or of the data, is.

    Parameters
    ----------
    file : str
        The ROOT file, as an absolute path or from where superbin runs.
    name : str
        The histogram in it, in which ``$MASS`` may stand for the mass.
    variation : str or None
        The same for its systematic variations, with ``$SYSTEMATIC`` for the nuisance followed by ``Up`` or ``Down``.
    place : Place
        The ``shapes`` line.
    """

    file: str
    name: str
    variation: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class Channel:
    """One counting experiment, or one histogram.

    Parameters
    ----------
    name : str
        As the ``bin`` line writes it.
    observed : float
        Observed events, >= 0; not a whole number in a card made for Asimov data. `FROM_TEMPLATE` in a channel with a
        histogram of the data may leave it to that.
    place : Place
        The ``observation`` line.
    template : Template or None
        The histogram of the data; None for a counting experiment.
    """

    name: str
    observed: float
    place: Place
    template: Template | None = None


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
        Expected events, finite and >= 0, or the word that stands for them; `FROM_TEMPLATE` where the histogram says it.
    place : Place
        The ``rate`` line.
    template : Template or None
        The histogram; None in a counting experiment.
    """

    channel: str
    process: str
    number: int
    rate: float | Placeholder
    place: Place
    template: Template | None = None

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
    """A factor on the rate of some terms (``rateParam`` with a number).

    It is free, unless a `MeasuredParameter` or `FreeParameter` of the same name gives its value, range and constraint.

    Parameters
    ----------
    name : str
        Its name in all the cards.
    initial : float
        Where a fit starts.
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
class RateFormula:
    """A factor on the rate of some terms that is a formula of other parameters (``rateParam`` with a formula).

    Parameters
    ----------
    name : str
        Its name in all the cards.
    text : str
        The formula as written, with ``@0``, ``@1``, ... for its arguments.
    expression : Expression
        The same read, its variables named as the arguments.
    arguments : tuple of str
        Parameters, or other formulas.
    terms : tuple of int
        Positions in `Datacards.terms`.
    lines : tuple of Place
        Every line that declares it.
    """

    name: str
    text: str
    expression: Expression
    arguments: tuple[str, ...]
    terms: tuple[int, ...]
    lines: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class ShapeEntry:
    """What one shape nuisance does to one term.

    Parameters
    ----------
    term : int
        Position in `Datacards.terms`.
    scale : float
        How many standard deviations of the histograms one of the nuisance is, > 0.
    kappa : Kappa or None
        What the entry means as a log-normal one, where the card leaves open which it is (``shape?``).
    source : str
        The name under which the histograms are: that of the nuisance before it was renamed.
    place : Place
        The nuisance's line.
    """

    term: int
    scale: float
    kappa: Kappa | None
    source: str
    place: Place


@dataclass(frozen=True, slots=True)
class ShapeNuisance:
    """A nuisance that changes histograms, shared by name across cards.

    Parameters
    ----------
    name : str
        Its name in all the cards.
    kind : {"shape", "shapeN", "shapeU"}
        Additive, logarithmic, or additive without constraint (between -1 and 1).
    optional : bool
        Whether it is a log-normal one where there are no histograms of its variations (``?``).
    entries : tuple of ShapeEntry
        In the order of the cards.
    lines : tuple of Place
        Every line that declares it.
    """

    name: str
    kind: Literal["shape", "shapeN", "shapeU"]
    optional: bool
    entries: tuple[ShapeEntry, ...]
    lines: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Slope:
    """What a `LinearNuisance` does to one term: the factor 1 + slope x."""

    term: int
    slope: float
    place: Place


@dataclass(frozen=True, slots=True)
class LinearNuisance:
    """A nuisance whose effect is linear: ``unif`` (flat between two values) or ``trG`` (Gaussian, cut where a rate vanishes).

    Parameters
    ----------
    name : str
        Its name in all the cards.
    kind : {"unif", "trG"}
        Flat or unit Gaussian.
    lower, upper : float
        Range; infinite for ``trG``.
    entries : tuple of Slope
        In the order of the cards.
    lines : tuple of Place
        Every line that declares it.
    """

    name: str
    kind: Literal["unif", "trG"]
    lower: float
    upper: float
    entries: tuple[Slope, ...]
    lines: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class GammaWidth:
    """A ``gmM`` nuisance: a factor with mean one and a gamma distribution of a given width.

    Parameters
    ----------
    name : str
        Its name in all the cards.
    width : float
        Relative uncertainty, > 0 and at most 1.
    terms : tuple of int
        Positions in `Datacards.terms`.
    lines : tuple of Place
        Every line that declares it.
    """

    name: str
    width: float
    terms: tuple[int, ...]
    lines: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class MeasuredParameter:
    """A parameter measured with Gaussian errors (``param``), for formulas.

    Parameters
    ----------
    name : str
        Its name in all the cards.
    mean : float
        The measured value.
    down, up : float
        Errors, > 0.
    lower, upper : float
        Range; by default four errors about the value.
    lines : tuple of Place
        Every line that declares it.
    """

    name: str
    mean: float
    down: float
    up: float
    lower: float
    upper: float
    lines: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class FreeParameter:
    """A parameter that only formulas use (``extArg`` and ``flatParam`` with a value).

    Parameters
    ----------
    name : str
        Its name in all the cards.
    initial : float
        Where a fit starts.
    lower, upper : float
        Range, perhaps infinite.
    fixed : bool
        Whether it is a constant.
    lines : tuple of Place
        Every line that declares it.
    """

    name: str
    initial: float
    lower: float
    upper: float
    fixed: bool
    lines: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class AutoStatistics:
    """Statistical errors of the histograms of a channel (``autoMCStats``).

    Parameters
    ----------
    channel : str
        Its name.
    threshold : float
        Effective events up to which every process has a parameter of its own; below zero there are none.
    with_signal : bool
        Whether the signal counts towards it.
    mode : {1, 2}
        Whether variations of histograms are split into shape and normalisation (1) or taken as they are (2).
    place : Place
        The line.
    """

    channel: str
    threshold: float
    with_signal: bool
    mode: Literal[1, 2]
    place: Place


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


@dataclass(frozen=True, slots=True, repr=False)
class Datacards(Shown):
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
    formulas, shapes, linear, widths, measured, free : tuple
        Parameters of the other kinds, in the order of first mention.
    frozen : tuple of str
        Parameters that a ``nuisance edit freeze`` fixes where fits start.
    statistics : tuple of AutoStatistics
        At most one for each channel.
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
    formulas: tuple[RateFormula, ...] = ()
    shapes: tuple[ShapeNuisance, ...] = ()
    linear: tuple[LinearNuisance, ...] = ()
    widths: tuple[GammaWidth, ...] = ()
    measured: tuple[MeasuredParameter, ...] = ()
    free: tuple[FreeParameter, ...] = ()
    frozen: tuple[str, ...] = ()
    statistics: tuple[AutoStatistics, ...] = ()

    def _shown(self) -> tuple[str, dict[str, str]]:
        more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
        return (self.files[0] if self.files else "none") + more, {
            "channels": str(len(self.channels)),
            "columns": str(len(self.terms)),
            "remarks": str(len(self.remarks)),
        }
