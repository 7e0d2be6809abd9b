"""Details of an analysis that a paper tells: simpler regions beside the chosen one, and what its background is uncertain from."""

from dataclasses import dataclass

__all__ = ["Alternative", "UncertaintySource"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """A region of another shape or size for the same signal.

    Attributes
    ----------
    name : str
        Its shape, or its number of bins as in ``3 bins``.
    bins : tuple of int
        Published numbers, ascending.
    selections : int
        How many describe it.
    signal, background, up, down : float
        Expected events, and the uncertainty of the background.
    z : float or None
        Expected significance: exact mid-p at n = s + b; None where it is infinite.
    mu95 : float or None
        Expected 95 % CL limit on the signal strength: prior-predictive CLs at the median count of background alone; None without signal.
    """

    name: str
    bins: tuple[int, ...]
    selections: int
    signal: float
    background: float
    up: float
    down: float
    z: float | None
    mu95: float | None


@dataclass(frozen=True, slots=True)
class UncertaintySource:
    """What a nuisance parameter of the published likelihood does to the background of the aggregate region.

    Attributes
    ----------
    name : str
        As the likelihood has it.
    up, down : float
        Change in events, with its sign, when it goes one standard deviation up, and down: the sum over the merged bins.
    """

    name: str
    up: float
    down: float
