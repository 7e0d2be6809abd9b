"""Progress on stderr: one line that is redrawn on a terminal, a line now and then where there is none."""

import sys
import time
from collections.abc import Callable
from typing import Self

import click

__all__ = ["ProgressLine", "counter", "duration"]


class ProgressLine:
    """A line that says how far a command is; as a context manager it leaves the line at the end.

    Parameters
    ----------
    quiet : bool
        Whether to show nothing.
    """

    blink = 0.1
    """Seconds between two states of the line on a terminal."""

    pause = 30.0
    """Seconds between lines where there is no terminal."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._start = self._shown = time.monotonic()
        self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def seconds(self) -> float:
        """Time since the line was made."""
        return time.monotonic() - self._start

    def show(self, text: str, *, always: bool = False) -> None:
        """Show a state, unless the last one was shown just now; `always` is for the first and the last."""
        now = time.monotonic()
        if self._quiet or not (always or now - self._shown >= (self.blink if self._terminal else self.pause)):
            return
        self._shown = now
        if self._terminal:
            self._open = True
            click.echo(f"\r{text}\x1b[K", err=True, nl=False)
        else:
            click.echo(f"superbin: {text}", err=True)

    def end(self) -> None:
        """Leave the redrawn line, so that what is printed next has one of its own."""
        if self._open:
            self._open = False
            click.echo("", err=True)


SHORT = 2.0
"""Seconds of work without a word."""


def counter(what: str) -> Callable[[int, int], None]:
    """Return a function that says how far work of more than some seconds is: done of all, rate and remaining time.

    Parameters
    ----------
    what : str
        What is counted, such as ``toys``.
    """
    line = ProgressLine()

    def report(done: int, total: int) -> None:
        if line.seconds < SHORT or not done:
            return
        rate = done / line.seconds
        left = f", {duration((total - done) / rate)} left" if done < total else ""
        line.show(f"{what}: {done} of {total}, {rate:.2g}/s{left}", always=done >= total)
        if done >= total:
            line.end()

    return report


def duration(seconds: float) -> str:
    """A time that is left, in the unit that fits it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{minutes:.0f} min" if minutes < 100 else f"{hours:.1f} h"
