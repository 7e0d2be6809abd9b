"""Text and numbers coming in: UTF-8 or an error that names the line, finite numbers or an error."""

import math
import re
from pathlib import Path

from superbin._support.files import read_limited
from superbin.errors import DocumentError, InputError

__all__ = ["decoded", "number_text", "parse_number", "read_text"]

# Narrower than float(), which also takes "1_000", "nan" and digits of other scripts.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SHOWN = 40


def read_text(path: Path) -> str:
    """Return the content of a UTF-8 text file, decompressed where its name ends in ``.gz``.

    Raises
    ------
    InputError
        If there is no such file or it cannot be read.
    DocumentError
        If it is not UTF-8, the text names the line; or if it is not a complete gzip file, or larger than
        `superbin._support.files.MAX_BYTES`.
    """
    try:
        content = read_limited(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name an existing text file") from error
    return decoded(content, path)


def decoded(content: bytes, place: str | Path) -> str:
    """Return UTF-8 as text, without a byte order mark.

    Raises
    ------
    DocumentError
        If it is not UTF-8; the text names the line.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DocumentError(
            f"{place}:{line}: byte {content[error.start]:#04x} is not UTF-8; save the file as plain UTF-8 text"
        ) from error


def number_text(value: float) -> str:
    """Return the shortest text that reads back as the same number; whole numbers without ``.0``."""
    return repr(float(value)).removesuffix(".0")


def parse_number(text: str) -> float:
    """Return the finite number that `text` is.

    Raises
    ------
    InputError
        If it is not a number, NaN, infinite or too large; the caller adds the place.
    """
    shown = repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
    if _NUMBER.fullmatch(text) is None:
        raise InputError(f"{shown} is not a finite number")
    value = float(text)
    if not math.isfinite(value):
        raise InputError(f"{shown} is too large for a floating-point number")
    return value
