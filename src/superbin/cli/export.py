"""``superbin export``: a result, a scan or a bundle as files that other tools load."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from superbin.errors import InputError

if TYPE_CHECKING:
    from superbin.export import Entry

NAMES = ("combine", "csv", "hepdata", "madanalysis", "parquet", "pyhf", "smodels", "spey")


@click.command()
@click.argument("source", metavar="RESULT", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--to", "name", type=click.Choice(NAMES), required=True, help="Format.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="Folder, or an archive if it ends in .zip, or a file where the format is one file; - for standard output.",
)
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
def export(source: Path, name: str, output: Path, force: bool) -> None:
    """Write RESULT for another tool: a result.json or scan.json (or the folder with it, or - for standard input), or a bundle.

    \b
    superbin export out/result.json --to combine -o datacard.txt
    superbin export maps/scan.json --to smodels -o database
    superbin export maps/scan.json --to csv -o - | head
    """
    from superbin.export import FORMATS

    _check_output(output, force=force)
    files = FORMATS[name].files(_entry(source))
    if str(output) == "-":
        sys.stdout.buffer.write(_single(files, name))
        return
    _write(files, output, force=force)
    click.echo(f"{output}: {len(files)} {'file' if len(files) == 1 else 'files'} written")


def _entry(source: Path) -> "Entry":
    from superbin.export import entry_of
    from superbin.results.load import load_any, result_of

    if str(source) == "-":
        return entry_of(result_of(sys.stdin.read(), place="standard input"))
    documents = [source / name for name in ("result.json", "scan.json", "chance.json")]
    if source.suffix == ".json" or (source.is_dir() and any(path.is_file() for path in documents)):
        return entry_of(load_any(source))
    from superbin.io import imports

    return entry_of(imports.read(source).bundle)


def _check_output(output: Path, *, force: bool) -> None:
    """Before any work: an existing output is kept unless told otherwise."""
    if str(output) != "-" and output.exists() and not force:
        raise InputError(f"{output} exists; name another output, or replace it with --force")


def _single(files: Mapping[str, bytes], name: str) -> bytes:
    if len(files) > 1:
        raise InputError(
            f"{name} writes {len(files)} files here ({', '.join(sorted(files)[:3])}, ...), which do not fit into one stream; "
            "give -o FOLDER or -o FILE.zip"
        )
    return next(iter(files.values()))


def _write(files: Mapping[str, bytes], output: Path, *, force: bool) -> None:
    from superbin._support.files import staged_directory, write_bytes, zipped

    if output.suffix == ".zip":
        write_bytes(output, zipped(files))
        return
    if len(files) == 1 and output.suffix:
        write_bytes(output, next(iter(files.values())))
        return
    with staged_directory(output, force=force) as folder:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
