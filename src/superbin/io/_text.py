"""Text files in and out: the one place that knows encodings, temporary files and number formats.

What leaves is either whole or not there; what comes in is UTF-8 or an error that names the line.
"""

import contextlib
import math
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from superbin.errors import DocumentError, InputError, OutputError

__all__ = ["number_text", "parse_number", "read_text", "write_texts"]

# Narrower than float(), which also takes "1_000", "nan" and digits of other scripts.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SHOWN = 40


def read_text(path: Path) -> str:
    """Return the content of a UTF-8 text file.

    Raises
    ------
    InputError
        If there is no such file or it cannot be read.
    DocumentError
        If it is not UTF-8; the text names the line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name an existing text file") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DocumentError(
            f"{path}:{line}: byte {content[error.start]:#04x} is not UTF-8; save the file as plain UTF-8 text"
        ) from error


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write files so that each is whole or untouched: all to temporary files first, then renamed.

    Raises
    ------
    OutputError
        If a folder does not exist or cannot be written; no file has changed then, unless the last step, a
        rename, is what failed.
    """
    written: dict[Path, str] = {}
    try:
        for path, text in texts.items():
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            written[path] = name
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            Path(name).chmod(0o644)
        for path, name in written.items():
            Path(name).replace(path)
    except OSError as error:
        place = error.filename or next(iter(texts))
        raise OutputError(
            f"{place}: cannot be written ({error.strerror}); choose a writable folder"
        ) from error
    finally:
        for name in written.values():
            with contextlib.suppress(OSError):
                Path(name).unlink()


def number_text(value: float) -> str:
    """Return the shortest text that reads back as the same number; whole numbers without ``.0``."""
    return repr(float(value)).removesuffix(".0")


def parse_number(text: str) -> float:
    """Return the finite number that `text` is.

    Raises
    ------
    InputError
        If it is no number, NaN, infinite or too large; the caller adds the place.
    """
    shown = repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
    if _NUMBER.fullmatch(text) is None:
        raise InputError(f"{shown} is not a finite number")
    value = float(text)
    if not math.isfinite(value):
        raise InputError(f"{shown} is too large for a floating-point number")
    return value
