"""``superbin export``: a result, a scan or a bundle as files that other tools load."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from superbin._support.files import is_stream
from superbin._support.shown import counted
from superbin.cli.options import standard_input
from superbin.errors import InputError

if TYPE_CHECKING:
    from superbin.export import Entry

_NAMED = 3
"""Files that an error names."""

NAMES = ("combine", "csv", "hepdata", "hs3", "madanalysis", "parquet", "pyhf", "smodels", "spey")


@click.command()
@click.argument("source", metavar="RESULT", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--to", "name", type=click.Choice(NAMES), required=True, help="Format.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="Folder, .zip archive, or file if the format is a single file; - for standard output.",
)
@click.option(
    "--reference",
    metavar="SCAN",
    type=click.Path(path_type=Path),
    help="A scan.json with limits of the full likelihood at the same masses, to compare the limits of a bundle's regions with.",
)
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
def export(source: Path, name: str, output: Path, reference: Path | None, force: bool) -> None:
    """Write RESULT for another tool.

    RESULT is a result.json or scan.json, the folder with it, or - for standard input; or a search with signals in any form that
    superbin db import reads, such as the folder of superbin common --regions.

    \b
    superbin export out/result.json --to combine -o datacard.txt
    superbin export maps/scan.json --to smodels -o database
    superbin export maps/scan.json --to csv -o - | head
    superbin export regions --to smodels --reference maps/scan.json -o database
    """
    from superbin.export import FORMATS

    _check_output(output, force=force)
    entry = _entry(source)
    if reference is not None:
        entry = _compared(entry, reference)
    files = FORMATS[name].files(entry)
    if str(output) == "-":
        sys.stdout.buffer.write(_single(files, name))
        sys.stdout.buffer.flush()
        return
    _write(files, output, force=force)
    click.echo(f"{output}: {counted(len(files), 'file')} written")


def _entry(source: Path) -> "Entry":
    from superbin.export import entry_of
    from superbin.results.load import load_any, result_of

    if str(source) == "-":
        return entry_of(result_of(standard_input(), place="standard input"))
    documents = [source / name for name in ("result.json", "scan.json", "chance.json")]
    if source.suffix == ".json" or (source.is_dir() and any(path.is_file() for path in documents)):
        return entry_of(load_any(source))
    from superbin.io import imports

    regions = source / "search"
    made_by_common = (source / "regions.json").is_file() and regions.is_dir()
    return entry_of(imports.read(regions if made_by_common else source).bundle)


def _compared(entry: "Entry", reference: Path) -> "Entry":
    from superbin.export import with_likelihood_limits
    from superbin.results.load import load_any
    from superbin.results.scan import ScanResult

    scan = load_any(reference)
    if not isinstance(scan, ScanResult):
        raise InputError(
            f"{reference} is not a scan; give a scan.json made with superbin scan --likelihood-limit"
        )
    return with_likelihood_limits(entry, scan)


def _check_output(output: Path, *, force: bool) -> None:
    """Before any work: an existing output is kept unless told otherwise, and its place can be written."""
    if str(output) == "-":
        return
    if (output.is_file() or output.is_dir()) and not force and not is_stream(output):
        raise InputError(f"{output} exists; name another output, or replace it with --force")
    if output.is_file() and not output.suffix:
        raise InputError(f"{output} is a file and the output is a folder; name another one")
    if output.is_dir() and output.suffix:
        raise InputError(f"{output} is a folder and the output is a file; name another one")
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise InputError(f"{folder} is a file, so that {output} cannot be written; name another output")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{folder} cannot be written; name an output elsewhere")


def _single(files: Mapping[str, bytes], name: str) -> bytes:
    if len(files) > 1:
        more = ", ..." if len(files) > _NAMED else ""
        raise InputError(
            f"{name} writes {counted(len(files), 'file')} here ({', '.join(sorted(files)[:_NAMED])}{more}), which do not fit into one stream; "
            "give -o FOLDER or -o FILE.zip"
        )
    return next(iter(files.values()))


def _write(files: Mapping[str, bytes], output: Path, *, force: bool) -> None:
    from superbin._support.files import staged_directory, write_bytes, zipped

    if output.suffix:
        output.parent.mkdir(parents=True, exist_ok=True)
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
