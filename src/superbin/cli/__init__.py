"""The ``superbin`` command: one module per verb group, no mathematics.

Each command is imported when it is called, so that help and completion answer at once. Results go to stdout,
progress and errors to stderr. Exit codes: 0 done, 2 bad input (one line says what, where and the cure), 1 a
defect of superbin itself, 130 interrupted, 128 + the signal hung up or terminated, 141 the reader of a pipe went away.
"""

import codecs
import difflib
import gc
import importlib
import json
import os
import re
import signal as system_signals  # not signal: that is the name of a module of commands here
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, Self

import click

from superbin._support.shown import readable
from superbin.errors import SuperbinError

__all__ = ["LazyGroup", "cli", "main"]

INTERRUPTED, CLOSED_PIPE = 130, 141
"""Exit codes, as shells have them for signals."""

COMMANDS = {
    "chance": ("superbin.cli.chance:chance", "Print the global p-value of the largest excess anywhere."),
    "common": (
        "superbin.cli.common:common",
        "Design one merge for many signals, or a few exclusive regions.",
    ),
    "db": ("superbin.cli.db:db", "Inspect, fill, import and export the database."),
    "likelihood": (
        "superbin.cli.likelihood:likelihood",
        "Fit published likelihoods: limits, significances, toys, export.",
    ),
    "export": ("superbin.cli.export:export", "Write a result, scan or bundle as files for other tools."),
    "limit": ("superbin.cli.limit:limit", "Print every named upper limit on the signal of one count."),
    "optimize": ("superbin.cli.optimize:optimize", "Compare the best merges: free, of k bins, rectangles."),
    "paper": ("superbin.cli.paper:paper", "Write the paper of a result or a scan, from its JSON."),
    "plot": ("superbin.cli.plot:plot", "Draw the figures of a result again, from its JSON."),
    "pvalue": ("superbin.cli.pvalue:pvalue", "Print every named p-value of one count."),
    "run": ("superbin.cli.run:run", "Design, evaluate and write up a one-bin analysis of a signal."),
    "scan": (
        "superbin.cli.scan:scan",
        "Run the analysis over a plane of masses, on every core or a cluster.",
    ),
    "validate": (
        "superbin.cli.validate:validate",
        "Compare this installation with published and independent numbers.",
    ),
    "signal": ("superbin.cli.signal:signal", "List, show, simulate and pack signals."),
}
"""Where each command lives, with the line that help shows without importing it."""


class LazyGroup(click.Group):
    """A group some of whose commands are imported when they are called.

    Parameters
    ----------
    lazy : mapping of str to (str, str)
        Where each such command lives, and the line that help shows without importing it.
    *arguments, **options
        As of `click.Group`.
    """

    def __init__(self, *arguments: Any, lazy: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, sorted."""
        return sorted({*super().list_commands(ctx), *self.lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, name = self.lazy[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        known = {name: command.get_short_help_str(200) for name, command in self.commands.items()}
        known |= {name: line for name, (_, line) in self.lazy.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted(known.items()))


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="superbin", prog_name="superbin")
@click.option("--debug", is_flag=True, help="Show the traceback of an error, and log more.")
def cli(debug: bool) -> None:
    """Design the most sensitive one-bin reinterpretation of a multi-bin LHC search.

    \b
    Try:
      superbin run T1bbbb 1750 1 -o out
      superbin pvalue 40 25 5 5
    """
    if debug:
        import logging

        logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s: %(message)s")


GARBAGE = 100_000, 20, 20
"""Thresholds of Python's garbage collector: at its own, looking through the modules of Matplotlib and SciPy takes a tenth of a command's time."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Nothing is shown on a screen, and Matplotlib refuses to start with the name of a backend that it does not know.
    os.environ["MPLBACKEND"] = "agg"
    gc.set_threshold(*GARBAGE)
    _write_every_text()
    debug = "--debug" in given
    if debug:
        # Accepted anywhere, since an error is met after the command was typed.
        given = ["--debug", *(a for a in given if a != "--debug")]
    sys.exit(_run(given, debug=debug))


def _write_every_text() -> None:
    """Let standard output write what its encoding lacks, names of files that are no text among them, as escapes of JSON."""
    codecs.register_error("superbin.escapes", _escapes)
    with suppress(AttributeError, ValueError):  # it is closed, or was replaced by something that is no file
        sys.stdout.reconfigure(errors="superbin.escapes")  # type: ignore[union-attr]


def _escapes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


class _Signals:
    """Makes a hang-up and a termination clean up as an interrupt from the keyboard does; `received` says which came."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}
        self._process = os.getpid()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGTERM", "SIGHUP"):
                number = getattr(system_signals, name, None)  # Windows has no SIGHUP
                # One that is ignored, as under nohup, stays so.
                if number is not None and system_signals.getsignal(number) is system_signals.SIG_DFL:
                    self._before[number] = system_signals.signal(number, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            system_signals.signal(number, handler)

    def _stop(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._process:  # a forked worker ends as it always did
            system_signals.signal(number, system_signals.SIG_DFL)
            os.kill(os.getpid(), number)
        self.received = number
        raise KeyboardInterrupt


def _run(arguments: list[str], *, debug: bool) -> int:
    with _Signals() as signals:
        code = _guarded(arguments, debug=debug)
    if code == INTERRUPTED and signals.received is not None:
        return 128 + signals.received
    return code


def _guarded(arguments: list[str], *, debug: bool) -> int:
    try:
        code = cli.main(args=arguments, prog_name="superbin", standalone_mode=False)
    except click.ClickException as error:
        _say(_misused(error))
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("superbin: interrupted; nothing was left half-written")
        return INTERRUPTED
    except SystemExit:
        # Click ends so, and in no other case, when the reader of the output is gone.
        return CLOSED_PIPE
    except (SuperbinError, UnicodeEncodeError, OSError, MemoryError) as error:
        if debug:
            raise
        _say(f"superbin: error: {_said(error)}")
        return 2
    except Exception as error:
        if debug:
            raise
        _say(
            f"superbin: internal error: {type(error).__name__}: {_one_line(str(error))}; "
            "run again with --debug and report it"
        )
        return 1
    return code if isinstance(code, int) else 0


def _say(line: str) -> None:
    with suppress(OSError):  # standard error may be full or closed; the exit code still says what happened
        click.echo(line, err=True)


def _misused(error: click.ClickException) -> str:
    """One line, like every error of ours, where click's own would span three; the help of a group without a command."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message()
    place = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "superbin"
    # Where negative numbers may be given, click takes an option that it does not know for one of them.
    unknown = isinstance(error, click.BadParameter) and re.match(r"'(-{1,2}[A-Za-z][\w-]*)", error.message)
    if unknown and isinstance(error, click.UsageError) and error.ctx:
        known = [name for one in error.ctx.command.params for name in one.opts if name.startswith("--")]
        error = click.NoSuchOption(unknown[1], possibilities=difflib.get_close_matches(unknown[1], known))
    return f"superbin: error: {_one_line(error.format_message())}; see '{place} --help'"


def _said(error: SuperbinError | UnicodeEncodeError | OSError | MemoryError) -> str:
    """One line of an error; those that are not superbin's own come from the system, mostly of a place that cannot be used."""
    if isinstance(error, SuperbinError):
        return readable(str(error))
    if isinstance(error, UnicodeEncodeError):
        place = error.object[max(error.start - 40, 0) : error.end + 20]
        return f"'{readable(place)}' is not a text; write it in UTF-8"
    if isinstance(error, MemoryError):
        return "not enough memory; ask for less at once, or use a machine with more"
    name = "" if error.filename is None else f"{error.filename}: "
    return f"{_one_line(f'{name}{error.strerror or error}')}; the file or folder cannot be used, name another one"


def _one_line(text: str) -> str:
    return readable(" ".join(text.split()).rstrip("."))
