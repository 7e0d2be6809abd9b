"""``superbin likelihood export``, ``combine`` and ``lint``."""

import re
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from superbin._support.shown import counted
from superbin.cli.likelihood.subject import (
    Subject,
    card_options,
    keyword_values,
    open_search_signal,
    open_subject,
    subject_options,
)
from superbin.cli.likelihood.text import strength
from superbin.cli.options import (
    POSITIONAL_NUMBERS,
    as_json,
    database_option,
    json_option,
    standard_input,
)
from superbin.errors import InputError

if TYPE_CHECKING:
    from superbin.statistical_model import StatisticalModel

__all__ = ["combine", "export", "lint"]


class _Formats(click.Choice[str]):
    """The formats; ``card``, the former name of ``combine``, works for a release, with a note."""

    def __init__(self) -> None:
        super().__init__(["pyhf", "hs3", "combine"])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == "card":
            click.echo(
                "superbin: --to card is now called --to combine; the former name goes with the next release",
                err=True,
            )
            value = "combine"
        return super().convert(value, param, ctx)


@click.command("lint")
@click.argument(
    "cards", metavar="SOURCE...", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True)
)
@json_option
def lint(cards: tuple[Path, ...], machine: bool) -> None:
    """Report everything unusual in CMS Combine datacards: files, folders, or - for standard input. Nothing is changed.

    A workspace is checked against its schema, and refused with the places of all errors.
    """
    from dataclasses import asdict, replace

    from superbin.io.datacards import CODES, read_datacards
    from superbin.io.datacards import lint as findings_in
    from superbin.likelihood.opening import is_workspace, open_file

    if len(cards) == 1 and cards[0].is_file() and is_workspace(cards[0]):
        engine = open_file(cards[0]).engine
        channels, parameters = len(engine.description.channels), len(engine.parameters)
        facts = {"channels": channels, "parameters": parameters, "findings": []}
        click.echo(
            as_json(facts)
            if machine
            else f"{cards[0]}: a workspace of {counted(channels, 'channel')} and {counted(parameters, 'parameter')}, no findings"
        )
        return
    if cards == (Path("-"),):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "stdin"
            place.write_text(standard_input(), encoding="utf-8")
            try:
                read = read_datacards(place)
            except InputError as error:
                raise type(error)(str(error).replace(str(place), place.name)) from error
            findings = [replace(f, file=place.name) for f in findings_in(read)]
    else:
        read = read_datacards(cards)
        findings = list(findings_in(read))
    counts = Counter(finding.code for finding in findings)
    if machine:
        document = {
            "cards": len(read.files),
            "channels": len(read.channels),
            "terms": len(read.terms),
            "nuisances": len(read.nuisances) + len(read.gammas) + len(read.rate_parameters),
            "counts": dict(sorted(counts.items())),
            "findings": [asdict(finding) for finding in findings],
        }
        click.echo(as_json(document))
        return
    for finding in findings:
        click.echo(f"{finding.file}:{finding.line}: {finding.code}: {finding.message}")
    click.echo(
        f"{counted(len(read.files), 'card')}, {counted(len(read.channels), 'channel')}, {counted(len(findings), 'finding')}",
        err=True,
    )
    for code, count in sorted(counts.items()):
        click.echo(f"{count:6d} {code}: {CODES[code]}", err=True)


@click.command("export", context_settings=POSITIONAL_NUMBERS)
@subject_options
@click.option(
    "--to",
    "form",
    type=_Formats(),
    default="pyhf",
    show_default=True,
    help="Format. pyhf: a folder with a background workspace, a patch set with the signal, both together, and a report; hs3: one JSON file that "
    "ROOT loads; combine: a counting datacard of CMS Combine.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder or file; must not exist yet.",
)
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
def export(form: str, output: Path, force: bool, **chosen: Any) -> None:
    """Write the likelihood for another tool: pyhf, ROOT (HS3) or Combine. The output says what the format cannot hold."""
    if form != "pyhf":
        _check_file(output, force=force)
        subject, engine = open_subject(**chosen)
        _write_file(form, engine.description, output, subject.title)
        return
    _export_pyhf(output, force=force, chosen=chosen)


def _check_file(output: Path, *, force: bool) -> None:
    """Refuse a file that cannot be written before any work begins."""
    from superbin._support.files import check_file

    if not output.parent.is_dir():
        raise InputError(f"{output}: there is no folder {str(output.parent)!r}; make it first")
    check_file(output, replace=force)


def _write_file(form: str, model: "StatisticalModel", output: Path, title: str, *, err: bool = False) -> None:
    """Write one file and say what is lost, on stderr where stdout has JSON."""
    from superbin._support.files import write_text

    if form == "hs3":
        from superbin.likelihood.exports.hs3 import hs3_document

        document = hs3_document(model)
        write_text(output, as_json(document) + "\n")
        idle = document["misc"]["superbin"]["without_effect"]
        notes = [f"parameters that act on nothing are left out: {', '.join(idle[:5])}"] if idle else []
    else:
        from superbin.likelihood.exports.datacards import counting_card

        card = counting_card(model)
        write_text(output, card.text)
        notes = list(card.notes)
    for note in notes:
        click.echo(note, err=err)
    click.echo(f"{title}: written to {output}", err=err)


def _export_pyhf(output: Path, *, force: bool, chosen: Mapping[str, Any]) -> None:
    from superbin._support.files import staged_directory, write_text
    from superbin.likelihood import export as documents
    from superbin.likelihood.counting import CountingLikelihood, counting_model

    subject, engine = open_subject(**chosen)
    model = engine.model if isinstance(engine, CountingLikelihood) else counting_model(engine.description)
    if model is None:
        _export_histfactory(output, engine.description, subject, force=force)
        return
    report = documents.export_report(model)
    patches = documents.patch_set(
        model,
        name=_word(subject.name),
        values=subject.values,
        description=f"{subject.title}; {subject.source}",
    )
    with staged_directory(output, force=force) as stage:
        for file, document in (
            ("background.json", documents.workspace(model)),
            ("patchset.json", patches),
            ("workspace.json", documents.full_workspace(model)),
            ("report.json", report),
        ):
            write_text(stage / file, as_json(document) + "\n")
    for code, found in report["interpolation"].items():
        click.echo(
            f"{code}: factors differ from {model.interpolation} by at most {found['largest_relative_deviation']:.2g} "
            f"({found['nuisance']})"
        )
    for item in report["no_native_form"]:
        click.echo(f"{item['parameter']}: no native form; {item['written_as']}")
    click.echo(f"written to {output}")


def _word(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]+", "_", text)


def _export_histfactory(
    output: Path, model: "StatisticalModel", subject: Subject, *, force: bool, err: bool = False
) -> None:
    """Write any description for pyhf, and measure what it changes."""
    from dataclasses import asdict

    from superbin._support.files import staged_directory, write_text
    from superbin.likelihood.exports import histfactory

    made = histfactory.histfactory_document(model)
    deviations = histfactory.measured_deviations(model, made)
    parts = histfactory.background_and_patches(
        made,
        name=_word(subject.name),
        values=subject.values,
        description=f"{subject.title}; {subject.source}",
    )
    report = {"deviations": asdict(deviations), "notes": list(made.notes)}
    with staged_directory(output, force=force) as stage:
        written = {"workspace.json": made.workspace, "report.json": report}
        if parts is not None:
            written |= {"background.json": parts[0], "patchset.json": parts[1]}
        for file, document in written.items():
            write_text(stage / file, as_json(document) + "\n")
    lines = list(made.notes)
    if parts is None:
        lines.append("a channel has nothing but signal, so there is no background.json and no patchset.json")
    where = f" ({deviations.parameter}, {deviations.bin})" if deviations.parameter else ""
    lines.append(
        f"expected events differ by at most {deviations.single:.2g} of themselves, one parameter at a time within 3 sigma{where}, "
        f"and {deviations.together:.2g} at random points; differences of NLL by at most {deviations.nll:.2g}"
    )
    for line in (*lines, f"written to {output}"):
        click.echo(line, err=err)


def _part(
    place: str, mass: float | None, keywords: Mapping[str, str], *, outside: bool, database: str | None
) -> "StatisticalModel":
    """Read one of several sources; what belongs to cards is not for workspaces."""
    from superbin.likelihood.opening import is_workspace, open_file

    path = Path(place)
    if not path.exists() and ":" in place:
        return open_search_signal(place, database).description
    if path.is_file() and is_workspace(path):
        return open_file(path).engine.description
    return open_file(path, mass=mass, keywords=keywords, outside=outside).engine.description


@click.command("combine")
@click.argument("sources", metavar="LABEL=SOURCE...", nargs=-1, required=True)
@click.option(
    "--shared",
    metavar="NAME",
    multiple=True,
    help="Parameter shared by the likelihoods: NAME, or NAME=LABEL:OTHER,LABEL:OTHER if it has other names in them; may be given more than once. "
    "By default all parameters of the same name are shared.",
)
@click.option("--separate", is_flag=True, help="Share only the signal strength.")
@click.option("--mass", type=float, metavar="NUMBER", help="Value of $MASS in a card.")
@card_options[1]
@card_options[2]
@click.option(
    "--to",
    "form",
    type=_Formats(),
    default="hs3",
    show_default=True,
    help="Format of --output, as of superbin likelihood export.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File or folder for the combination; must not exist yet.",
)
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@database_option
@json_option
def combine(
    sources: tuple[str, ...],
    shared: tuple[str, ...],
    separate: bool,
    mass: float | None,
    keywords: tuple[str, ...],
    outside: bool,
    form: str,
    output: Path | None,
    force: bool,
    database: str | None,
    machine: bool,
) -> None:
    """Combine likelihoods under one signal strength, and print its limits and significance; --output writes the combination.

    \b
    superbin likelihood combine a=card1.txt b=card2.txt --json
    superbin likelihood combine sr=search.json cr=control.txt --shared lumi=sr:lumi,cr:lumi_13TeV -o both.json
    superbin likelihood combine a=cms-pas-sus-16-014:T1bbbb:1750:1 b=card.txt

    \b
    SOURCE is a card, a folder of cards, a workspace, or SEARCH:MODEL:m1:m2 for a signal of a search.
    """
    from superbin.likelihood.reading import engine_of
    from superbin.likelihood.summary import limit_document
    from superbin.statistical_model.combination import combine as combined

    if shared and separate:
        raise InputError("--separate shares nothing; leave out --shared")
    if output is not None and form != "pyhf":
        _check_file(output, force=force)
    parts = {}
    for text in sources:
        label, equals, place = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z]\w*", label) or label in parts:
            raise InputError(f"{text!r}: write LABEL=SOURCE, each label once, such as a=card.txt")
        parts[label] = _part(place, mass, keyword_values(keywords), outside=outside, database=database)
    made = combined(parts, shared=() if separate else (shared or None))
    engine = engine_of(made.model)
    limit, significance = engine.limit(), engine.significance()
    numbers = limit_document(limit)
    doubts = list(dict.fromkeys((*limit.doubts, *significance.doubts)))
    document = {
        "sources": dict(text.split("=", 1) for text in sources),
        "strength": engine.strength,
        "shared": {name: list(labels) for name, labels in made.shared.items()},
        "notes": list(made.notes),
        "channels": len(engine.bins),
        "parameters": len(engine.parameters) - 1,
        "status": limit.status,
        "limit": numbers,
        "mu_hat": significance.mu,
        "z0": significance.z if significance.z != float("inf") else None,
        "doubts": doubts,
    }
    if output is not None and form == "pyhf":
        subject = Subject(made.model.name, made.model.name, "combination", {})
        _export_histfactory(output, made.model, subject, force=force, err=machine)
    elif output is not None:
        _write_file(form, made.model, output, made.model.name, err=machine)
    if machine:
        click.echo(as_json(document))
        return
    click.echo(
        f"{made.model.name}: {counted(len(engine.bins), 'channel')}, {counted(len(engine.parameters) - 1, 'nuisance')}; status {limit.status}"
    )
    names = ", ".join(f"{name} ({', '.join(labels)})" for name, labels in list(made.shared.items())[:20])
    click.echo(f"shared: {names or 'nothing'}{' and more' if len(made.shared) > 20 else ''}")
    click.echo(f"mu = {strength(significance.mu)}, Z0 {strength(significance.z)}")
    click.echo(
        f"mu < {strength(limit.observed)} observed, {strength(limit.expected)} expected at {limit.level:.0%} CL (CLs, asymptotic)"
    )
    for note in (*made.notes, *doubts):
        click.echo(f"note: {note}")
