"""``superbin likelihood export`` and ``lint``."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import click

from superbin.cli.likelihood.subject import json_option, open_subject, subject_options
from superbin.cli.options import POSITIONAL_NUMBERS, as_json
from superbin.errors import InputError

__all__ = ["export", "lint"]


@click.command("lint")
@click.argument("cards", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def lint(cards: tuple[Path, ...], machine: bool) -> None:
    """Report everything odd in CMS Combine datacards, given as files or folders; nothing is changed."""
    from dataclasses import asdict

    from superbin.io.datacards import CODES, read_datacards
    from superbin.io.datacards import lint as findings_in

    read = read_datacards(cards)
    findings = findings_in(read)
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
    click.echo(f"{len(read.files)} cards, {len(read.channels)} channels, {len(findings)} findings", err=True)
    for code, count in sorted(counts.items()):
        click.echo(f"{count:6d} {code}: {CODES[code]}", err=True)


@click.command("export", context_settings=POSITIONAL_NUMBERS)
@subject_options
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder; must not exist yet."
)
@click.option("--force", is_flag=True, help="Replace the output folder if it exists.")
def export(output: Path, force: bool, **chosen: Any) -> None:
    """Write the likelihood for pyhf: background workspace, patch set with the signal, both together, and a report."""
    from superbin._support.files import staged_directory, write_text
    from superbin.likelihood import export as documents
    from superbin.likelihood.counting import CountingLikelihood, counting_model

    signal, engine = open_subject(**chosen)
    model = engine.model if isinstance(engine, CountingLikelihood) else counting_model(engine.description)
    if model is None:
        raise InputError(f"{signal.title} is more than a counting experiment; only those can be written")
    report = documents.export_report(model)
    patches = documents.patch_set(
        model,
        name=re.sub(r"[^a-zA-Z0-9_]+", "_", signal.name),
        values=signal.values,
        description=f"{signal.title}; {signal.source}",
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
