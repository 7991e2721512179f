"""Wakes by datagram: tells a holder of a file that it should ask again.

Each holder listens on a loopback port, and the port is part of its name, so others know how to wake it. A
lost datagram only affects the order: the sleeper wakes at its old time.
"""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Callable
from typing import Final

import msgspec

__all__ = ["LEAD", "Loopback", "call_in_time"]

LEAD: Final = 0.002
"""Seconds before its new place at which a sleeper is woken: it has to ask first."""

_HOST: Final = "127.0.0.1"
_LONGEST: Final = 1024
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, int]).decode


class Loopback:
    """One holder's port.

    Args:
        on_wake: is called in the running loop with the key of an account.
    """

    __slots__ = ("_loop", "_on_wake", "_socket", "name")

    def __init__(self, on_wake: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_wake = on_wake
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        port = 0
        with contextlib.suppress(OSError):  # without a loopback nobody is woken
            self._socket.bind((_HOST, 0))
            port = self._socket.getsockname()[1]
            # A callback of the loop, because `open` cannot await and has no task group to read in.
            # Windows' own loop has none for sockets: there, too, nobody is woken.
            with contextlib.suppress(NotImplementedError):
                self._loop.add_reader(self._socket, self._hear)
        self.name: str = f"{os.getpid()}.{secrets.token_hex(2)}@{port}"

    def wake(self, name: str, account: str, after: int) -> None:
        """Wake a holder; its new place comes in `after` microseconds."""
        with contextlib.suppress(OSError, ValueError, OverflowError):  # a wake may be lost
            port = int(name.rpartition("@")[2])
            self._socket.sendto(_encode((account, after)), (_HOST, port))

    def close(self) -> None:
        """Listen no more."""
        if self._socket.fileno() >= 0:
            if not self._loop.is_closed():
                with contextlib.suppress(NotImplementedError):
                    self._loop.remove_reader(self._socket)
            self._socket.close()

    @property
    def is_over(self) -> bool:
        """Whether the loop in which it listens is over."""
        return self._loop.is_closed()

    def close_after_fork(self) -> None:
        """Close the parent's socket in a child process, which has a loop of its own."""
        self._socket.close()

    def _hear(self) -> None:
        while True:
            try:
                account, after = _decode(self._socket.recv(_LONGEST))
            except OSError:
                return
            except msgspec.MsgspecError:
                continue  # anybody can send to a port
            call_in_time(self._loop, self._on_wake, account, after)


def call_in_time(
    loop: asyncio.AbstractEventLoop, on_wake: Callable[[str], None], account: str, after: int
) -> None:
    """Wake an account `LEAD` before its new place comes, in `after` microseconds."""
    delay = after / 1_000_000 - LEAD
    if delay > LEAD:
        loop.call_later(delay, on_wake, account)
    else:
        on_wake(account)
