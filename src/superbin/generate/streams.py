"""What compiled libraries print: they write to the process' standard output, which belongs to results.

`stdout_to` sends the file descriptor elsewhere for a while, `printed_by` catches what a call prints. Python's own
``contextlib.redirect_stdout`` does not reach them: it exchanges an object of Python's. Clause GEN-66 of
``specs/generation.md``.
"""

import ctypes
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["STDERR", "printed_by", "stdout_to"]

STDERR = 2
"""The file descriptor of the standard error."""
_STDOUT = 1

_one_at_a_time = threading.RLock()
"""A descriptor is of the whole process: two threads that exchange it would put back each other's."""


@contextmanager
def stdout_to(descriptor: int) -> Iterator[None]:
    """Within it, whatever writes to the process' standard output writes to another descriptor.

    Parameters
    ----------
    descriptor : int
        An open file descriptor, such as `STDERR`.
    """
    with _one_at_a_time:
        _flush()
        saved = os.dup(_STDOUT)
        os.dup2(descriptor, _STDOUT)
        try:
            yield
        finally:
            _flush()
            os.dup2(saved, _STDOUT)
            os.close(saved)


def printed_by(call: Callable[[], object]) -> str:
    """What a call prints to the process' standard output."""
    with tempfile.TemporaryFile() as file:
        with stdout_to(file.fileno()):
            call()
        file.seek(0)
        return file.read().decode(errors="replace")


def _flush() -> None:
    """Empty the buffers of Python and of C, so that nothing is written later than it was said."""
    if sys.stdout is not None:
        sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)
