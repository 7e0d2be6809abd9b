"""Tables for people: columns as wide as what they hold, so that they never touch."""

import math
from collections.abc import Collection, Mapping, Sequence

__all__ = ["aligned", "uncertainty_lines"]


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


def uncertainty_lines(error: float, variations: Mapping[str, tuple[float, float]]) -> list[str]:
    """What each source of uncertainty does to a sum, and all of them in quadrature.

    Parameters
    ----------
    error : float
        Monte Carlo error of the sum, relative.
    variations : mapping of str to (float, float)
        Relative change of the sum with the source one standard deviation up, and down. The mean size of both counts.

    Examples
    --------
    >>> for line in uncertainty_lines(0.03, {"radiation": (0.05, -0.03)}):
    ...     print(line)
      Monte Carlo                3.0%
      radiation                 +5.0%   -3.0%
      all, in quadrature         5.0%
    """
    lines = [f"  {'Monte Carlo':<24}{error:>7.1%}"]
    lines += [f"  {name:<24}{up:>+7.1%} {down:>+7.1%}" for name, (up, down) in variations.items()]
    whole = math.hypot(error, *((abs(up) + abs(down)) / 2 for up, down in variations.values()))
    return [*lines, f"  {'all, in quadrature':<24}{whole:>7.1%}"]
