"""Words and numbers that the verbs share."""

from collections.abc import Sequence

__all__ = ["doubts_text", "strength", "times"]


def strength(value: float | None) -> str:
    """A signal strength, whose size may be anything, to four significant digits; a dash where there is none."""
    return "-" if value is None else f"{value:.4g}"


def times(value: float | None, factor: float | None) -> float | None:
    """A product; None where a factor is."""
    return None if value is None or factor is None else value * factor


def doubts_text(doubts: Sequence[str]) -> str:
    """One line per doubt; empty without."""
    return "\n".join(f"note: {doubt}" for doubt in doubts)
