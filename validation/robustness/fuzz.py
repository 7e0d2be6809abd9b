"""Thousands of commands and damaged documents: each must end well, or with exit code 2 and one line.

`commands` generates calls of every command of the command line with arguments and options that are right, wrong, missing, too large, of
another type, or files that are damaged, devices, pipes or links to themselves. `failures` runs some and says which broke the rule: exit code
0 or 2, one printable line on standard error where it is 2, no traceback, no file left beside the ones that were asked for.

    python validation/robustness/fuzz.py [--calls 2000] [--documents 4000] [--seed 1] [--seconds 600]

also damages documents of every form of a search, which must be imported or refused in one printable line; prints the failures with what
repeats them, and writes ``REPORT.md`` beside itself. The test suite runs some of the same calls, and the same damage.
"""

import argparse
import contextlib
import importlib
import io
import os
import random
import re
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from superbin.cli import cli, main
from superbin.errors import InputError
from superbin.io.imports import Options, read

HERE = Path(__file__).parent

WORDS = [
    "", "-", "--", "nope", "T1bbbb", "cms-pas-sus-16-014", "cms-sus-16-033", "1", "0", "-1", "1750", "1e400", "nan", "inf", "-inf", "1e-320", "9" * 40,
    "0x10", "1_000", "\u0661", "a\u202eb", "\x1b[31mred", "\ud800", "x" * 5000, "../..", "/", "/dev/full", "/dev/zero", "/proc/self/mem", "~", "*", "a=b", "[1,2]", "{}",
    "null", "1-3", "1-", "3-1", "1,2,3", "sqlite://", "postgresql://me:secret@localhost:1/none", "mysql://me:secret@", "file:///etc/passwd", "%s%n", "é", " ", "\t",
    "good.csv", "bad.csv", "empty", "binary.root", "deep.json", "huge.json", "twice.json", "latin.csv", "pipe", "loop", "folder", "archive.zip", "bomb.json.gz", "card.txt",
    "workspace.json", "missing.csv", "result.json", "grid.csv.gz",
]  # fmt: skip
"""Values of arguments and options, files of the folder among them."""

SLOW = {"generate", "run", "scan", "common", "chance", "optimize", "validate"}
"""Commands that compute for long where their arguments are right: they get one wrong at least."""


@dataclass(frozen=True)
class Outcome:
    """What a call did.

    Attributes
    ----------
    arguments : list of str
    code : int
        The exit code.
    error : str
        What stood on standard error.
    fault : str
        Which rule it broke; empty where none.
    seconds : float
    """

    arguments: list[str]
    code: int
    error: str
    fault: str
    seconds: float


def write_files(folder: Path) -> None:
    """The files that `WORDS` names."""
    import gzip
    import zipfile

    (folder / "good.csv").write_text("bin,observed,background,error\n1,12,10.5,2\n2,3,4,1\n")
    (folder / "bad.csv").write_text("bin,observed,background\n1,x,-3\n1,2\n")
    (folder / "empty").write_bytes(b"")
    (folder / "binary.root").write_bytes(b"root" + bytes(range(256)) * 8)
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "huge.json").write_text('{"a": ' + "9" * 10_000 + "}")
    (folder / "twice.json").write_text('{"data": [1], "data": [2], "background_yields": [1]}')
    (folder / "latin.csv").write_bytes("bin,observed,background\n\xe9,1,2\n".encode("latin-1"))
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "folder").mkdir()
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        archive.writestr("../evil.csv", "bin,observed,background\n1,1,1\n")
    (folder / "bomb.json.gz").write_bytes(gzip.compress(b" " * (140 << 20), 1))
    (folder / "card.txt").write_text(
        "imax 1\njmax 1\nkmax *\nbin a\nobservation 3\nbin a a\nprocess s b\nprocess 0 1\nrate 1 2\nx lnN 1.1 -\n"
    )
    (folder / "workspace.json").write_text(
        '{"version": "1.0.0", "channels": [], "observations": [], "measurements": []}'
    )
    (folder / "result.json").write_text('{"schema": "superbin/result/1", "merge": []}')
    (folder / "grid.csv.gz").write_bytes(gzip.compress(b"# grid\nnonsense\n"))


def leaves() -> list[tuple[tuple[str, ...], click.Command]]:
    """Every command with its names, such as ``("db", "import")``."""
    found: list[tuple[tuple[str, ...], click.Command]] = []
    waiting: list[tuple[tuple[str, ...], click.Command]] = [((), cli)]
    while waiting:
        names, command = waiting.pop()
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                if inner is not None:
                    waiting.append(((*names, name), inner))
        else:
            found.append((names, command))
    return sorted(found, key=lambda pair: pair[0])


def commands(rng: random.Random) -> Iterator[list[str]]:
    """Calls without end."""
    every = leaves()
    while True:
        names, command = rng.choice(every)
        words: list[str] = []
        for parameter in command.params:
            if isinstance(parameter, click.Argument):
                count = (
                    rng.randint(0, 3) if parameter.nargs < 0 else parameter.nargs if rng.random() < 0.9 else 0
                )
                words += rng.choices(WORDS, k=count)
            elif rng.random() < 0.2:
                words.append(rng.choice([*parameter.opts, *parameter.secondary_opts]))
                if not (isinstance(parameter, click.Option) and (parameter.is_flag or parameter.count)):
                    words += [_value(parameter, rng) for _ in range(max(parameter.nargs, 1))]
        if SLOW & set(names):
            # Nothing long, whatever stands before it: an option that there is not ends every one of them.
            words.insert(
                rng.randint(0, len(words)),
                rng.choice(["--no-such-option", "--seed=x", "--database=/dev/full"]),
            )
            words.append("--no-such-option")
        if rng.random() < 0.05:
            rng.shuffle(words)
        yield [*names, *words]


def _value(parameter: click.Parameter, rng: random.Random) -> str:
    """A value of an option: mostly one of its words or a number, where it has such."""
    choices = getattr(parameter.type, "choices", None)
    if choices and rng.random() < 0.5:
        return str(rng.choice(list(choices)))
    return rng.choice(WORDS)


def failure(code: int, error: str) -> str:
    """Which rule an ended call broke; empty where none."""
    lines = [line for line in error.splitlines() if re.match("superbin: (internal )?error", line)]
    if code not in (0, 2):
        return f"exit code {code}"
    if "Traceback" in error:
        return "a traceback"
    if code == 2 and len(lines) != 1:
        return f"{len(lines)} lines of error"
    if code == 2 and not lines[0].isprintable():
        return "a character that does not print"
    if code == 2 and len(lines[0]) > 1100:
        return f"an error of {len(lines[0])} characters"
    return "the password" if "secret" in error else ""


def call(arguments: list[str]) -> Outcome:
    """Run one call in this process."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    code = 1
    start = time.perf_counter()
    stdin = sys.stdin
    sys.stdin = io.StringIO("")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(arguments)
            except SystemExit as done:
                code = done.code if isinstance(done.code, int) else 0 if done.code is None else 1
            except BaseException as error:  # noqa: BLE001 (what a user would see as a traceback)
                err.write(f"Traceback: {type(error).__name__}: {error}")
    finally:
        sys.stdin = stdin
    return Outcome(
        arguments, code, err.getvalue(), failure(code, err.getvalue()), time.perf_counter() - start
    )


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A folder with the files, as working directory, and a database of its own."""
    before, database = Path.cwd(), os.environ.get("SUPERBIN_DATABASE")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder)
        os.chdir(folder)
        os.environ["SUPERBIN_DATABASE"] = str(folder / "db.sqlite")
        try:
            yield folder
        finally:
            os.chdir(before)
            if database is None:
                del os.environ["SUPERBIN_DATABASE"]
            else:
                os.environ["SUPERBIN_DATABASE"] = database


def damaged(number: int, seed: int, seconds: float) -> tuple[int, int, list[str]]:
    """Damage documents of every form as the tests do: how many were read, how many refused, and what else happened."""
    sys.path.insert(0, str(HERE.parents[1] / "tests" / "unit" / "io" / "imports"))
    tests: Any = importlib.import_module("test_damaged")
    start, refused, tried, faults = time.perf_counter(), 0, 0, []
    for form, make in tests.FORMS.items():
        rng = random.Random(f"{form} {seed}")
        with tempfile.TemporaryDirectory() as name:
            whole = make(Path(name))
            for _ in range(number // len(tests.FORMS)):
                if time.perf_counter() - start > seconds:
                    break
                target = Path(name) / "damaged" / whole.name
                target.parent.mkdir()
                shutil.copytree(whole, target) if whole.is_dir() else shutil.copy(whole, target)
                for _ in range(rng.randint(1, 3)):
                    tests.damage(rng.choice(tests.files_of(target)), rng)
                tried += 1
                try:
                    said = read(target, options=Options(luminosity_fb=None if form == "own" else 1.0)).notes
                except InputError as error:
                    refused, said = refused + 1, (str(error),)
                except Exception as error:  # noqa: BLE001 (anything else is a failure)
                    faults.append(f"{form}: {type(error).__name__}: {error}")
                    said = ()
                faults += [f"{form}: {text!r}" for text in said if not text.isprintable()]
                shutil.rmtree(target.parent)
    return tried, refused, faults


def main_() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--documents", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=600.0)
    options = parser.parse_args()
    start = time.perf_counter()
    done: list[Outcome] = []
    with place():
        calls = commands(random.Random(options.seed))
        while len(done) < options.calls and time.perf_counter() - start < options.seconds:
            done.append(call(next(calls)))
            if done[-1].fault:
                print(
                    f"{done[-1].fault}: {[w[:80] for w in done[-1].arguments]}\n    {done[-1].error.strip()[-300:]}",
                    flush=True,
                )
    spent = time.perf_counter() - start
    documents = damaged(options.documents, options.seed, options.seconds)
    print("\n".join(documents[2]))
    write_report(done, options.seed, spent, documents)


def write_report(
    done: list[Outcome], seed: int, seconds: float, documents: tuple[int, int, list[str]]
) -> None:
    tried, refused, faults = documents
    codes = Counter(o.code for o in done)
    kinds = Counter(re.sub(r"\d+", "N", o.fault) for o in done if o.fault)
    slowest = max(done, key=lambda o: o.seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = "".join(f"| {fault} | {n} |\n" for fault, n in sorted(kinds.items())) or "| none | 0 |\n"
    (HERE / "REPORT.md").write_text(
        "# Robustness\n\n"
        f"Written by `python validation/robustness/fuzz.py --calls {len(done)} --seed {seed}`: {len(done)} generated calls of {len(leaves())} commands in one process, "
        "with values that are right, wrong, missing, too large or of another type, and files that are damaged, devices, pipes, links to themselves and "
        "gzip bombs. Every call must end with exit code 0, or with exit code 2 and one printable line.\n\n"
        f"| ended with | calls |\n|---|---|\n"
        + "".join(f"| exit code {c} | {n} |\n" for c, n in sorted(codes.items()))
        + "\n"
        f"| rule broken | calls |\n|---|---|\n{rows}\n"
        f"The calls took {seconds:.0f} s; the slowest one took {slowest.seconds:.1f} s (`superbin {' '.join(slowest.arguments[:2])}`). The peak of the process's memory was "
        f"{peak:.0f} MB.\n\n"
        f"{tried} damaged documents of every form of a search: {refused} refused in one printable line, {tried - refused - len(faults)} imported, "
        f"{len(faults)} neither.\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main_()
