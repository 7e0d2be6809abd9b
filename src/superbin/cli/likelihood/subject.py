"""SOURCE and SIGNAL: what ``superbin likelihood`` works on, and its options."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from superbin.cli.options import database_option, search_option, signal_options, standard_input
from superbin.errors import InputError

if TYPE_CHECKING:
    from superbin.domain.search import Search
    from superbin.domain.signal import SignalModel
    from superbin.likelihood import PublishedLikelihood
    from superbin.likelihood.engine import Engine
    from superbin.likelihood.imported import ImportedLikelihood

__all__ = [
    "PROCESSES",
    "Subject",
    "bin_numbers_of",
    "card_options",
    "head",
    "is_search",
    "keyword_values",
    "open_search_signal",
    "open_subject",
    "optional_subject_options",
    "processes_option",
    "subject_options",
]

F = TypeVar("F", bound=Callable[..., Any])

STDIN = "-"

PROCESSES = {"--workers": "--processes"}
"""The former spelling of the option below."""

processes_option: Callable[..., Any] = click.option(
    "--processes",
    "processes",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of processes; the result does not depend on it.",
)


card_options: tuple[Callable[..., Any], ...] = (
    click.option("--mass", type=float, metavar="NUMBER", help="Value of $MASS in a card."),
    click.option(
        "--keyword-value",
        "keywords",
        metavar="WORD=VALUE",
        multiple=True,
        help="Value of $WORD in the shapes lines of a card; may be given more than once.",
    ),
    click.option("--outside", is_flag=True, help="Allow a card to name ROOT files outside its folder."),
)
"""Options of commands that read cards."""


def keyword_values(texts: tuple[str, ...]) -> dict[str, str]:
    """Words and values of ``--keyword-value``."""
    found: dict[str, str] = {}
    for text in texts:
        word, equals, value = text.partition("=")
        if not (word and equals and value) or word in found:
            raise InputError(f"--keyword-value {text!r}: write WORD=VALUE, each word once")
        found[word] = value
    return found


def subject_options(command: F) -> F:
    """Add SOURCE, SIGNAL and the conventions of the model."""
    return _with_subject(command, required=True)


def optional_subject_options(command: F) -> F:
    """Add the same for a command that works on the search of ``--search`` without SOURCE."""
    return _with_subject(command, required=False)


def _with_subject(command: F, *, required: bool) -> F:
    decorators: tuple[Callable[[F], F], ...] = (
        click.argument("place", metavar="SOURCE" if required else "[SOURCE]", required=required),
        click.argument("signal", nargs=-1, metavar="[SIGNAL]..."),
        search_option,
        signal_options,
        click.option(
            "--patch",
            type=click.Path(path_type=Path),
            help="JSON Patch or patch set that adds the signal to a workspace.",
        ),
        click.option("--patch-name", metavar="NAME", help="Name of the patch in a patch set."),
        click.option(
            "--measurement", metavar="NAME", help="Measurement of a workspace; by default the first."
        ),
        *card_options,
        click.option(
            "--systematics",
            type=click.Choice(["published", "own", "global", "none"]),
            default="published",
            show_default=True,
            help="Systematic uncertainties of the signal of a search: published, bin by bin, for another signal; own, the signal's variations and "
            "Monte Carlo errors; global, only those that are equal for all signals; or none.",
        ),
        click.option(
            "--zero-count",
            type=click.Choice(["profiled", "dropped"]),
            default="profiled",
            show_default=True,
            help="Terms of a search whose control region counted no event: profiled with that count, or dropped.",
        ),
        click.option(
            "--interpolation",
            type=click.Choice(["combine", "code1", "code4"]),
            help="How log-normal factors depend on their nuisance; by default combine for searches and cards, HistFactory's code4 "
            "for workspaces.",
        ),
        click.option(
            "--bins",
            "bin_numbers",
            metavar="NUMBERS",
            help="Merge these bins into one before the fit, such as 29,30,69.",
        ),
        database_option,
    )
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


@dataclass(frozen=True, slots=True)
class Subject:
    """What is fitted: a signal of a search, cards or a workspace."""

    title: str
    name: str
    source: str
    head: Mapping[str, Any]
    values: Mapping[str, float] = field(default_factory=dict)
    cross_section_pb: float | None = None


def open_subject(**chosen: Any) -> "tuple[Subject, Engine]":
    """Return what the arguments of `subject_options` name, with its likelihood."""
    place, signal = chosen["place"], chosen["signal"]
    if place == STDIN or Path(place).exists():
        return _file(place, chosen)
    if is_search(place.lower(), chosen):
        if not signal:
            raise InputError(
                f"{place!r} is a search; name a signal with its parameters, such as T1bbbb 1750 1; "
                f"superbin signal list --search {place.lower()} lists them"
            )
        return _search(place.lower(), signal[0], signal[1:], chosen)
    if signal:
        return _search(chosen["search_name"], place, signal, chosen)
    raise InputError(
        f"{place!r} is not a search with a likelihood, card, folder or workspace, and as a model it needs its parameters, such as T1bbbb 1750 1"
    )


def is_search(name: str, chosen: Mapping[str, Any]) -> bool:
    """Whether a search of this name is in the database."""
    from superbin.catalog import open_catalog

    with open_catalog(chosen["database"]) as catalog:
        return name in {search.name for search in catalog.searches()}


def _search(
    name: str, model: str, numbers: tuple[str, ...], chosen: Mapping[str, Any]
) -> "tuple[Subject, Engine]":
    from superbin.catalog import open_catalog

    _refuse(
        chosen,
        ("patch", "patch_name", "measurement", "mass", "keywords", "outside"),
        f"{model!r} is a signal of a search",
    )
    with open_catalog(chosen["database"]) as catalog:
        search = catalog.search(name)
        likelihood = catalog.open_likelihood(search)
        found = catalog.signal(
            search,
            model,
            _numbers(model, numbers),
            source=chosen["source"],
            grid=chosen["grid"],
            cross_section=chosen["cross_section"],
        )
    kind, engine = _engine(search, found, likelihood, chosen)
    subject = Subject(
        title=f"{found.label} in {found.search}{kind and f', {kind}'}",
        name="_".join([found.model, *(f"{v:g}" for v in found.parameters.values())]),
        source=found.source,
        head={"search": found.search, "signal": found.label, "source": found.source}
        | ({"likelihood": kind} if kind else {}),
        values=found.parameters,
        cross_section_pb=found.cross_section_pb,
    )
    return subject, engine


def _engine(
    search: "Search",
    signal: "SignalModel",
    likelihood: "PublishedLikelihood | ImportedLikelihood | None",
    chosen: Mapping[str, Any],
) -> "tuple[str, Engine]":
    """The likelihood of a search with a signal, and in words which it is where it is not a published one with its signal left open."""
    from superbin.likelihood import PublishedLikelihood
    from superbin.likelihood.counting import CountingLikelihood

    systematics = chosen["systematics"]
    if isinstance(likelihood, PublishedLikelihood):
        filled = likelihood.with_signal(
            signal,
            systematics=systematics,
            zero_count=chosen["zero_count"],
            interpolation=chosen["interpolation"] or "combine",
        )
        bins = bin_numbers_of(chosen["bin_numbers"])
        return "", CountingLikelihood(
            filled.merged(bins) if bins else filled, name=f"{signal.label} in {signal.search}"
        )
    if likelihood is None:
        by = (
            " and, by the covariance of its bins, of a simplified likelihood"
            if search.covariance is not None
            else ""
        )
        raise InputError(
            f"search {search.name!r} has no likelihood; superbin run gives the limits of one aggregate bin{by}"
        )
    without = f"{search.name!r} has no likelihood with its signal left open"
    _refuse(chosen, ("zero_count", "interpolation", "bin_numbers"), without)
    if systematics not in {"published", "none"}:
        raise InputError(
            f"--systematics {systematics}: the likelihood of {search.name!r} was imported; choose published, which are the signal's own, or none"
        )
    return "likelihood as imported", likelihood.engine(signal, systematics=systematics)


def open_search_signal(text: str, database: str | None) -> "Engine":
    """Return the likelihood that ``SEARCH:MODEL:m1:m2`` names, with the default conventions."""
    name, model, *numbers = text.split(":")
    chosen: dict[str, Any] = {
        **dict.fromkeys(("patch", "patch_name", "measurement", "mass", "source", "grid", "cross_section")),
        "keywords": (),
        "outside": False,
        "database": database,
        "systematics": "published",
        "zero_count": "profiled",
        "interpolation": None,
        "bin_numbers": None,
    }
    return _search(name.lower(), model, tuple(numbers), chosen)[1]


def _numbers(model: str, numbers: tuple[str, ...]) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in numbers)
    except ValueError:
        raise InputError(
            f"the parameters of {model!r} are {' '.join(numbers)!r}; they must be numbers, such as 1750 1"
        ) from None


def _refuse(chosen: Mapping[str, Any], options: tuple[str, ...], why: str) -> None:
    """Refuse options that would have no effect."""
    defaults = {"systematics": "published", "zero_count": "profiled", "keywords": (), "outside": False}
    names = {"keywords": "keyword-value", "bin_numbers": "bins"}
    for option in options:
        if chosen[option] != defaults.get(option):
            raise InputError(f"{why}: leave out --{names.get(option, option.replace('_', '-'))}")


def _file(place: str, chosen: Mapping[str, Any]) -> "tuple[Subject, Engine]":
    from superbin.likelihood.opening import open_file, open_text

    if chosen["signal"]:
        raise InputError(
            f"{place!r} is read as it is written, with the signal it holds; leave out {' '.join(chosen['signal'])!r}"
        )
    _refuse(
        chosen,
        ("source", "grid", "systematics", "zero_count"),
        f"{place!r} has no parameters, so it is read as a card or workspace, which is taken as written",
    )
    settings = {
        "patch": chosen["patch"],
        "patch_name": chosen["patch_name"],
        "measurement": chosen["measurement"],
        "mass": chosen["mass"],
        "keywords": keyword_values(chosen["keywords"]),
        "outside": chosen["outside"],
        "interpolation": chosen["interpolation"],
        "bins": bin_numbers_of(chosen["bin_numbers"]),
    }
    opened = open_text(standard_input(), **settings) if place == STDIN else open_file(Path(place), **settings)
    for note in opened.notes:
        click.echo(note, err=True)
    title = "standard input" if place == STDIN else str(place)
    name = "stdin" if place == STDIN else Path(place).name.split(".")[0] or "likelihood"
    document = {
        "search": None,
        "signal": opened.engine.name,
        "source": opened.source,
        "notes": list(opened.notes),
    }
    return Subject(
        title, name, opened.source, document, cross_section_pb=chosen["cross_section"]
    ), opened.engine


def bin_numbers_of(text: str | None) -> tuple[int, ...]:
    """Published bin numbers from the text of an option; none without it."""
    if text is None:
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--bins {text!r} is not a list of bin numbers; write it as 29,30,69") from None


def head(subject: Subject, engine: "Engine", chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What every JSON document begins with."""
    return {
        **subject.head,
        "bins": list(bin_numbers_of(chosen["bin_numbers"])) or "all",
        "channels": len(engine.bins),
        "parameters": len(engine.parameters) - (engine.strength is not None),
    }
