"""Tables for people: columns as wide as what they hold, so that they never touch."""

from collections.abc import Collection, Sequence

__all__ = ["aligned"]


def aligned(rows: Sequence[Sequence[str]], *, left: Collection[int] = (0,), least: int = 0) -> list[str]:
    """Put cells under each other, two blanks apart.

    Parameters
    ----------
    rows : sequence of sequence of str
        Of the same length each.
    left : collection of int
        Columns whose cells begin at the left; the others end at the right.
    least : int
        Width of a column at least.

    Examples
    --------
    >>> for line in aligned([("name", "events"), ("a long name", "7")]):
    ...     print(line)
    name         events
    a long name       7
    """
    widths = [max(least, *map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
