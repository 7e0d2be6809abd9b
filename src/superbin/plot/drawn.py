"""Figures by name, each drawn when it is asked for."""

from collections.abc import Callable, Iterator, Mapping

from matplotlib.figure import Figure

__all__ = ["Drawn"]


class Drawn(Mapping[str, Figure]):
    """Figures by file name without suffix; asked twice for a name it draws twice.

    Drawing one figure at a time holds one in memory, and saving it at once finds its formulas laid out already.

    Parameters
    ----------
    makers : mapping of str to callable
        What draws each.
    """

    def __init__(self, makers: Mapping[str, Callable[[], Figure]]) -> None:
        self._makers = dict(makers)

    def __getitem__(self, name: str) -> Figure:
        return self._makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __or__(self, other: "Drawn") -> "Drawn":
        return Drawn(self._makers | other._makers)
