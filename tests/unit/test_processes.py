"""Starting processes: clause CLI-64."""

import os
import signal

import pytest

from superbin._support.processes import uninterrupted
from superbin.errors import SuperbinError
from superbin.likelihood import toys


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_is_put_off(name: str) -> None:
    """CLI-64: a signal that comes while processes are started is met after that, once, by the handler that was there."""
    met: list[int] = []
    number = getattr(signal, name)
    before = signal.signal(number, lambda got, _: met.append(got))
    try:
        with uninterrupted():
            signal.raise_signal(number)
            signal.raise_signal(number)
            assert met == []
        assert met == [number]
        signal.raise_signal(number)
        assert met == [number, number]
    finally:
        signal.signal(number, before)


class _Deadly:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (1,)


def test_a_process_that_dies() -> None:
    """CLI-64: a process that is killed while it throws toys is an error of one line that says what to do."""
    parts = toys._parts([_Deadly()], [(0, 1, 0), (0, 1, 1)], 2)  # type: ignore[list-item]
    with pytest.raises(SuperbinError, match="run again with fewer --processes"):
        list(parts)
