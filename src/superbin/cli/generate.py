"""``superbin signal generate``: simulate a signal, one point or a plane of them, into files that can be resumed."""

import gzip
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from superbin._support.shown import counted
from superbin.cli.options import POSITIONAL_NUMBERS, as_json, database_option, search_option
from superbin.cli.progress import ProgressLine, duration
from superbin.cli.renamed import RenamedOptions
from superbin.cli.tables import uncertainty_lines

if TYPE_CHECKING:
    from superbin.catalog import Catalog
    from superbin.domain.cross_sections import CrossSectionTable
    from superbin.domain.grid import SignalPoint
    from superbin.domain.search import Search
    from superbin.generate import Allowances, Cards, Job, Progress

__all__ = ["generate"]

_SAME_TEV = 0.01
_LARGEST_SPECTRUM = 50_000_000
"""Bytes; a hundred times the largest that calculators write."""


@click.command(cls=RenamedOptions, renamed={"--workers": "--processes"}, context_settings=POSITIONAL_NUMBERS)
@click.argument("model")
@click.argument("parameters", nargs=-1, type=float)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("points"),
    show_default=True,
    help="Folder for one file per point; points that are finished in it are kept.",
)
@click.option(
    "--points",
    "table",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="File with the masses to simulate, one point per line: m_mother,m_lsp, separated by a comma or blanks.",
)
@click.option(
    "--max-points",
    metavar="N",
    type=click.IntRange(min=1),
    help="Generate only the first N points, from coarse to fine.",
)
@click.option(
    "--events",
    metavar="N",
    type=click.IntRange(min=1),
    help="Number of events per point; by default 5000, or all events of a file.",
)
@click.option(
    "--error",
    metavar="PERCENT",
    type=click.FloatRange(min=0, min_open=True),
    help="Simulate points again whose total has a larger Monte Carlo error, with enough events to reach this error.",
)
@click.option(
    "--max-events",
    metavar="N",
    type=click.IntRange(min=1),
    default=200_000,
    show_default=True,
    help="With --error: largest number of events per point.",
)
@click.option(
    "--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
)
@click.option(
    "--processes",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of processes; the result does not depend on it.",
)
@click.option(
    "--slha",
    type=click.Path(path_type=Path),
    help="Spectrum with its decays; .slha or .slha.gz.",
)
@click.option(
    "--mother",
    "mothers",
    metavar="NUMBER",
    type=int,
    multiple=True,
    default=(1000021,),
    show_default=True,
    help="PDG number of the particle that is produced in pairs, with --slha; may be given more than once.",
)
@click.option(
    "--from-events",
    type=click.Path(path_type=Path),
    help="Events: HepMC, or LHE, which Pythia showers.",
)
@click.option(
    "--set",
    "changes",
    metavar="CARD.NAME=VALUE",
    multiple=True,
    help="Change a constant; may be given more than once.",
)
@click.option("--show-constants", is_flag=True, help="Print every constant as JSON and do nothing.")
@click.option(
    "--cross-section",
    metavar="PB|file",
    help="Cross section in pb, or file: the one that the spectrum or the file of events states. By default superbin's "
    "table for a model it knows, else the file's.",
)
@click.option(
    "--sqrt-s",
    metavar="TEV",
    type=click.FloatRange(min=0, min_open=True),
    help="Centre-of-mass energy in TeV, if it is not that of the search; the efficiencies are those at this energy.",
)
@click.option(
    "--displaced-as-prompt",
    is_flag=True,
    help="Treat particles with c tau above 1 cm as if they decayed at once.",
)
@search_option
@database_option
def generate(
    model: str,
    parameters: tuple[float, ...],
    output: Path,
    table: Path | None,
    max_points: int | None,
    events: int | None,
    error: float | None,
    max_events: int,
    seed: int,
    processes: int,
    slha: Path | None,
    mothers: tuple[int, ...],
    from_events: Path | None,
    changes: tuple[str, ...],
    show_constants: bool,
    cross_section: str | None,
    sqrt_s: float | None,
    displaced_as_prompt: bool,
    search_name: str,
    database: str | None,
) -> None:
    """Simulate MODEL and write the efficiency of every bin, one JSON file per point.

    With masses (m_mother m_lsp, in GeV), one point, with its expected events as a table beside it. Without, the
    standard plane of the model or that of --points. MODEL is one of T1bbbb, T1tttt, T1qqqq, T2bb, T2tt, T2qq, or any
    name with --slha or --from-events.

    Accuracy, measured with T1bbbb and assumed for other models: totals agree within 5 % for mass differences above 300 GeV and are 10 % low below; yields
    with nine jets or more are 5 to 30 % low. See "Accuracy of simulated signals" in the documentation.

    \b
    superbin signal generate T1bbbb 1750 1 --events 20000
    superbin signal generate T1tttt -o T1tttt --processes 2
    superbin signal generate mine --slha spectrum.slha
    superbin signal generate mine 1500 200 --from-events events.hepmc.gz
    """
    from superbin.catalog import open_catalog
    from superbin.generate import Allowances, Cards, Job

    wanted = _wanted(cross_section)

    with open_catalog(database) as catalog:
        search = catalog.search(search_name)
        sections = _table(catalog, search, model)
    cards = Cards.of(search).changed(changes)
    if show_constants:
        click.echo(as_json(cards.record()))
        return
    _check_folder(output)
    allow = Allowances(sqrt_s, displaced_as_prompt)
    if slha is not None or from_events is not None:
        point = _own_point(model, parameters, slha, mothers, from_events, search, cards, allow, events, seed)
        _warn(point)
        section = _cross_section(point, search, sections, wanted)
        _summarise(point, _save(output, point), search, section)
        return
    job = Job(model, search, events=events or 5000, seed=seed, cards=cards, allow=allow)
    points = _planned(model, parameters, table)[:max_points]
    _run(job, points, output, processes)
    if error is not None:
        _improve(job, points, output, processes, error / 100, max_events)
    if parameters:
        from superbin.io.grids import read_point

        path = _path(output, model, points[0])
        point = read_point(path)
        _warn(point)
        _summarise(point, path, search, _cross_section(point, search, sections, wanted))


# --- a plane ----------------------------------------------------------------------------------------------


def _planned(model: str, parameters: tuple[float, ...], table: Path | None) -> list[tuple[float, float]]:
    from superbin.errors import InputError
    from superbin.generate import coarse_to_fine, masses, model_named, standard_plane
    from superbin.io.masses import read_masses

    if parameters and table is not None:
        raise InputError("masses and --points were given; give one of them")
    if table is not None:
        return coarse_to_fine([masses(model_named(model), point) for point in read_masses(table)])
    return [masses(model_named(model), parameters)] if parameters else standard_plane(model)


def _run(job: "Job", points: list[tuple[float, float]], output: Path, processes: int) -> None:
    left = [point for point in points if not _finished(_path(output, job.model, point), job)]
    if len(left) < len(points):
        click.echo(
            f"{len(points) - len(left)} of {counted(len(points), 'point')} are in {output} already", err=True
        )
    if left:
        _make(job, left, [job.events] * len(left), output, processes)


def _improve(
    job: "Job", points: list[tuple[float, float]], output: Path, processes: int, error: float, most: int
) -> None:
    """Make the points again whose total is less certain than asked for."""
    from superbin.generate import events_for
    from superbin.io.grids import read_point

    made = [read_point(_path(output, job.model, point)) for point in points]
    numbers = [events_for(point, error, most) for point in made]
    again = [
        (point, number)
        for point, old, number in zip(points, made, numbers, strict=True)
        if number > old.events
    ]
    if not again:
        return
    click.echo(
        f"{len(again)} of {counted(len(points), 'point')} have an error above {100 * error:g} %: made again with "
        f"{counted(sum(number for _, number in again), 'event')}",
        err=True,
    )
    _make(job, [point for point, _ in again], [number for _, number in again], output, processes)


def _make(
    job: "Job", points: list[tuple[float, float]], events: list[int], output: Path, processes: int
) -> None:
    """Simulate points in parallel; each is a file when it is finished."""
    from superbin.errors import InputError
    from superbin.generate import run_campaign

    def save(point: "SignalPoint") -> None:
        _save(output, point)

    with _Line() as line:
        outcome = run_campaign(job, points, save=save, events=events, workers=processes, report=line.campaign)
    for point, reason in outcome.failed:
        click.echo(f"failed: {job.model}{point}: {reason}", err=True)
    click.echo(f"{counted(outcome.done, 'point')} written to {output}", err=True)
    if outcome.failed:
        raise InputError(
            f"{len(outcome.failed)} of {counted(len(points), 'point')} failed, as listed; the others are kept"
        )


def _finished(path: Path, job: "Job") -> bool:
    """Whether a point is there, made as it is asked for now."""
    from superbin.errors import OutputError
    from superbin.io.grids import read_point

    if not path.exists():
        return False
    point = read_point(path)
    if point.events < job.events:
        raise OutputError(
            f"{path} was made with {point.events} events and {job.events} are asked for; choose another folder with -o, or remove "
            "the file to make it again"
        )
    mine = {"search": job.search.name, "seed": job.seed, **job.cards.record()}
    theirs = {"search": point.search, "seed": point.seed, **point.settings}
    for name, value in mine.items():
        if theirs.get(name) != value:
            raise OutputError(
                f"{path} was made with another {name}; choose another folder with -o, or remove the file to make it "
                "again"
            )
    return True


# --- a point of the user's --------------------------------------------------------------------------------


def _own_point(
    name: str,
    parameters: tuple[float, ...],
    slha: Path | None,
    mothers: tuple[int, ...],
    from_events: Path | None,
    search: "Search",
    cards: "Cards",
    allow: "Allowances",
    events: int | None,
    seed: int,
) -> "SignalPoint":
    from superbin.errors import InputError
    from superbin.generate import generate_from_events, generate_spectrum

    spectrum = None if slha is None else _read_spectrum(slha)
    with _Line(events or (None if from_events else 5000)) as line:
        if from_events is not None:
            return generate_from_events(
                name,
                parameters,
                from_events,
                search,
                slha=spectrum,
                place=str(slha),
                events=events,
                seed=seed,
                cards=cards,
                allow=allow,
                progress=line.point,
            )
        if parameters:
            raise InputError(
                "masses and --slha were given; the masses are those of the spectrum, leave them out"
            )
        return generate_spectrum(
            name,
            spectrum or "",
            search,
            place=str(slha),
            mothers=mothers,
            events=events or 5000,
            seed=seed,
            cards=cards,
            allow=allow,
            progress=line.point,
        )


def _read_spectrum(path: Path) -> str:
    from superbin.errors import DocumentError, InputError

    packed = path.suffix.lower() == ".gz"
    try:
        with gzip.open(path) if packed else path.open("rb") as stream:
            content = stream.read(_LARGEST_SPECTRUM + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DocumentError(
            f"{path} cannot be decompressed: {error}; copy it again, or give the SLHA file as plain text"
        ) from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give an SLHA file") from error
    if len(content) > _LARGEST_SPECTRUM:
        raise DocumentError(
            f"{path} has more than {_LARGEST_SPECTRUM} bytes; no spectrum is as long, give an SLHA file"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DocumentError(
            f"{path}, line {line}: byte {content[error.start]:#04x} is not UTF-8; an SLHA file is plain text"
        ) from error


# --- output -----------------------------------------------------------------------------------------------


def _check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made; it is made when there is something to put in it."""
    from superbin.errors import OutputError

    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise OutputError(f"cannot make the folder {folder}: {there} is a file; choose another with -o")
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"cannot make the folder {folder}: {there} is read-only; choose another with -o")


def _path(folder: Path, model: str, point: tuple[float, ...]) -> Path:
    return folder / f"{model}_{'_'.join(f'{value:g}' for value in point)}.json"


def _save(folder: Path, point: "SignalPoint") -> Path:
    from superbin.errors import OutputError
    from superbin.io.grids import write_point

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder {folder}: {error.strerror}; choose another with -o"
        ) from error
    path = _path(folder, point.model, tuple(point.parameters.values()))
    write_point(point, path)
    return path


def _warn(point: "SignalPoint") -> None:
    for note in point.settings.get("gate", {}).get("notes", ()):
        click.echo(f"warning: {note}", err=True)


def _summarise(point: "SignalPoint", path: Path, search: "Search", section: tuple[float | None, str]) -> None:
    """Print what one point comes to, and write its expected events where the cross section is known."""
    from superbin.domain.signal import SignalModel
    from superbin.io.tables import write_signal

    click.echo(f"{point.label} in {search.name}, {point.events} events")
    for cut, left in point.settings["cut_flow"].items():
        click.echo(f"  {cut:<10}{left:>8.4f}")
    gate, statistics = point.settings.get("gate", {}), point.settings.get("statistics", {})
    counts = ", ".join(f"{count} {name}" for name, count in gate.get("events", {}).items())
    if counts:
        click.echo(f"events: {counts}")
    if statistics.get("negative_weights"):
        click.echo(
            f"negative weights: {statistics['negative_weights']} of {point.events} events; all count as "
            f"{statistics['effective_events']:.1f} of weight one"
        )
    total = float(point.efficiencies.sum())
    error = statistics.get("total_error", float((point.errors**2).sum()) ** 0.5)
    click.echo(f"efficiency, all bins: {total:.4f} +- {error:.4f}")
    _uncertainties(point, total, error)
    sigma, origin = section
    scale = None if sigma is None else 1000 * sigma * search.luminosity_fb
    if statistics.get("clipped_bins"):
        events = "" if scale is None else f" or {statistics['clipped'] * scale:.4g} expected events"
        click.echo(
            f"bins with a negative sum of weights are set to 0: {', '.join(map(str, statistics['clipped_bins']))}; "
            f"this adds {statistics['clipped']:.4g} to the efficiency{events}"
        )
    click.echo(f"written: {path}")
    for offer in gate.get("cross_sections", ()):
        click.echo(f"cross section offered: {offer['pb']:.4g} pb, {offer['origin']}")
    if sigma is None or scale is None:
        click.echo(
            "no cross section is known for this; give one with --cross-section to have expected events"
        )
        return
    click.echo(f"cross section: {sigma:.4g} pb, {origin}")
    source = f"superbin signal generate, {point.events} events, seed {point.seed}; see {path.name}; cross section: {origin}"
    signal = SignalModel(
        point.model,
        dict(point.parameters),
        search.name,
        point.efficiencies * scale,
        point.errors * scale,
        source,
        sigma,
        {name: (up * scale, down * scale) for name, (up, down) in point.variations.items()},
    )
    write_signal(signal, path.with_suffix(".csv"))
    click.echo(
        f"expected events at {search.luminosity_fb:g} fb^-1 and {sigma:.4g} pb: {total * scale:.4g} "
        f"+- {error * scale:.2g}; written: {path.with_suffix('.csv')}"
    )


def _uncertainties(point: "SignalPoint", total: float, error: float) -> None:
    """Print what each source does to the total, and all of them together."""
    if not (point.variations and total > 0):
        return
    changes = {
        name: (float(up.sum()) / total - 1, float(down.sum()) / total - 1)
        for name, (up, down) in point.variations.items()
    }
    click.echo("\n".join(uncertainty_lines(error / total, changes)))


def _wanted(text: str | None) -> float | str | None:
    """What ``--cross-section`` asks for: a number, the file's, or by default none in particular."""
    from superbin.errors import InputError

    if text is None or text == "file":
        return text
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise InputError(f"--cross-section is {text!r}; give a number of pb above 0, or the word file")
    return value


def _table(catalog: "Catalog", search: "Search", model: str) -> "CrossSectionTable | None":
    """Cross sections of what a model produces, where there are some."""
    from superbin.domain.cross_sections import process_of

    try:
        return catalog.cross_sections(process_of(model), search)
    except (LookupError, ValueError):
        return None


def _cross_section(
    point: "SignalPoint", search: "Search", table: "CrossSectionTable | None", wanted: float | str | None
) -> tuple[float | None, str]:
    """The cross section in pb, if there is one, and where it comes from."""
    from superbin.errors import InputError

    if isinstance(wanted, float):
        return wanted, "--cross-section"
    offers = point.settings.get("gate", {}).get("cross_sections", ())
    if wanted is None and table is not None:
        found = table.at(point.parameters["m_mother"])
        return found.pb, f"superbin's table for pairs of: {table.process}"
    fitting = [offer for offer in offers if abs(offer["sqrt_s_tev"] - search.sqrt_s_tev) < _SAME_TEV]
    if fitting:
        return fitting[0]["pb"], fitting[0]["origin"]
    if wanted is not None:
        there = f"; there is one at {offers[0]['sqrt_s_tev']:g} TeV" if offers else ""
        raise InputError(
            f"--cross-section is file, and the files state none above 0 at the {search.sqrt_s_tev:g} TeV of "
            f"{search.name}{there}: give it in pb"
        )
    return None, ""


class _Line(ProgressLine):
    """How far the simulation is, of a plane or of one point."""

    def __init__(self, events: int | None = None) -> None:
        super().__init__()
        self._events = events

    def campaign(self, progress: "Progress") -> None:
        left = "" if progress.remaining is None else f", {duration(progress.remaining)} left"
        self.show(
            f"{progress.points}/{counted(progress.all_points, 'point')}, {counted(progress.events, 'event')}, "
            f"{progress.rate:.0f} events/s{left}"
        )

    def point(self, done: int) -> None:
        rate = done / max(self.seconds, 1e-9)
        left = "" if self._events is None else f", {duration((self._events - done) / rate)} left"
        self.show(f"{counted(done, 'event')}, {rate:.0f} events/s{left}")
