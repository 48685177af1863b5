"""Stopping at the end of a step: a signal is noted when it comes and obeyed between two steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """What came while a `between_steps` block ran.

    Attributes
    ----------
    signal : int or None
        Number of the signal; None as long as none came.
    """

    def __init__(self):
        self.signal: int | None = None

    def note(self, number: int, frame: object) -> None:
        """Handle a signal: remember the first, end the process's work at once for a second."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number

    def obey(self) -> None:
        """Do now what the signal asked for, with the handlers that hold outside the block.

        Raises
        ------
        KeyboardInterrupt
            Always, unless the signal ends the process itself (SIGTERM does by default).
        """
        signal.raise_signal(self.signal)
        raise KeyboardInterrupt


@contextmanager
def between_steps() -> Iterator[Interruption]:
    """Let Ctrl-C and SIGTERM wait until the body asks; a second one interrupts at once.

    Only the main thread receives signals: elsewhere nothing is changed, nor for a signal that the
    process ignores (``nohup``) or that a program around Python handles.
    """
    interruption = Interruption()
    previous = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        previous = {n: h for n, h in handlers.items() if h not in (signal.SIG_IGN, None)}
    try:
        for number in previous:
            signal.signal(number, interruption.note)
        yield interruption
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
