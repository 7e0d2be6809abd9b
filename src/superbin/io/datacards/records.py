"""One line of a card as words with their place, and the numbers in it."""

from dataclasses import dataclass

from superbin.errors import DocumentError, InputError
from superbin.io._text import parse_number
from superbin.io.datacards.model import Place

__all__ = ["Record"]


@dataclass(frozen=True, slots=True)
class Record:
    """The words of one line, comments removed."""

    place: Place
    tokens: tuple[str, ...]

    def error(self, message: str) -> DocumentError:
        """Return an error whose text starts with this line's place."""
        return DocumentError(f"{self.place}: {message}")

    def number(self, text: str, what: str) -> float:
        """Return the finite number `text` stands for.

        Raises
        ------
        DocumentError
            If it is not a number, or too large for one.
        """
        try:
            return parse_number(text)
        except InputError as error:
            raise self.error(f"{what} {error}") from None
