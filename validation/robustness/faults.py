"""Commands in processes of their own, in surroundings that are broken: each must end well, or with exit code 2 and one line.

`CASES` names surroundings (a deleted working folder, a full disk, closed standard streams, a missing home, a locale without Unicode, signals, a
read-only or damaged database, links to themselves, names longer than a file may have, ...) and the command that meets them.

    python validation/robustness/faults.py [--only WORD]

prints each case with its exit code, time and memory, and writes ``FAULTS.md`` beside itself. It needs Linux.
"""

import argparse
import contextlib
import gzip
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
SUPERBIN = (sys.executable, "-m", "superbin")
LONGEST_SECONDS, LARGEST_MB, LONGEST_LINE = 60, 1024, 1100
PVALUE = ("pvalue", "40", "25", "5", "5")
SIGNALLED = {
    "SIGTERM": 128 + signal.SIGTERM,
    "SIGHUP": 128 + signal.SIGHUP,
    "SIGINT": 130,
}


@dataclass(frozen=True)
class Case:
    """A command in surroundings.

    Attributes
    ----------
    name : str
    arguments : tuple of str
    prepare : callable
        Makes files in the folder in which the command runs.
    environment : mapping of str to str or None
        Changes of the environment; None removes a variable.
    shell : str
        A line of the shell around the command, which is ``"$@"``.
    stop : str
        The signal that is sent, and the file whose appearance it waits for, or seconds.
    codes : tuple of int
        Exit codes that are right.
    says : str
        A word that standard error must have.
    """

    name: str
    arguments: tuple[str, ...]
    prepare: Callable[[Path], None] = lambda _: None
    environment: Mapping[str, str | None] = field(default_factory=dict)
    shell: str = ""
    stop: tuple[str, str | float] | None = None
    codes: tuple[int, ...] = (0, 2)
    says: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a case did; `fault` says which rule it broke."""

    case: Case
    code: int
    error: str
    seconds: float
    megabytes: float
    fault: str


def _folder_of_tables(folder: Path) -> None:
    subprocess.run(
        [*SUPERBIN, "db", "template", "mine", "-o", str(folder / "mine")], check=True, capture_output=True
    )


def _write(name: str, content: str | bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def _database(folder: Path) -> None:
    subprocess.run(
        [*SUPERBIN, "db", "init", "--database", str(folder / "db.sqlite")], check=True, capture_output=True
    )


def _read_only_database(folder: Path) -> None:
    _database(folder)
    (folder / "db.sqlite").chmod(0o444)
    folder.chmod(0o555)


def _tables_and_read_only_database(folder: Path) -> None:
    _folder_of_tables(folder)
    (folder / "place").mkdir()
    _read_only_database(folder / "place")


def _damaged_database(folder: Path) -> None:
    _database(folder)
    content = bytearray((folder / "db.sqlite").read_bytes())
    content[4096:20000] = b"\xff" * (20000 - 4096)
    (folder / "db.sqlite").write_bytes(content)


def _empty_database(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / "db.sqlite")) as connection:
        connection.execute("create table other (x integer)")
        connection.commit()


def _links(folder: Path) -> None:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.csv")


def _folder_of_odd_files(folder: Path) -> None:
    place = folder / "odd"
    place.mkdir()
    os.mkfifo(place / "bins.csv")
    (place / "search.json").symlink_to("/dev/zero")
    (place / "up").symlink_to("..")
    (place / "loop.txt").symlink_to("loop.txt")


def _many_files(folder: Path) -> None:
    for number in range(25_000):
        (folder / f"{number}.csv").touch()


def _deep(folder: Path) -> None:
    place = folder
    for _ in range(60):
        place /= "d" * 60
        with contextlib.suppress(OSError):
            place.mkdir()


def _wide(folder: Path) -> None:
    names = ",".join(f"c{i}" for i in range(200_000))
    (folder / "wide.csv").write_text(f"bin,observed,background,{names}\n")


def _bomb(folder: Path) -> None:
    with gzip.open(folder / "bomb.csv.gz", "wb", 9) as stream:
        for _ in range(1500):
            stream.write(b"0" * (1 << 20))


def _yaml_bomb(folder: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    (folder / "bomb.yaml").write_text(
        "\n".join([*lines, "independent_variables: *a11", "dependent_variables: *a11", ""])
    )


IMPORT = ("db", "import", "--luminosity", "1", "--dry-run")

CASES: tuple[Case, ...] = (
    Case("help", ("--help",), codes=(0,)),
    # Where to write
    Case("standard output is full", PVALUE, shell='"$@" > /dev/full', codes=(2,), says="No space left"),
    Case("standard output is full, JSON", (*PVALUE, "--json"), shell='"$@" > /dev/full', codes=(2,), says="No space left"),
    Case("standard error is full", ("db", "show", "nothing"), shell='"$@" 2> /dev/full'),
    Case("both are full", ("db", "show", "nothing"), shell='"$@" > /dev/full 2> /dev/full'),
    Case("standard output is closed", PVALUE, shell='"$@" >&-'),
    Case("standard error is closed", ("db", "show", "nothing"), shell='"$@" 2>&-'),
    Case("standard input is closed", ("plot", "-"), shell='"$@" <&-', codes=(2,)),
    Case("all three are closed", PVALUE, shell='"$@" <&- >&- 2>&-'),
    Case("reader goes away", ("db", "list", "--json"), shell='"$@" | head -c 10 > /dev/null'),
    Case("output is a device", ("db", "template", "x", "-o", "/dev/full"), codes=(2,)),
    Case("output under a file", ("db", "template", "x", "-o", "file/x"), _write("file", "x"), codes=(2,)),
    Case("output under a link to itself", ("db", "template", "x", "-o", "a/x"), _links, codes=(2,)),
    Case("output is a link to itself", ("db", "template", "x", "-o", "a", "--force"), _links, codes=(2,)),
    Case("output's name is too long", ("db", "template", "x", "-o", "x" * 300), codes=(2,)),
    Case("output's name is nearly too long", ("db", "template", "x", "-o", "x" * 250)),
    Case("output's path is too long", ("db", "template", "x", "-o", "/".join(["d" * 200] * 25)), codes=(2,)),
    Case("a search's name is too long for a file", ("db", "template", "x" * 300, "-o", "out"), codes=(0, 2)),
    Case("output is empty", ("db", "template", "x", "-o", ""), codes=(2,)),
    Case("output is the working folder", ("db", "template", "x", "-o", ".", "--force"), _write("kept.txt", "x"), codes=(2,)),
    Case("output is /", ("db", "template", "x", "-o", "/", "--force"), codes=(2,)),
    Case("output has a zero byte", ("db", "template", "x", "-o", "a\\0b"), codes=(0, 2)),
    Case("a figure in a folder that is missing", (*PVALUE, "--figure", "none/here/x.pdf"), codes=(2,)),
    Case("a figure under a device", (*PVALUE, "--figure", "/dev/full/x.pdf"), codes=(2,)),
    Case("a workspace to a full disk", (*PVALUE, "--workspace", "/dev/full"), codes=(2,)),
    Case("file size is limited", ("db", "template", "x", "-o", "out"), shell='ulimit -f 1; "$@"', codes=(2,), says="File too large"),
    Case("few files may be open", ("db", "list"), shell='ulimit -n 8; "$@"'),
    Case("memory is limited", ("signal", "list"), shell='ulimit -v 400000; "$@"'),
    # Where to work
    Case("working folder was deleted", PVALUE, shell='mkdir gone; cd gone; rmdir ../gone; "$@"', codes=(0,)),
    Case("working folder was deleted, output", ("db", "template", "x", "-o", "out"), shell='mkdir gone; cd gone; rmdir ../gone; "$@"', codes=(2,)),
    Case("working folder was deleted, input", ("db", "inspect", "."), shell='mkdir gone; cd gone; rmdir ../gone; "$@"'),
    Case("no home", ("db", "list"), environment={"HOME": None, "SUPERBIN_DATABASE": None, "XDG_DATA_HOME": None, "XDG_CONFIG_HOME": None, "XDG_CACHE_HOME": None}, shell='"$@"'),
    Case("home is missing", ("db", "list"), environment={"HOME": "/proc/none", "SUPERBIN_DATABASE": None}, codes=(2,)),
    Case("home is a file", (*PVALUE, "--figure", "x.pdf"), _write("home", "x"), environment={"HOME": "home"}),
    Case("no temporary folder", (*IMPORT, "x.zip"), _write("x.zip", "x"), environment={"TMPDIR": "/none", "TEMP": "/none", "TMP": "/none"}, codes=(2,)),
    Case("Matplotlib's backend is unknown", (*PVALUE, "--figure", "x.pdf"), environment={"MPLBACKEND": "nonsense"}, codes=(0,)),
    Case("Matplotlib's folder is missing", (*PVALUE, "--figure", "x.pdf"), environment={"MPLCONFIGDIR": "/proc/none"}),
    Case("locale C", PVALUE, environment={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, codes=(0,)),
    Case("locale C, table", ("signal", "list"), environment={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, codes=(0,)),
    Case("output in ASCII", ("db", "list"), environment={"PYTHONIOENCODING": "ascii"}, codes=(0,)),
    Case("output in ASCII, search", ("db", "show", "cms-pas-sus-16-014"), environment={"PYTHONIOENCODING": "ascii"}),
    Case("output in Latin-1", PVALUE, environment={"PYTHONIOENCODING": "latin-1"}, codes=(0,)),
    Case("terminal of no columns", ("db", "list"), environment={"COLUMNS": "0"}, codes=(0,)),
    Case("terminal of -5 columns", ("--help",), environment={"COLUMNS": "-5"}, codes=(0,)),
    Case("columns are a word", ("db", "list"), environment={"COLUMNS": "wide"}, codes=(0,)),
    Case("threads are a word", PVALUE, environment={"OMP_NUM_THREADS": "many", "OPENBLAS_NUM_THREADS": "many"}, codes=(0,)),
    # Arguments
    Case("surrogates in an argument", ("db", "import", "bad"), shell='"$@" "$(printf "\\377\\376")"', codes=(2,)),
    Case("a name of surrogates", ("pvalue", "1"), shell='"$@" "$(printf "\\377")" 1 1', codes=(2,)),
    Case("an argument of 100 000 characters", ("db", "show", "x" * 100_000), codes=(2,)),
    Case("an option of 100 000 characters", ("pvalue", "1", "1", "1", "1", "--uncertainty", "y " * 50_000), codes=(2,)),
    Case("20 000 arguments", ("likelihood", "lint", *(["x.txt"] * 20_000)), codes=(2,)),
    # Documents
    Case("a pipe that nobody fills", (*IMPORT, "pipe.csv"), _pipe, codes=(2,)),
    Case("a folder of devices, pipes and links", (*IMPORT, "odd"), _folder_of_odd_files, codes=(2,)),
    Case("25 000 files", ("db", "inspect", "."), _many_files, codes=(2,)),
    Case("25 000 files, import", ("db", "import", "."), _many_files, codes=(2,)),
    Case("folders nested beyond a path", ("db", "inspect", "."), _deep, codes=(0, 2)),
    Case("folders nested beyond a path, cards", ("likelihood", "lint", "."), _deep, codes=(2,)),
    Case("the whole machine", ("db", "inspect", "/"), codes=(2,)),
    Case("the whole machine, cards", ("likelihood", "lint", "/"), codes=(2,)),
    Case("processes of the machine", ("db", "import", "/proc"), codes=(2,)),
    Case("200 000 columns", (*IMPORT, "wide.csv"), _wide, codes=(2,)),
    Case("1.5 GB in a small gzip file", (*IMPORT, "bomb.csv.gz"), _bomb, codes=(2,)),
    Case("10^11 entries in a small YAML file", (*IMPORT, "bomb.yaml"), _yaml_bomb, codes=(2,)),
    Case("YAML of 20 000 levels", (*IMPORT, "x.yaml"), _write("x.yaml", "[" * 20_000), codes=(2,)),
    Case("YAML of 20 000 levels by indents", (*IMPORT, "x.yaml"), _write("x.yaml", "".join(" " * i + "- \n" for i in range(2000))), codes=(2,)),
    Case("YAML with a giant hexadecimal number", (*IMPORT, "x.yaml"), _write("x.yaml", "dependent_variables: 0x" + "f" * 100_000 + "\nindependent_variables: []\n"), codes=(2,)),
    Case("YAML with a giant number", (*IMPORT, "x.yaml"), _write("x.yaml", "dependent_variables: " + "9" * 100_000 + "\nindependent_variables: []\n"), codes=(2,)),
    Case("YAML with a Python object", (*IMPORT, "x.yaml"), _write("x.yaml", "dependent_variables: !!python/object/apply:os.system [id]\nindependent_variables: []\n"), codes=(2,)),
    Case("YAML with a date out of range", (*IMPORT, "x.yaml"), _write("x.yaml", "dependent_variables: 9999-99-99\nindependent_variables: []\n"), codes=(2,)),
    Case("a text of long words", ("plot", "x.json"), _write("x.json", '{"schema": "' + "word " * 5000 + '"}'), codes=(2,)),
    Case("a key of long words", ("plot", "x.json"), _write("x.json", '{"schema": "superbin/result/1", "' + "word " * 5000 + '": 1}'), codes=(2,)),
    Case("a list of 100 000 numbers", ("plot", "x.json"), _write("x.json", '{"schema": [' + "1, " * 100_000 + "1]}"), codes=(2,)),
    # Databases
    Case("database is read-only", ("db", "import", "mine", "--database", "place/db.sqlite"), _tables_and_read_only_database, shell='if [ "$(id -u)" = 0 ]; then exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; else "$@"; fi', codes=(2,)),
    Case("database is damaged", ("db", "list", "--database", "db.sqlite"), _damaged_database, codes=(2,)),
    Case("database is damaged, show", ("db", "show", "cms-pas-sus-16-014", "--database", "db.sqlite"), _damaged_database, codes=(2,)),
    Case("database is of another program", ("db", "list", "--database", "db.sqlite"), _empty_database),
    Case("database is text", ("db", "list", "--database", "db.sqlite"), _write("db.sqlite", "text" * 1000), codes=(2,)),
    Case("database is a folder", ("db", "list", "--database", "."), codes=(2,)),
    Case("database is a device", ("db", "list", "--database", "/dev/full"), codes=(2,)),
    Case("database is a link to itself", ("db", "list", "--database", "a"), _links, codes=(2,)),
    Case("database's name is too long", ("db", "list", "--database", "x" * 300), codes=(2,)),
    Case("a server that is none", ("db", "list", "--database", "postgresql://me:secret@127.0.0.1:1/x"), codes=(2,)),
    Case("a password with an at sign", ("db", "list", "--database", "postgresql://me:a@secret@127.0.0.1:1/x"), codes=(2,)),
    Case("a password in the query", ("db", "list", "--database", "postgresql://127.0.0.1:1/x?user=me&password=secret"), codes=(2,)),
    Case("a password of another key", ("db", "list", "--database", "mysql+pymysql://127.0.0.1:1/x?user=me&passwd=secret"), codes=(2,)),
    Case("a password after a word", ("db", "list", "--database", "host=127.0.0.1 port=1 user=me password=secret"), codes=(2,)),
    Case("a password with blanks", ("db", "list", "--database", "postgresql://me:very secret@127.0.0.1:1/x"), codes=(2,)),
    Case("a password with quotes", ("db", "list", "--database", "postgresql://me:'secret@127.0.0.1:1/x"), codes=(2,)),
    Case("a password with a slash", ("db", "list", "--database", "postgresql://me:a/secret@127.0.0.1:1/x"), codes=(2,)),
    Case("a password without a user", ("db", "list", "--database", "postgresql://:secret@127.0.0.1:1/x"), codes=(2,)),
    Case("a password in the environment", ("db", "list"), environment={"SUPERBIN_DATABASE": "oracle://me:secret@127.0.0.1:1/x"}, codes=(2,)),
    Case("a port that is none", ("db", "list", "--database", "postgresql://me:secret@127.0.0.1:99999999/x"), codes=(2,)),
    Case("a port that is a word", ("db", "list", "--database", "postgresql://me:secret@127.0.0.1:port/x"), codes=(2,)),
    Case("a password as an argument", ("db", "import", "https://me:secret@example.org/x.zip"), codes=(2,)),
    # Clusters
    Case("a scheduler that is none", ("scan", "T1bbbb", "--scheduler", "tcp://127.0.0.1:1", "--max-points", "1"), codes=(2,)),
    Case("a scheduler of no address", ("scan", "T1bbbb", "--scheduler", "nonsense", "--max-points", "1"), codes=(2,)),
    # Signals
    *(
        Case(f"{name} while a folder is written", ("run", "T1bbbb", "1750", "1", "-o", "out"), stop=(name, ".out.*"), codes=(code,))
        for name, code in SIGNALLED.items()
    ),
    *(
        Case(f"{name} while pseudo-experiments run", ("chance", "--toys", "1000000", "--quiet"), stop=(name, 20.0), codes=(0,))  # what was thrown is printed
        for name in SIGNALLED
    ),
    Case("SIGTERM while a scan runs", ("scan", "T1bbbb", "--processes", "2", "-o", "out"), stop=("SIGTERM", 15.0), codes=(SIGNALLED["SIGTERM"],)),
)  # fmt: skip


def run(case: Case) -> Outcome:
    """Run a case in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve() / "case"
        folder.mkdir()
        if "setpriv" in case.shell:
            Path(name).chmod(0o755)
        case.prepare(folder)
        before = _names(folder)
        environment = {**os.environ, "SUPERBIN_DATABASE": str(Path(name) / "own.sqlite")}
        for key, value in case.environment.items():
            environment.pop(key, None)
            if value is not None:
                environment[key] = value
        command = [*SUPERBIN, *case.arguments]
        if case.shell:
            command = ["bash", "-c", case.shell, "bash", *command]
        with (Path(name) / "out").open("wb") as out, (Path(name) / "err").open("wb") as err:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
            )  # fmt: skip
            if case.stop is not None:
                _stop(process, folder, *case.stop)
            code, seconds, megabytes = _wait(process)
        error = (Path(name) / "err").read_bytes().decode("utf-8", "replace")
        left = [n for n in _names(folder) - before if n.startswith(".")] if folder.exists() else []
        with contextlib.suppress(OSError):
            for place in (folder, folder / "place"):
                place.chmod(0o755)
        if _DEEP in case.name:
            shutil.rmtree(folder, ignore_errors=True)
        return Outcome(
            case, code, error, seconds, megabytes, _fault(case, code, error, seconds, megabytes, left)
        )


_DEEP = "nested beyond a path"


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _stop(process: "subprocess.Popen[bytes]", folder: Path, name: str, when: str | float) -> None:
    end = time.perf_counter() + LONGEST_SECONDS
    if isinstance(when, str):
        while not list(folder.glob(when)) and process.poll() is None and time.perf_counter() < end:
            time.sleep(0.05)
        time.sleep(2.0)
    else:
        time.sleep(when)
    if process.poll() is None:
        process.send_signal(getattr(signal, name))


def _wait(process: "subprocess.Popen[bytes]") -> tuple[int, float, float]:
    """Exit code, seconds of CPU time and MB."""
    end = (
        time.perf_counter() + 10 * LONGEST_SECONDS
    )  # a busy machine is given time, and workers that are gone are waited for
    while time.perf_counter() < end:
        found, status, usage = os.wait4(process.pid, os.WNOHANG)
        if found:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return -9, 3.0 * LONGEST_SECONDS, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _fault(case: Case, code: int, error: str, seconds: float, megabytes: float, left: list[str]) -> str:
    """Which rules it broke."""
    # What a run says of its progress stands on standard error, too.
    lines = [line for line in error.splitlines() if line.startswith("superbin: error")]
    written = "2> /dev/full" not in case.shell and "2>&-" not in case.shell
    wrong = {
        f"exit code {code}": code not in case.codes,
        "a traceback": "Traceback" in error or "Exception ignored" in error,
        f"{len(lines)} lines of error": code == 2 and written and len(lines) != 1,
        "a character that does not print": any(not line.isprintable() for line in lines),
        f"a line of {max(map(len, lines), default=0)} characters": any(
            len(line) > LONGEST_LINE for line in lines
        ),
        "the password": "secret" in error,
        f"no word of {case.says}": case.says not in error,
        f"{seconds:.0f} s": case.stop is None and seconds > LONGEST_SECONDS,
        f"{megabytes:.0f} MB": megabytes > LARGEST_MB,
        f"left {', '.join(left)}": bool(left),
    }
    return "; ".join(text for text, broken in wrong.items() if broken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--only", default="", help="run the cases whose names have this word, and write no report"
    )
    options = parser.parse_args()
    done: list[Outcome] = []
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a job in the background of a shell ignores it, and so would the commands
    for case in CASES:
        if options.only not in case.name:
            continue
        done.append(run(case))
        o = done[-1]
        said = re.sub(r"\s+", " ", o.error)[-250:]
        print(
            f"{o.fault or 'ok':30.80} | {case.name} | {o.code} | {o.seconds:.1f} s | {o.megabytes:.0f} MB | {said}",
            flush=True,
        )
    if not options.only:
        write_report(done)


def write_report(done: list[Outcome]) -> None:
    rows = "".join(
        f"| {o.case.name} | `superbin {' '.join(a if len(a) < 40 else a[:20] + '...' for a in o.case.arguments[:6])}` | {o.code} | {o.fault or '-'} |\n"
        for o in done
    )
    slowest, largest = max(o.seconds for o in done if o.case.stop is None), max(o.megabytes for o in done)
    (HERE / "FAULTS.md").write_text(
        "# Broken surroundings\n\n"
        f"Written by `python validation/robustness/faults.py`: {len(done)} commands, each in a process of its own. Each must end with exit code 0, or with exit code 2 and "
        f"one printable line of at most {LONGEST_LINE} characters without a password, below {LARGEST_MB} MB, within {LONGEST_SECONDS} s of CPU time, and leave no hidden file; one that is stopped by a signal ends with 128 and "
        f"its number. {sum(bool(o.fault) for o in done)} broke a rule. The slowest took {slowest:.0f} s of CPU time, the largest {largest:.0f} MB.\n\n"
        f"| surroundings | command | exit code | rule broken |\n|---|---|---|---|\n{rows}",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
