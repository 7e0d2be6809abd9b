"""Every option and argument that takes a path, given every kind of place that cannot be used.

Each call must end well, or with exit code 2 and one line, in bounded time and memory, and leave nothing half-written.

Places to read are missing, empty, folders, links to themselves, pipes, sockets, devices, files of the system that never end, names that are
too long or no text, and documents of each ending that are nested deeply, hold giant numbers, are packed bombs, or are of another form.
Places to write are devices, folders, files, links, pipes, names that are too long, and folders that cannot be made.

    python validation/robustness/paths.py [--each 12] [--seed 1]

prints what broke a rule, and writes ``PATHS.md`` beside itself. The rules are those of `fuzz.failure`, a limit of time per call, and that a
call that fails leaves the working folder as it was. It needs Linux.
"""

import argparse
import gzip
import random
import resource
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parent))
from documents import make  # type: ignore[import-not-found]  # scripts beside this one
from fuzz import Outcome, call, leaves  # type: ignore[import-not-found]

HERE = Path(__file__).parent
LONGEST_SECONDS = 30
LARGEST_MB = 1500
LONGEST_LINE = 1100

LIKELIHOOD = {
    "export": "--to pyhf -o {out}", "covariance": "-o {out}", "simplify": "-o {out} --draws 100", "gof": "-n 4", "toys": "-n 4", "scan": "--points 3",
}  # fmt: skip

CALLS: dict[str, str] = {
    "chance": "--search mine --toys 10",
    "common": "example --search mine --stored",
    "db delete": "mine --dry-run",
    "db export": "mine {out}",
    "db import": "mine --dry-run",
    "db init": "",
    "db inspect": "mine",
    "db list": "",
    "db show": "mine",
    "db template": "x -o {out}",
    "export": "out/result.json --to smodels -o {out}",
    "likelihood combine": "card.txt=a card.txt=b --to pyhf -o {out}",
    "likelihood lint": "card.txt",
    **{f"likelihood {verb}": f"card.txt {LIKELIHOOD.get(verb, '')}" for verb in ("covariance", "export", "fit", "gof", "impacts", "limit", "scan", "significance", "simplify", "toys", "yields")},
    "limit": "3 1 0.1 0.1",
    "optimize": "example 1000 100 --search mine --seconds 0 --toys 10",
    "paper": "out/result.json -o {out} --no-pdf --no-figures",
    "plot": "out/result.json -o {out} --format png",
    "pvalue": "3 1 0.1 0.1 --toys 0",
    "run": "example 1000 100 --search mine --seconds 0 --toys 10 --no-pdf --no-figures --no-likelihood -o {out}",
    "scan": "example --stored --search mine --processes 1 --quiet",
    # A check of the options fails before any event is made.
    "signal generate": "T1bbbb 1500 100 --events 1 --seed 1 --set none=1",
    "signal list": "--search mine",
    "signal pack": "folder -o {out}",
    "signal show": "example 1000 100 --search mine",
    "validate": "--only nothing",
}  # fmt: skip
"""A call of each command that works, or ends early, with what `documents.make` makes."""

TO_WRITE = {"-o", "--output", "--figure", "--workspace"}
PATHS = {"FILE", "PATH", "FOLDER", "URL", "DIR", "PLACE", "SOURCE"}


def is_path(parameter: object) -> bool:
    """Whether a parameter takes a place, by its type, its metavariable or its name."""
    kind = type(getattr(parameter, "type", None)).__name__
    words = {
        str(getattr(parameter, "metavar", "") or "").upper(),
        str(getattr(parameter, "name", "")).upper(),
    }
    return kind in ("Path", "File") or bool(words & PATHS)


def places(folder: Path) -> tuple[list[str], list[str]]:
    """Make what cannot be used, and name it: places to read, places to write."""
    (folder / "loop").symlink_to("loop")
    (folder / "broken").symlink_to("nothing")
    (folder / "full").symlink_to("/dev/full")
    (folder / "folder").mkdir()
    (folder / "file").write_text("x")
    import os

    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pipe.json")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("socket")
    listening.close()
    contents: dict[str, bytes] = {
        "empty": b"",
        "deep": b"[" * 200_000,
        "nested": b'{"a":' * 50_000,
        "giant": b'{"schema": ' + b"9" * 200_000 + b"}",
        "number": b"9" * 5000,
        "list": b"[]",
        "null": b"null",
        "nan": b'{"schema": NaN, "version": NaN}',
        "twice": b'{"version": "1.0.0", "version": 2}',
        "surrogate": b'{"schema": "\\ud800", "version": "\\udfff"}',
        "utf16": "bin,observed\n1,2\n".encode("utf-16"),
        "latin": b"bin,observed,background\n\xe9,1,2\n",
        "zeros": bytes(100_000),
        "columns": b"bin," + b",".join(b"c%d" % i for i in range(50_000)) + b"\n1\n",
        "long": b"x" * 3_000_000,
        "lines": b"1 2 3\n" * 300_000,
        "names": b"bin,observed,background,error\n" + "\u202ea\x1b[31m,1,2,1\n".encode() * 5,
        "numbers": b"bin,observed,background,error\n1,1e999,nan,-inf\n2," + b"9" * 400 + b",1,1\n",
        "card": b"imax 1\njmax 1\nkmax 1\nbin a\nobservation 1e308\nbin a a\nprocess s b\nprocess 0 1\nrate 1e308 1e-320\nx lnN 1e308 -\n",
    }
    read = ["", "missing", "missing/x.json", "loop", "broken", "folder", "file/x", "pipe", "pipe.json", "socket", ".", "/dev/null", "/dev/zero", "/dev/full", "/dev/stdin", "-", "/proc/kmsg", "/proc/self/mem", "/proc/self/environ", "x" * 300, "/".join(["d" * 200] * 30), "\udcff", "\u202e", "~nobody/x", "*.json", "a=b", "file:///etc/passwd", "https://me:secret@example.org/x.json", "sqlite:///", "postgresql://me:secret@127.0.0.1:1/x"]  # fmt: skip
    for name, content in contents.items():
        for ending in (
            ".json",
            ".csv",
            ".txt",
            ".yaml",
            ".json.gz",
            ".slha",
            ".lhe",
            ".root",
            ".parquet",
            ".zip",
            ".tex",
        ):
            path = folder / f"{name}{ending}"
            path.write_bytes(gzip.compress(content, 1) if ending.endswith(".gz") else content)
            read.append(path.name)
    for ending in (".json", ".csv", ".txt", ".lhe", ".slha"):
        (folder / f"bomb{ending}.gz").write_bytes(bomb())
        read.append(f"bomb{ending}.gz")
    write = ["", ".", "..", "/", "file", "file/x", "folder", "loop", "loop/x", "broken/x", "full", "full/x", "pipe", "socket", "/dev/full", "/dev/full/x", "/dev/null/x", "/proc/x", "/proc/self/x/y", "/sys/x", "x" * 300, "x" * 256 + ".pdf", "/".join(["d" * 200] * 30), "\udcff", "new/\udcff", "~nobody/x", "mine", "postgresql://me:secret@h/x"]  # fmt: skip
    return read, write


_BOMBS: list[bytes] = []


def bomb() -> bytes:
    """1 GB of blanks, packed."""
    if not _BOMBS:
        import zlib

        packer = zlib.compressobj(1, wbits=31)
        _BOMBS.append(b"".join([*(packer.compress(b" " * (1 << 20)) for _ in range(1024)), packer.flush()]))
    return _BOMBS[0]


class TooLongError(BaseException):
    """A call took more than `LONGEST_SECONDS` of CPU time."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Stop what takes too long on the clock; a machine that is busy is given five times as long."""

    def stop(_: int, __: FrameType | None) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 5 * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def calls(folder: Path, each: int, rng: random.Random) -> Iterator[tuple[str, list[str]]]:
    """Calls with the name of the option that has a wrong place."""
    read, write = places(folder)
    for names, command in leaves():
        base = CALLS[" ".join(names)]
        usual = [word.format(out="written") for word in base.split()]
        for parameter in command.params:
            if not is_path(parameter):
                continue
            option = max(parameter.opts, key=len)
            writes = bool(TO_WRITE & set(parameter.opts)) or "{out}" in base.split()[-1:]
            wrong = write if writes else read
            for place in rng.sample(wrong, min(each, len(wrong))):
                if option.startswith("-"):
                    kept = (
                        [w for w in usual if w not in ("-o", "written")] if "-o" in parameter.opts else usual
                    )
                    yield (
                        f"{' '.join(names)} {option}",
                        [
                            *names,
                            *kept,
                            f"{option}={place}" if place[:1] == "-" else option,
                            *([] if place[:1] == "-" else [place]),
                        ],
                    )
                elif place[:2] != "--":
                    yield f"{' '.join(names)} {option}", [*names, place, *usual[1:]]


def tree(folder: Path) -> set[str]:
    """Every name in the folder, and its size where it is a file; the database is left out."""
    found = set()
    for path in folder.rglob("*"):
        if path.name.startswith("db.sqlite"):
            continue
        with suppress(OSError):
            found.add(f"{path.relative_to(folder)} {path.lstat().st_size if path.is_file() else ''}")
    return found


def tried(each: int, seed: int) -> list[tuple[str, Outcome]]:
    """Make the calls."""
    done: list[tuple[str, Outcome]] = []
    report: Callable[..., None] = print
    with tempfile.TemporaryDirectory() as name, chdir(name):
        folder = Path(name)
        make(folder)
        import os

        os.environ["SUPERBIN_DATABASE"] = str(folder / "db.sqlite")
        for option, arguments in calls(folder, each, random.Random(seed)):
            before = tree(folder)
            cpu = time.process_time()
            try:
                with limited(LONGEST_SECONDS):
                    outcome = call(arguments)
            except TooLongError:
                outcome = Outcome(arguments, -1, "", "too long", 5.0 * LONGEST_SECONDS)
            fault = outcome.fault
            spent = time.process_time() - cpu
            after = tree(folder)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            wrong = {
                fault: bool(fault),
                f"{spent:.0f} s of CPU": spent > LONGEST_SECONDS,
                f"{peak:.0f} MB": peak > LARGEST_MB,
                "a long line": any(len(line) > LONGEST_LINE for line in outcome.error.splitlines()),
                f"left {sorted(after - before)[:3]}": outcome.code != 0
                and after != before
                and "--database" not in option,
            }
            done.append(
                (option, replace(outcome, fault="; ".join(text for text, broken in wrong.items() if broken)))
            )
            if done[-1][1].fault:
                report(
                    f"{done[-1][1].fault}: superbin {' '.join(a[:60] for a in arguments)!r}\n    {outcome.error.strip()[-300:]!r}",
                    flush=True,
                )
            for new in (folder / "written",):
                if new.is_dir():
                    import shutil

                    shutil.rmtree(new)
                new.unlink(missing_ok=True)
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--each", type=int, default=12, help="places tried at each option")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.perf_counter()
    done = tried(options.each, options.seed)
    print(
        f"{len(done)} calls, {sum(bool(o.fault) for _, o in done)} faults, {time.perf_counter() - start:.0f} s"
    )
    write_report(done, options.each, options.seed)


def write_report(done: list[tuple[str, Outcome]], each: int, seed: int) -> None:
    rows = ""
    for name in dict.fromkeys(name for name, _ in done):
        of = [o for n, o in done if n == name]
        codes = Counter(o.code for o in of)
        rows += f"| `{name}` | {len(of)} | {codes[0]} | {codes[2]} | {sum(bool(o.fault) for o in of)} |\n"
    (HERE / "PATHS.md").write_text(
        "# Places that cannot be used\n\n"
        f"Written by `python validation/robustness/paths.py --each {each} --seed {seed}`: {len(done)} calls; in each, one option or argument that takes a path is given a "
        f"place that cannot be used. The call must end with exit code 0, or with exit code 2, one printable line of at most {LONGEST_LINE} characters and the folder as it was, within "
        f"{LONGEST_SECONDS} s of CPU time. The peak of the process's memory was {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB.\n\n"
        f"| option or argument | calls | ended well | refused | rule broken |\n|---|---|---|---|---|\n{rows}",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
