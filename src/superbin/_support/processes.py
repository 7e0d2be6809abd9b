"""Processes whose start no signal interrupts."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["leave_interrupts_to_parent", "uninterrupted"]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Put off Ctrl-C, a termination and a hang-up until the block ends.

    An executor forgets a process whose start is interrupted; it would then outlive the queues that it was made for, and complain.
    In a thread other than the main one, where Python delivers no signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[tuple[int, FrameType | None]] = []
    numbers = [
        getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")
    ]  # Windows has no SIGHUP
    before = {number: signal.getsignal(number) for number in numbers if number is not None}
    ours = {number: handler for number, handler in before.items() if callable(handler)}
    for number in ours:
        signal.signal(number, lambda got, frame: received.append((got, frame)))
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        if received:
            ours[received[0][0]](*received[0])


def leave_interrupts_to_parent() -> None:
    """In a worker: Ctrl-C reaches every process of a terminal, and the one that collects decides what becomes of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
