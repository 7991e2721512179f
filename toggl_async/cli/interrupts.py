"""Ctrl-C before the command's work has begun, and after it has ended.

During its work, Ctrl-C is a KeyboardInterrupt, which asyncio turns into a cancellation, and the command says
what it leaves behind. Before and after that, there is nothing to tidy up, and an exception would surface in
whatever Python is doing then: importing modules, or shutting down.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["interruptible", "leaving_at_once"]

_INTERRUPTED = 130


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End the process."""
    with contextlib.suppress(OSError):
        os.write(2, b"toggl-async: interrupted\n")
    os._exit(_INTERRUPTED)


@contextlib.contextmanager
def leaving_at_once(*, for_good: bool) -> Iterator[None]:
    """Let Ctrl-C end the process at once, unless it means something else already, such as nothing.

    Args:
        for_good: whether that holds after the block, too: the process ends then.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        if not for_good:
            signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C be a KeyboardInterrupt within the block, where it would have ended the process."""
    if signal.getsignal(signal.SIGINT) is not _leave:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _leave)
